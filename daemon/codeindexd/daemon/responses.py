"""Builds the JSON results of the protocol's methods from roots and search results."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from codeindexd.analysis.chunking.encoding import is_guessed
from codeindexd.analysis.chunking.notebook import CellLine
from codeindexd.daemon import left_out
from codeindexd.daemon.left_out import NotSearched
from codeindexd.errors import CodeindexError
from codeindexd.indexing.history_status import HistoryStatus
from codeindexd.indexing.progress import Progress
from codeindexd.protocol.methods import HOW_TO_NARROW, MAX_LINES
from codeindexd.protocol.places import path_to_json
from codeindexd.quantities import quantity
from codeindexd.roots import Root, RootProblem, RootStatus
from codeindexd.roots.adoption import Adoption
from codeindexd.roots.supervisor import FailedRoot
from codeindexd.scan.relpath import ROOT, ancestors
from codeindexd.search.confirm import cells_of
from codeindexd.search.grep import FileCount, GrepTotals, MatchedLine
from codeindexd.search.grep_stream import Found, GrepStream
from codeindexd.search.hits import Copy, Hit
from codeindexd.search.levels import Group
from codeindexd.search.regexes import notes_on_line_ends
from codeindexd.search.searcher import Answer, GrepAnswer
from codeindexd.search.symbols import ConfirmedDefinition, Match, SymbolAnswer
from codeindexd.types import Failure, Outcome, RootState, StoredChunk

_FAILURES_SHOWN = 20
_RULES_SHOWN = 30
_NEVER_INDEXED = frozenset({"vcs", "sensitive", "special", "unreadable"})  # not even as a root of their own
_FILES_FOR_ETA = 20  # with fewer files done, the rate is mostly that of starting the workers
_SHARE_FOR_ETA = 0.05


def roots_entry(root: Root) -> dict[str, Any]:
    """Return the entry of a root in ``roots.list`` and ``roots.add``. Blocking: reads the catalog."""
    status = root.status()
    notes = _notes_on_rules(root, status)
    return {
        **path_to_json(root.spec.raw),
        "id": root.spec.id,
        "state": status.state.value,
        "files": status.counts.files,
        "chunks": status.counts.chunks,
        "generation": status.generation,
        "root_hash": status.root_hash.hex(),
        **_adoption_entry(status.adoption),
        **({"notes": notes} if notes else {}),
    }


def _adoption_entry(adoption: Adoption | None) -> dict[str, Any]:
    """Return the field ``adopted`` of an entry; {} if no index was adopted."""
    if adoption is None:
        return {}
    counts = {"files_same": adoption.files_same, "files_to_process": adoption.files_to_process}
    return {"adopted": {**path_to_json(os.fsencode(adoption.source)), **counts}}


def _notes_on_rules(root: Root, status: RootStatus) -> list[str]:
    """Return a note if rules leave out nearly everything; none before the root is caught up. Blocking."""
    if not root.is_caught_up or status.state is RootState.MISSING or not left_out.may_be_suspicious(status.counts):
        return []
    with root.catalog_snapshot() as snapshot:
        note = left_out.note(snapshot.summary(ROOT))
    return [note] if note else []


def root_status(root: Root) -> dict[str, Any]:
    """Return the entry of a root in ``status``; if its stores cannot be read, the entry of a failed root."""
    try:
        return _running_status(root)
    except CodeindexError as error:
        return failed_status(FailedRoot(root.spec, RootProblem.from_error(error)))


def _running_status(root: Root) -> dict[str, Any]:
    status = root.status()
    with root.catalog_snapshot() as snapshot:
        graph = snapshot.graph_counts()
    return {
        **path_to_json(root.spec.raw),
        "state": status.state.value,
        "clock": status.clock,
        "root_hash": status.root_hash.hex(),
        "files": status.counts.files,
        "chunks": status.counts.chunks,
        "definitions": graph.definitions,
        "references": graph.references,
        "pending_files": status.progress.files_left,
        "pending_vectors": status.pending_vectors,
        "failed_files": status.counts.failed,
        "skipped": dict(sorted(status.counts.skipped.items())),
        "failures": [failure_entry(failure) for failure in root.failures(_FAILURES_SHOWN)],
        "problems": [_problem_entry(problem) for problem in status.problems],
        "notes": [*status.notes, *_notes_on_rules(root, status)],
        **_adoption_entry(status.adoption),
        "busy": [{**path_to_json(path), "every_s": round(every_s, 1)} for path, every_s in status.busy],
        "progress": progress_entry(status.progress),
        "history": history_entry(status.history),
        "stages": _stage_entries(status),
    }


def history_entry(status: HistoryStatus) -> dict[str, Any]:
    """Return the status of a root's history, without what does not apply."""
    optional = {
        "branch": status.branch,
        "truncated": status.is_truncated,
        "shallow": status.is_shallow,
        "missing": status.missing,
        "unreadable": status.unreadable,
        "reason": status.reason,
        "hint": status.hint,
    }
    return {
        "state": status.phase.value,
        "commits": status.commits,
        "total": status.total,
        **{name: value for name, value in optional.items() if value},
    }


def failed_entry(failed: FailedRoot) -> dict[str, Any]:
    """Return the entry in ``roots.list`` of a root that is not running."""
    return {
        **path_to_json(failed.spec.raw),
        "id": failed.spec.id,
        "state": RootState.DEGRADED.value,
        "files": 0,
        "chunks": 0,
        "generation": 0,
        "root_hash": "",
    }


def failed_status(failed: FailedRoot) -> dict[str, Any]:
    """Return the entry in ``status`` of a root that is not running."""
    return {
        **path_to_json(failed.spec.raw),
        "state": RootState.DEGRADED.value,
        "clock": failed.spec.clock(0),
        "root_hash": "",
        "files": 0,
        "chunks": 0,
        "definitions": 0,
        "references": 0,
        "pending_files": 0,
        "pending_vectors": 0,
        "failed_files": 0,
        "skipped": {},
        "failures": [],
        "problems": [_problem_entry(failed.problem)],
        "notes": [],
        "busy": [],
        "progress": {
            "files_done": 0,
            "files_total": 0,
            "chunks_done": 0,
            "files_per_s": 0.0,
            "chunks_per_s": 0.0,
            "eta_s": None,
        },
        "stages": {},
    }


def _problem_entry(problem: RootProblem) -> dict[str, Any]:
    return {"message": problem.message, "hint": problem.hint}


def failure_entry(failure: Failure) -> dict[str, Any]:
    """Return the entry of a failed file. ``next_retry`` is a Unix time in seconds; null: only if the file changes."""
    return {
        **path_to_json(failure.path),
        "stage": failure.stage,
        "error": failure.error,
        "attempts": failure.attempts,
        "next_retry": failure.next_retry_ns / 1e9 if failure.next_retry_ns else None,
    }


def progress_entry(progress: Progress) -> dict[str, Any]:
    """Return the progress of a run. The rates are 0 and the ETA is null if nothing is left to do.

    The ETA is also null until enough files are done for an estimate.
    """
    done, left, seconds = progress.files_done, progress.files_left, progress.seconds
    is_running = left > 0 and seconds > 0
    files_per_s = done / seconds if is_running else 0.0
    is_enough = done >= _FILES_FOR_ETA or done >= left * _SHARE_FOR_ETA
    return {
        "files_done": done,
        "files_total": done + left,
        "chunks_done": progress.chunks_done,
        "files_per_s": round(files_per_s, 1),
        "chunks_per_s": round(progress.chunks_done / seconds, 1) if is_running else 0.0,
        "eta_s": round(left / files_per_s, 1) if files_per_s and is_enough else None,
    }


def _stage_entries(status: RootStatus) -> dict[str, Mapping[str, Any]]:
    """Return the statistics of each indexing stage since the daemon started, by its name."""
    return {
        name: {
            "items": stage.items,
            "bytes": stage.bytes,
            "seconds": round(stage.seconds, 3),
            "per_s": round(stage.items / stage.seconds, 1) if stage.seconds else 0.0,
            "p50_ms": round(stage.median_s * 1000, 3),
            "errors": stage.errors,
            "queue": status.queue_lengths.get(name, 0),
        }
        for name, stage in status.stages.items()
    }


def hit_entry(hit: Hit, *, score: bool = True, explain: bool = False) -> dict[str, Any]:
    """Return the entry of a hit; lines and bytes are positions in the file on the disk."""
    entry: dict[str, Any] = {
        **path_to_json(hit.root.spec.raw, key="root"),
        **path_to_json(hit.chunk.path),
        "start_line": hit.place.start_line,
        "end_line": hit.place.end_line,
        "start_byte": hit.place.start_byte,
        "end_byte": hit.place.end_byte,
        "language": hit.chunk.language,
        "kind": hit.kind,
        "symbol": hit.symbol,
        **_cell_fields(hit.place.cell),
    }
    if score:
        entry["score"] = round(hit.score, 4)
    entry |= {"verified": True, "best_line": hit.best_line}
    if hit.place.cell is not None:
        entry["best_cell_line"] = hit.place.cell.line + hit.best_row
    entry["snippet"] = hit.snippet
    if hit.copy_count:
        entry |= {"copy_count": hit.copy_count, "copies": [_copy_entry(copy) for copy in hit.copies]}
    if explain:
        entry["explain"] = {name: round(part, 4) for name, part in hit.parts.items()}
    return entry


def _copy_entry(copy: Copy) -> dict[str, Any]:
    return {
        **path_to_json(copy.root.spec.raw, key="root"),
        **path_to_json(copy.path),
        "start_line": copy.start_line,
        "end_line": copy.end_line,
    }


def symbol_answer(name: str, found: SymbolAnswer, state: RootState) -> dict[str, Any]:
    """Return the result of ``symbol``."""
    definitions = [_definition_entry(definition) for definition in found.definitions]
    return {
        "symbol": name,
        "state": state.value,
        "definitions": definitions if found.match is Match.EXACT else [],
        "references": [hit_entry(hit, score=False) for hit in found.references],
        **({} if found.match is Match.EXACT else {"similar": definitions, "match": found.match.value}),
        **({"notes": found.notes} if found.notes else {}),
    }


def _definition_entry(found: ConfirmedDefinition) -> dict[str, Any]:
    """Return the chunk of a definition as a hit, with the place, kind and name of the definition itself."""
    one = found.definition
    return {
        **hit_entry(found.hit, score=False),
        "kind": one.kind,
        "symbol": found.name,
        "name": one.name,
        "name_line": one.line,
        "column": one.column,
        "extent": [one.start_line, one.end_line],
        "signature": one.signature,
        **({"doc": one.doc} if one.doc else {}),
        **({"visibility": one.visibility.value} if one.visibility else {}),
    }


def answer(query: str, found: Answer, *, explain: bool = False, unavailable: Sequence[str] = ()) -> dict[str, Any]:
    """Return the result of ``search`` or ``related``; ``unavailable`` says of roots why nothing of them is in it."""
    notes = [*found.notes, *unavailable]
    return {
        "query": query,
        "took_ms": round(found.took_ms, 2),
        "clock": found.clock,
        "state": _state_of(found, unavailable).value,
        "dense_coverage": found.dense_coverage,
        "hits": [hit_entry(hit, explain=explain) for hit in found.hits],
        **({} if found.groups is None else {"groups": _group_entries(found.groups)}),
        **({} if found.searched is None else {"searched": found.searched}),
        **({"notes": notes} if notes else {}),
    }


def _state_of(found: Answer | GrepAnswer | GrepStream, unavailable: Sequence[str]) -> RootState:
    """Return the worst state of the roots that were searched, and of the ``unavailable`` ones."""
    return RootState.DEGRADED if unavailable and found.state is not RootState.MISSING else found.state


def _group_entries(groups: Sequence[Group]) -> list[dict[str, Any]]:
    entries = []
    first = 0
    for group in groups:
        entries.append(
            {
                **path_to_json(group.root.spec.raw, key="root"),
                **path_to_json(group.path),
                "score": round(group.score, 4),
                "hits": list(range(first, first + len(group.hits))),
                **({"files": group.files} if group.path != group.hits[0].chunk.path else {}),
            }
        )
        first += len(group.hits)
    return entries


def grep_answer(
    params: Mapping[str, Any],
    found: GrepAnswer,
    *,
    limit: int,
    unavailable: Sequence[str] = (),
    unsearched: Sequence[NotSearched] = (),
) -> dict[str, Any]:
    """Return the result of ``grep``, cut to ``limit`` lines, with notes on what was not searched."""
    totals = GrepTotals()
    for _, result in found.results:
        totals.total += result.total
        totals.files += result.files
        totals.searched += result.searched
        totals.left_out.update(result.left_out)
    lines = [line for _, result in found.results for line in result.lines][:limit]
    counts = [FileCount(root, path, count) for root, result in found.results for path, count in result.counts.items()]
    counted = is_counted(params)
    found_entries = {"counts": [*map(count_entry, counts)]} if counted else {"matches": [*map(line_entry, lines)]}
    return {
        **_grep_summary(params, found, totals, len(lines), unavailable=unavailable, unsearched=unsearched),
        **found_entries,
    }


def grep_end(
    params: Mapping[str, Any],
    stream: GrepStream,
    *,
    unavailable: Sequence[str] = (),
    unsearched: Sequence[NotSearched] = (),
) -> dict[str, Any]:
    """Return the result of a streamed ``grep``, with empty lists of lines and counts."""
    return _grep_summary(params, stream, stream.totals, stream.returned, unavailable=unavailable, unsearched=unsearched)


def is_counted(params: Mapping[str, Any]) -> bool:
    """Return True if the answer to ``grep`` has counts of files instead of lines."""
    return bool(params["count"] or params["files_only"])


def _grep_summary(
    params: Mapping[str, Any],
    found: GrepAnswer | GrepStream,
    totals: GrepTotals,
    returned: int,
    *,
    unavailable: Sequence[str],
    unsearched: Sequence[NotSearched],
) -> dict[str, Any]:
    """Return the result of ``grep`` with empty lists; ``returned`` is the number of lines that the client gets."""
    counted = is_counted(params)
    is_cut = not counted and returned < totals.total
    notes = [*unavailable, *(one.note for one in unsearched)]
    if is_cut:
        more = totals.total - returned
        can_be_raised = params["stream"] or (params["limit"] or 0) < MAX_LINES
        advice = f"{'raise the limit, or ' if can_be_raised else ''}{HOW_TO_NARROW}"
        notes.append(f"{quantity(more, 'more line matches', 'more lines match')}; {advice}")
    if not totals.total and not params["fixed"]:
        notes += notes_on_line_ends([params["pattern"]])
    notes += [f"{quantity(files, 'file')} left out: {reason}" for reason, files in sorted(totals.left_out.items())]
    left_out = totals.left_out + Counter(one.reason for one in unsearched if one.reason)
    return {
        "pattern": params["pattern"],
        "matches": [],
        **({"counts": []} if counted else {}),
        "files": totals.files,
        "total": totals.total,
        "searched": totals.searched,
        "truncated": bool(left_out) or is_cut,
        "left_out": dict(sorted(left_out.items())),
        "took_ms": round(found.took_ms, 2),
        "clock": found.clock,
        "state": _state_of(found, unavailable).value,
        **({"notes": notes} if notes else {}),
    }


def grep_entries(found: Sequence[Found], *, counted: bool) -> dict[str, Any]:
    """Return a part of the results of a streamed ``grep``: lines, or counts of files."""
    if counted:
        return {"counts": [count_entry(one) for one in found if isinstance(one, FileCount)]}
    return {"matches": [line_entry(one) for one in found if isinstance(one, MatchedLine)]}


def line_entry(line: MatchedLine) -> dict[str, Any]:
    """Return the entry of a matching line, as it is on the disk."""
    return {
        **path_to_json(line.root.spec.raw, key="root"),
        **path_to_json(line.path),
        "line": line.line,
        "column": line.column,
        "text": line.text,
        "spans": [list(span) for span in line.spans],
        **({"cut": True} if line.cut else {}),
        **({"before": list(line.before)} if line.before else {}),
        **({"after": list(line.after)} if line.after else {}),
        **_cell_fields(line.cell),
        **({"before_lines": list(line.before_lines)} if line.cell and line.before else {}),
        **({"after_lines": list(line.after_lines)} if line.cell and line.after else {}),
    }


def _cell_fields(place: CellLine | None) -> dict[str, int]:
    """Return the fields for a line in a notebook: its cell and its number there; {} for other files."""
    return {"cell": place.cell, "cell_line": place.line} if place is not None else {}


def count_entry(count: FileCount) -> dict[str, Any]:
    """Return the entry of a file with its number of matching lines."""
    return {**path_to_json(count.root.spec.raw, key="root"), **path_to_json(count.path), "count": count.count}


def chunk_entry(chunk: StoredChunk, cell: CellLine | None = None) -> dict[str, Any]:
    """Return the entry of a chunk in ``explain``; ``cell`` is where it starts in a notebook."""
    span = chunk.span
    return {
        "id": chunk.chunk_id,
        "start_line": span.start_line,
        "end_line": span.end_line,
        "start_byte": span.start_byte,
        "end_byte": span.end_byte,
        "kind": span.kind,
        "symbol": span.symbol,
        **_cell_fields(cell),
    }


def explain(root: Root, path: Path) -> dict[str, Any]:
    """Return why ``path`` (absolute, in ``root``) is or is not indexed. Blocking: reads the catalog and the disk."""
    relative = path_below(root, path)
    failures = {failure.path: failure for failure in root.failures()}
    with root.catalog_snapshot() as snapshot:
        file = snapshot.file(relative)
        chunks = snapshot.chunks_of_file(relative)
        is_partial = file is not None and snapshot.is_partial(file.file_id)
    entry: dict[str, Any] = {
        **path_to_json(os.fsencode(path)),
        "root": str(root.spec.path),
        "indexed": False,
        "reason": "",
        "rule": "",
        "language": "",
        "chunks": [
            chunk_entry(chunk, cell) for chunk, cell in zip(chunks, cells_of(root.spec.raw, file, chunks), strict=True)
        ],
        "failure": failure_entry(failures[relative]) if relative in failures else None,
    }
    if file is not None and file.outcome is Outcome.INDEXED:
        indexed = {"indexed": True, "reason": "indexed", "language": file.language, "encoding": file.encoding}
        guessed = {"encoding_guessed": True} if is_guessed(file.encoding) else {}
        return entry | indexed | guessed | ({"partly_understood": True} if is_partial else {})
    if file is not None and file.outcome is Outcome.FAILED:
        return entry | {"reason": f"failed: {file.reason}"}
    if file is not None:
        reason = file.reason or file.entry.reason
        # The text of a notebook is measured by a worker, which knows of no rules.
        rule = file.entry.rule or ("index.max_file_bytes" if reason == "oversized" else "")
        found = {"reason": reason, "rule": rule}
        return entry | found | _hint(root, relative)
    is_directory = os.path.isdir(path) and relative not in failures  # noqa: PTH112 - is_dir() raises for a very long name
    verdict = root.exclusion_of(relative) if relative or not is_directory else None
    if verdict is not None:
        return entry | {"reason": verdict.reason, "rule": verdict.rule, **_hint(root, relative)}
    if is_directory:
        return entry | {"indexed": True, "reason": "an indexed directory", "summary": _summary(root, relative)}
    if not os.path.lexists(path):
        return entry | {"reason": "does not exist"}
    return entry | {"reason": "not scanned yet"}


def _hint(root: Root, path: bytes) -> dict[str, str]:
    """Return the ``hint`` field on how to search ``path`` in a directory that the root leaves out, or {}.

    ``path`` may be that directory. {} also if it is never indexed, such as ``.git``.
    """
    for directory in [*reversed([*ancestors(path)]), path]:
        absolute = os.path.join(root.spec.raw, directory)  # noqa: PTH118 - bytes
        if not os.path.isdir(absolute):  # noqa: PTH112 - Path.is_dir raises for a very long name
            return {}
        if directory and (verdict := root.exclusion_of(directory)) is not None:
            if verdict.reason in _NEVER_INDEXED:
                return {}
            command = f"codeindex add {shlex.quote(os.fsdecode(os.path.realpath(absolute)))}"
            return {"hint": f"to search it, index it as a root of its own: {command}"}
    return {}


def _summary(root: Root, directory: bytes) -> dict[str, Any]:
    """Return the summary of everything below a directory, for ``explain``. Blocking: reads the catalog."""
    with root.catalog_snapshot() as snapshot:
        summary = snapshot.summary(directory)
    groups = [{"reason": group.reason, "rule": group.rule, "entries": group.entries} for group in summary.left_out]
    return {
        "indexed": summary.indexed,
        "failed": summary.failed,
        "pending": summary.pending,
        "left_out": groups[:_RULES_SHOWN],
        "more_rules": max(0, len(groups) - _RULES_SHOWN),
    }


def path_below(root: Root, path: Path) -> bytes:
    """Return ``path`` relative to the root; b"" for the root. A path outside it is returned unchanged.

    Symlinks above the root are resolved, those inside it only if ``path`` is not below the root otherwise.
    """
    for candidate in (path, Path(os.path.realpath(path.parent)) / path.name, Path(os.path.realpath(path))):
        if candidate == root.spec.path:
            return b""
        if root.spec.path in candidate.parents:
            return os.fsencode(candidate.relative_to(root.spec.path))
    return os.fsencode(path)
