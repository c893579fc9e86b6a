"""The commits that changed a range of lines, as ``git log -L`` finds them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence

from codeindexd.analysis.history.file_versions import FileVersion, FileVersions
from codeindexd.analysis.history.line_diff import Hunk, differing_lines
from codeindexd.analysis.history.line_origins import ChangedLines, Range


def commits_of_lines(
    versions: FileVersions, starts: Iterable[tuple[FileVersion, Sequence[Range]]]
) -> Iterator[ChangedLines]:
    """Yield the commits that changed some lines of a file, newest first, from the given versions of it on.

    A merge is among them only if the lines differ from those in each of its parents. Lines are followed through
    renames of the file. The iterator may be abandoned at any time. Raises MissingObjectError.
    """
    waiting: dict[FileVersion, tuple[Range, ...]] = {}
    queue: list[tuple[int, int, FileVersion]] = []
    pushed = 0

    def hand_on(version: FileVersion, ranges: tuple[Range, ...]) -> None:
        nonlocal pushed
        if not ranges:
            return
        version = versions.introduced(version, stop_at_merges=True)
        if version not in waiting:
            pushed += 1
            heapq.heappush(queue, (-versions.commit_time(version.commit), pushed, version))
        waiting[version] = _union(waiting.get(version, ()), ranges)

    for start, ranges in starts:
        hand_on(start, tuple(ranges))
    while queue:
        version = heapq.heappop(queue)[-1]
        ranges = waiting.pop(version)
        candidates: list[tuple[FileVersion, tuple[Range, ...]]] = []
        for found in versions.before(version):
            mapped, touched = lines_before(ranges, _hunks(versions, found, version, ranges))
            if not touched:
                hand_on(found, mapped)
                break
            candidates.append((found, mapped))
        else:
            for found, mapped in candidates:
                hand_on(found, mapped)
            yield ChangedLines(version.commit, version.path, ranges)


def lines_before(ranges: Sequence[Range], hunks: Sequence[Hunk]) -> tuple[tuple[Range, ...], bool]:
    """Return the lines of the old version from which ``ranges`` came, and True if a hunk touches them."""
    touching = [hunk for hunk in hunks if any(start < hunk.new_end and hunk.new_start < end for start, end in ranges)]
    kept = _difference(ranges, [(hunk.new_start, hunk.new_end) for hunk in touching])
    shifted = tuple((start + _shift(hunks, start), end + _shift(hunks, start)) for start, end in kept)
    return _union(shifted, tuple((hunk.old_start, hunk.old_end) for hunk in touching)), bool(touching)


def _hunks(versions: FileVersions, before: FileVersion, after: FileVersion, ranges: Sequence[Range]) -> list[Hunk]:
    """Return the hunks that say where ``ranges`` come from."""
    if before.blob == after.blob:
        return []
    # unlike blame, git log -L compares white space, and without the heuristic for indentation
    return differing_lines(
        versions.data(before.blob),
        versions.data(after.blob),
        ignore_whitespace=False,
        indent_heuristic=False,
        first=ranges[0][0],
        last=ranges[-1][1],
    )


def _shift(hunks: Sequence[Hunk], line: int) -> int:
    return sum(hunk.old_count - hunk.new_count for hunk in hunks if hunk.new_start <= line)


def _difference(ranges: Sequence[Range], removed: Sequence[Range]) -> list[Range]:
    kept: list[Range] = []
    for start, end in ranges:
        for removed_start, removed_end in removed:
            if start < removed_end and removed_start < end:
                if start < removed_start:
                    kept.append((start, removed_start))
                start = removed_end
        if start < end:
            kept.append((start, end))
    return kept


def _union(one: Sequence[Range], other: Sequence[Range]) -> tuple[Range, ...]:
    """Return the lines that are in either, as sorted ranges that do not touch; empty ranges are dropped."""
    merged: list[Range] = []
    for start, end in sorted([*one, *other]):
        if start == end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)
