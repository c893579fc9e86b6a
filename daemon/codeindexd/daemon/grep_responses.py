"""Builds the JSON results of ``grep``: lines or counts of files, in one answer or in parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from codeindexd.daemon.left_out import NotSearched
from codeindexd.daemon.search_responses import cell_fields, state_of
from codeindexd.protocol.methods import HOW_TO_NARROW, MAX_LINES
from codeindexd.protocol.places import path_to_json
from codeindexd.quantities import quantity
from codeindexd.search.grep import FileCount, GrepTotals, MatchedLine
from codeindexd.search.grep_stream import Found, GrepStream
from codeindexd.search.regexes import notes_on_line_ends
from codeindexd.search.searcher import GrepAnswer


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
    found_entries = {"counts": [*map(_count_entry, counts)]} if counted else {"matches": [*map(_line_entry, lines)]}
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
    return bool(params["count"] or params["files_only"] or params["files_without"])


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
    notes = [*unavailable, *(place.note for place in unsearched)]
    if is_cut:
        more = totals.total - returned
        can_be_raised = params["stream"] or (params["limit"] or 0) < MAX_LINES
        advice = f"{'raise the limit, or ' if can_be_raised else ''}{HOW_TO_NARROW}"
        notes.append(f"{quantity(more, 'more line matches', 'more lines match')}; {advice}")
    if not totals.total and not params["fixed"]:
        notes += notes_on_line_ends([params["pattern"], *(params["others"] or [])])
    notes += [f"{quantity(files, 'file')} left out: {reason}" for reason, files in sorted(totals.left_out.items())]
    left_out = totals.left_out + Counter(place.reason for place in unsearched if place.reason)
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
        "state": state_of(found, unavailable).value,
        **({"notes": notes} if notes else {}),
    }


def grep_entries(found: Sequence[Found], *, counted: bool) -> dict[str, Any]:
    """Return a part of the results of a streamed ``grep``: lines, or counts of files."""
    if counted:
        return {"counts": [_count_entry(count) for count in found if isinstance(count, FileCount)]}
    return {"matches": [_line_entry(line) for line in found if isinstance(line, MatchedLine)]}


def _line_entry(line: MatchedLine) -> dict[str, Any]:
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
        **cell_fields(line.cell),
        **({"before_lines": list(line.before_lines)} if line.cell and line.before else {}),
        **({"after_lines": list(line.after_lines)} if line.cell and line.after else {}),
    }


def _count_entry(count: FileCount) -> dict[str, Any]:
    """Return the entry of a file with its number of matching lines."""
    return {**path_to_json(count.root.spec.raw, key="root"), **path_to_json(count.path), "count": count.count}
