"""Builds the JSON results of the methods about the history of lines, files and definitions."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from codeindexd.analysis.chunking.notation import native_name
from codeindexd.analysis.history.line_origins import ChangedLines
from codeindexd.analysis.history.record import Change, Commit
from codeindexd.daemon.commit_entries import commit_entry, unfinished_note
from codeindexd.indexing.line_questions import LineAnswer
from codeindexd.protocol.places import path_to_json
from codeindexd.quantities import quantity
from codeindexd.roots import Root
from codeindexd.search.file_roles import is_test
from codeindexd.search.graph.queries import ShownDefinition
from codeindexd.search.history.changes import (
    FileChanges,
    TogetherDefinitions,
    TogetherFiles,
    TouchedDefinition,
)
from codeindexd.search.history.together import LARGE_COMMIT, Companion
from codeindexd.storage.history import HistoryState

Entry = dict[str, Any]
_SHALLOW = "the repository was cloned without its older commits, so older changes are not known"
_FETCH = "to fetch them: git fetch --unshallow"


class DefinitionHistory(Struct, frozen=True):
    """A definition, and what a worker found out about the lines of it."""

    root: Root
    definition: ShownDefinition
    found: LineAnswer


def why(
    root: Root,
    path: bytes,
    asked: tuple[int, int],
    definition: ShownDefinition | None,
    found: LineAnswer,
    earlier: tuple[Sequence[TouchedDefinition], bool] | None,
    *,
    took_s: float,
) -> Entry:
    """Return the result of ``history.why``. ``earlier`` replaces the changes that a worker found, unless it is None."""
    first, last = asked[0], min(asked[1], found.line_count)
    by_id = {commit.id: commit for commit in found.commits}
    lines: defaultdict[bytes, list[list[int]]] = defaultdict(list)
    for run in found.origins:
        if run.commit is not None:
            lines[run.commit].append([run.line, run.line + run.count - 1])
    newest_first = sorted(lines, key=lambda commit_id: -by_id[commit_id].commit_time)
    notes = []
    if set(found.boundary) & lines.keys():
        notes.append(f"{_SHALLOW}; {_FETCH}")
    if found.ignored:
        notes.append(f"commits listed in .git-blame-ignore-revs ({found.ignored:,}) were looked through")
    return {
        **path_to_json(root.spec.raw, key="root"),
        **path_to_json(path),
        "start_line": first,
        "end_line": last,
        "text": found.text,
        "lines": [
            {
                "line": run.line,
                "count": run.count,
                "commit": run.commit.hex() if run.commit is not None else None,
                **_original(run.path),
                "original_line": run.original_line,
            }
            for run in found.origins
        ],
        "commits": [
            {
                **commit_entry(by_id[commit_id]),
                "lines": lines[commit_id],
                **({"boundary": True} if commit_id in found.boundary else {}),
            }
            for commit_id in newest_first
        ],
        "definition": _definition(definition) if definition is not None else None,
        "earlier": (
            [_changed_entry(change, by_id[change.commit]) for change in found.changes]
            if earlier is None
            else [{**commit_entry(change.commit), **_original(change.touched[0][0])} for change in earlier[0]]
        ),
        "more_earlier": found.has_more if earlier is None else earlier[1],
        **_tail(notes, took_s),
    }


def of_path(top: Path, path: bytes, found: FileChanges, *, took_s: float) -> Entry:
    """Return the result of ``history.of`` for a file or directory below ``top``, the root or a repository in it."""
    return {
        **_root(top),
        **path_to_json(path),
        "commits": [
            {
                **commit_entry(commit.commit, short_id=commit.short_id),
                "changes": [_change(change, found.prefix, commit.copied_from) for change in commit.changes],
            }
            for commit in found.commits
        ],
        "total": found.total,
        "truncated": found.total > len(found.commits),
        **_tail(state_notes(found.state), took_s),
    }


def of_definitions(
    name: str, histories: Sequence[DefinitionHistory], *, limit: int, left_out: int, took_s: float
) -> Entry:
    """Return the result of ``history.of`` for definitions that exist."""
    commits: dict[bytes, Commit] = {}
    changed: defaultdict[bytes, list[Entry]] = defaultdict(list)
    for history in histories:
        by_id = {commit.id: commit for commit in history.found.commits}
        symbol = _symbol(history.definition)
        for change in history.found.changes:
            commits[change.commit] = by_id[change.commit]
            changed[change.commit].append({**_ranges(change), "symbol": symbol})
    newest_first = sorted(commits, key=lambda commit_id: -commits[commit_id].commit_time)
    notes = []
    if left_out:
        others = quantity(left_out, "more definition has", "more definitions have")
        notes.append(f"{others} this name; qualify it, or ask for one by PATH:LINE")
    if any(history.found.boundary for history in histories):
        notes.append(f"{_SHALLOW}; {_FETCH}")
    return {
        "name": name,
        "definitions": [
            {**path_to_json(history.root.spec.raw, key="root"), **_definition(history.definition)}
            for history in histories
        ],
        "commits": [
            {**commit_entry(commits[commit_id]), "changed": changed[commit_id]} for commit_id in newest_first[:limit]
        ],
        "total": len(newest_first),
        "truncated": len(newest_first) > limit or any(history.found.has_more for history in histories),
        **_tail(notes, took_s),
    }


def of_former(
    name: str, touched: Sequence[tuple[Path, Sequence[TouchedDefinition]]], similar: Sequence[str], *, took_s: float
) -> Entry:
    """Return the result of ``history.of`` for a name that has no definition now."""
    entries = [
        (
            former.commit.commit_time,
            {
                **commit_entry(former.commit, short_id=former.short_id),
                "changed": [
                    {
                        **_root(top),
                        **path_to_json(path.removeprefix(former.prefix)),
                        "symbol": symbol,
                    }
                    for path, symbol in dict.fromkeys(former.touched)
                ],
            },
        )
        for top, found in touched
        for former in found
    ]
    entries.sort(key=lambda entry: -entry[0])
    notes = ["no definition has this name now; these commits touched one that had it"]
    if not entries:
        notes = [f"no definition is called {name}, and no known commit touched one"]
    return {
        "name": name,
        "definitions": [],
        "commits": [entry for _, entry in entries],
        "total": len(entries),
        "truncated": False,
        **({"similar": list(similar)} if similar and not entries else {}),
        **_tail(notes, took_s),
    }


def together_with_path(top: Path, path: bytes, found: TogetherFiles, *, limit: int, took_s: float) -> Entry:
    """Return the result of ``history.together`` for a file or directory below ``top``, as in :func:`of_path`."""
    companions = found.found
    files = [companion for companion in companions.found if companion.item.startswith(found.prefix)]
    return {
        **_root(top),
        **path_to_json(path),
        "commits": companions.counted,
        "large_commits": companions.large,
        **_files_and_tests(files, found, limit),
        "total": len(files),
        **_tail([*state_notes(found.state), *_large(companions.large)], took_s),
    }


def together_with_definition(top: Path, name: str, found: TogetherDefinitions, *, limit: int, took_s: float) -> Entry:
    """Return the result of ``history.together`` for a definition below ``top``, as in :func:`of_path`."""
    definitions = [companion for companion in found.definitions.found if companion.item[0].startswith(found.prefix)]
    files = [companion for companion in found.files.found if companion.item.startswith(found.prefix)]
    return {
        **_root(top),
        "name": name,
        "symbols": list(found.names),
        "commits": found.files.counted,
        "large_commits": found.files.large,
        "definitions": [
            {
                **path_to_json(companion.item[0].removeprefix(found.prefix)),
                "symbol": companion.item[1],
                **_figures(companion, found.commits),
            }
            for companion in definitions
            if not is_test(companion.item[0])
        ][:limit],
        **_files_and_tests(files, found, limit),
        "total": len(definitions),
        **_tail([*state_notes(found.state), *_large(found.files.large)], took_s),
    }


def together_with_nothing(name: str, similar: Sequence[str], *, took_s: float) -> Entry:
    """Return the result of ``history.together`` for a name of which no known commit touched a definition."""
    return {
        "name": name,
        "symbols": [],
        "commits": 0,
        "large_commits": 0,
        "definitions": [],
        "files": [],
        "tests": [],
        "total": 0,
        **({"similar": list(similar)} if similar else {}),
        **_tail([f"no known commit changed a definition called {name}"], took_s),
    }


def state_notes(state: HistoryState) -> list[str]:
    """Return what an answer from an indexed history may lack, and why."""
    notes = []
    if not state.is_complete:
        notes.append(unfinished_note(state.known, state.total))
    if state.is_truncated:
        notes.append("older commits are left out; to index more of them, raise history.max_commits")
    if state.is_shallow:
        notes.append(f"{_SHALLOW}; {_FETCH}")
    if state.missing or state.unreadable:
        unread = quantity(state.missing + state.unreadable, "commit")
        notes.append(f"{unread} cannot be read; check the repository: git fsck")
    return notes


def _large(count: int) -> list[str]:
    if not count:
        return []
    left_out = f"{quantity(count, 'commit')} with more than {LARGE_COMMIT} files left out"
    return [f"{left_out}: so many files say nothing about what belongs together"]


def _files_and_tests(
    companions: Sequence[Companion[bytes]], found: TogetherFiles | TogetherDefinitions, limit: int
) -> Entry:
    """Return the fields ``files`` and ``tests``, each with the first ``limit`` of the companions of its kind."""
    entries: dict[str, list[Entry]] = {"files": [], "tests": []}
    for companion in companions:
        kind = entries["tests" if is_test(companion.item) else "files"]
        if len(kind) < limit:
            kind.append(
                {**path_to_json(companion.item.removeprefix(found.prefix)), **_figures(companion, found.commits)}
            )
    return entries


def _figures(companion: Companion[Any], commits: Mapping[int, Commit]) -> Entry:
    newest = commits.get(companion.commits[0])
    return {
        "count": companion.count,
        "total": companion.total,
        "confidence": round(companion.confidence, 4),
        "score": round(companion.score, 4),
        **({"last": _brief(newest)} if newest is not None else {}),
    }


def _brief(commit: Commit) -> Entry:
    entry = commit_entry(commit)
    return {field: entry[field] for field in ("id", "short_id", "author", "date", "subject")}


def _changed_entry(change: ChangedLines, commit: Commit) -> Entry:
    return {**commit_entry(commit), **_ranges(change)}


def _ranges(change: ChangedLines) -> Entry:
    return {**_original(change.path), "lines": [[start + 1, end] for start, end in change.ranges]}


def _root(top: Path) -> Entry:
    return path_to_json(os.fsencode(top), key="root")


def _original(path: bytes) -> Entry:
    """Return a path below the top of the repository."""
    return path_to_json(path, key="original_path")


def _change(change: Change, prefix: bytes, copied_from: bytes) -> Entry:
    copied = path_to_json(copied_from.removeprefix(prefix), key="copied_from") if copied_from else {}
    return {
        **path_to_json(change.path.removeprefix(prefix)),
        "kind": change.kind.value,
        "added": change.added,
        "removed": change.removed,
        **(path_to_json(change.old_path.removeprefix(prefix), key="old_path") if change.old_path else {}),
        **copied,
        "definitions": list(change.definitions),
    }


def _definition(definition: ShownDefinition) -> Entry:
    details = definition.target.definition
    first, last = extent_of(definition)
    return {
        **path_to_json(definition.target.file.path),
        "symbol": _symbol(definition),
        "kind": details.kind,
        "line": definition.line.number,
        "start_line": first,
        "end_line": last,
    }


def extent_of(definition: ShownDefinition) -> tuple[int, int]:
    """Return the first and the last line of a definition, moved as far as its name has moved since it was indexed."""
    details = definition.target.definition
    moved = definition.line.number - details.line
    return max(1, details.start_line + moved), max(1, details.end_line + moved)


def _symbol(definition: ShownDefinition) -> str:
    target = definition.target
    return native_name(target.file.definitions, target.number, target.file.language)


def _tail(notes: Iterable[str], took_s: float) -> Entry:
    told = [*dict.fromkeys(notes)]
    return {"took_ms": round(took_s * 1000, 2), **({"notes": told} if told else {})}
