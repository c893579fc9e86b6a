"""Blame: the commit from which each line of a file comes, as ``git blame -w -M`` finds it."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Sequence
from itertools import accumulate

from msgspec import Struct

from codeindexd.analysis.history.file_versions import FileVersion, FileVersions
from codeindexd.analysis.history.line_diff import Hunk, differing_lines
from codeindexd.analysis.history.line_origins import BlamedLines
from codeindexd.analysis.history.lines import lines_of
from codeindexd.analysis.history.reformatted_lines import similar_lines

_LEAST_MOVE_SCORE = 20  # letters and digits, plus one; fewer are too common to say that lines have moved
_NO_WORD_BYTES = bytes(byte for byte in range(256) if not (byte < 128 and chr(byte).isalnum()))


class _Run(Struct):
    """Lines whose commit is being searched: ``count`` lines from ``final`` on, which are ``source`` on in a version."""

    final: int
    count: int
    source: int

    def part(self, start: int, end: int) -> _Run:
        """Return the lines from ``start`` to ``end`` of the version, which must lie in this run."""
        return _Run(self.final + start - self.source, end - start, start)

    @property
    def end(self) -> int:
        """The first line of the version after the run."""
        return self.source + self.count


def blame(
    versions: FileVersions,
    path: bytes,
    data: bytes,
    committed: Sequence[FileVersion],
    *,
    first: int = 1,
    last: int | None = None,
    ignored: Collection[bytes] = frozenset(),
) -> list[BlamedLines]:
    """Return the origins of the lines ``first`` to ``last`` (default: all) of a file whose content now is ``data``.

    ``committed`` are the versions of the file in HEAD, and in the commits being merged. Changes of white space do not
    count as changes, and lines keep their commit when they move within the file or with a renamed one. Changes of the
    commits ``ignored`` are attributed to the commits before them as far as their lines can be recognized.

    Raises MissingObjectError.
    """
    lines = lines_of(data)
    last = len(lines) if last is None else min(last, len(lines))
    if first > last:
        return []
    search = _Search(versions, lines, first - 1, last, frozenset(ignored))
    search.run(data, committed)
    return search.result(path)


class _Search:
    """The state of one search for the origins of lines."""

    def __init__(
        self, versions: FileVersions, lines: Sequence[bytes], first: int, last: int, ignored: frozenset[bytes]
    ) -> None:
        self._versions = versions
        self._lines = lines
        self._first = first
        self._last = last
        self._ignored = ignored
        self._word_bytes = [
            0,
            *accumulate(len(line.translate(None, _NO_WORD_BYTES)) for line in lines[first:last]),
        ]
        self._waiting: defaultdict[FileVersion, list[_Run]] = defaultdict(list)
        self._queue: list[tuple[int, int, FileVersion]] = []
        self._found: list[tuple[FileVersion | None, _Run]] = []

    def run(self, data: bytes, committed: Sequence[FileVersion]) -> None:
        """Follow the lines back, newest commit first, so that what meets at a commit is followed together."""
        runs = [_Run(self._first, self._last - self._first, self._first)]
        same = next((version for version in committed if self._versions.data(version.blob) == data), None)
        if same is not None:
            self._hand_on(same, runs)
        else:
            self._found += [(None, run) for run in self._without_inherited(None, data, runs, committed)]
        while self._queue:
            version = heapq.heappop(self._queue)[-1]
            runs = sorted(self._waiting.pop(version), key=lambda run: run.source)
            before = self._versions.before(version)
            renamed = next((found for found in before if found.blob == version.blob), None)
            if renamed is not None:
                self._hand_on(renamed, runs)
                continue
            rest = self._without_inherited(version, None, runs, before)
            self._found += [(version, run) for run in rest]

    def result(self, path: bytes) -> list[BlamedLines]:
        """Return what was found, by line; neighbours of one origin are joined."""
        joined: list[BlamedLines] = []
        for version, run in sorted(self._found, key=lambda found: found[1].final):
            found = BlamedLines(
                run.final + 1,
                run.count,
                version.commit if version is not None else None,
                version.path if version is not None else path,
                run.source + 1,
            )
            if joined and _continues(joined[-1], found):
                found = BlamedLines(
                    joined[-1].line, joined[-1].count + run.count, found.commit, found.path, joined.pop().original_line
                )
            joined.append(found)
        return joined

    def _hand_on(self, version: FileVersion, runs: list[_Run]) -> None:
        """Queue ``runs`` for the commit that introduced ``version``."""
        if not runs:
            return
        version = self._versions.introduced(version)
        if version not in self._waiting:
            newest_first = -self._versions.commit_time(version.commit)
            heapq.heappush(self._queue, (newest_first, len(self._found) + len(self._queue), version))
        self._waiting[version] += runs

    def _without_inherited(
        self, of: FileVersion | None, working: bytes | None, runs: list[_Run], before: Sequence[FileVersion]
    ) -> list[_Run]:
        """Hand the inherited lines of a version on to the versions ``before`` it, and return the others.

        The version is ``of``; if that is None, it is the working file, whose content is ``working``.
        """
        before = list({version.blob: version for version in reversed(before)}.values())[::-1]
        hunks_by_blob: dict[bytes, Sequence[Hunk]] = {}
        for version in before:
            first, last = min(run.source for run in runs), max(run.end for run in runs)
            if of is not None:
                hunks = self._versions.differing_lines(version.blob, of.blob, first=first, last=last)
            else:
                old = self._versions.data(version.blob)
                hunks = differing_lines(old, working or b"", ignore_whitespace=True, first=first, last=last)
            hunks_by_blob[version.blob] = hunks
            runs, inherited = _divided(runs, hunks)
            self._hand_on(version, inherited)
            if not runs:
                return []
        if of is not None and of.commit in self._ignored:
            lines = lines_of(self._versions.data(of.blob))
            for version in before:
                runs, inherited = _recognized(
                    runs, hunks_by_blob[version.blob], lines_of(self._versions.data(version.blob)), lines
                )
                self._hand_on(version, inherited)
        return self._without_moved(runs, before)

    def _without_moved(self, runs: list[_Run], before: Sequence[FileVersion]) -> list[_Run]:
        """Hand on the lines that are elsewhere in the versions before, and return the others."""
        too_small = [run for run in runs if self._score(run) <= _LEAST_MOVE_SCORE]
        runs = [run for run in runs if self._score(run) > _LEAST_MOVE_SCORE]
        for version in before:
            data = self._versions.data(version.blob)
            moved: list[_Run] = []
            unmoved: list[_Run] = []
            while runs:
                remaining: list[_Run] = []
                for run in runs:
                    found = self._moved_part(run, data)
                    if found is None:
                        unmoved.append(run)
                        continue
                    start, part = found
                    moved.append(part)
                    if start > run.source:
                        remaining.append(run.part(run.source, start))
                    if start + part.count < run.end:
                        remaining.append(run.part(start + part.count, run.end))
                too_small += [run for run in remaining if self._score(run) <= _LEAST_MOVE_SCORE]
                runs = [run for run in remaining if self._score(run) > _LEAST_MOVE_SCORE]
            self._hand_on(version, moved)
            runs = unmoved
        return runs + too_small

    def _moved_part(self, run: _Run, data: bytes) -> tuple[int, _Run] | None:
        """Find the part of a run with most letters that is in ``data``: its first line, and the run in ``data``."""
        text = b"".join(self._lines[run.final : run.final + run.count])
        best: tuple[int, _Run] | None = None
        best_score = _LEAST_MOVE_SCORE
        start, old_start = 0, 0
        for hunk in [*differing_lines(data, text, ignore_whitespace=True), Hunk(0, 0, run.count, 0)]:
            if hunk.new_start > start:
                part = _Run(run.final + start, hunk.new_start - start, old_start)
                score = self._score(part)
                if score > _LEAST_MOVE_SCORE and score >= best_score:
                    best, best_score = (run.source + start, part), score
            start, old_start = hunk.new_end, hunk.old_end
        return best

    def _score(self, run: _Run) -> int:
        start = run.final - self._first
        return 1 + self._word_bytes[start + run.count] - self._word_bytes[start]


def _continues(before: BlamedLines, after: BlamedLines) -> bool:
    return (
        before.line + before.count == after.line
        and before.original_line + before.count == after.original_line
        and (before.commit, before.path) == (after.commit, after.path)
    )


def _divided(runs: list[_Run], hunks: Sequence[Hunk]) -> tuple[list[_Run], list[_Run]]:
    """Divide runs at hunks: into lines that differ, and those that the old version has, with their places there."""
    differing: list[_Run] = []
    inherited: list[_Run] = []
    for run in runs:
        start = run.source
        number = bisect_right(hunks, start, key=lambda hunk: hunk.new_end)
        while start < run.end:
            hunk = hunks[number] if number < len(hunks) else None
            if hunk is not None and hunk.new_start <= start:
                end = min(run.end, hunk.new_end)
                if end > start:
                    differing.append(run.part(start, end))
                number += 1
            else:
                end = run.end if hunk is None else min(run.end, hunk.new_start)
                shift = hunks[number - 1].old_end - hunks[number - 1].new_end if number else 0
                part = run.part(start, end)
                inherited.append(_Run(part.final, part.count, part.source + shift))
            start = end
    return differing, inherited


def _recognized(
    runs: list[_Run], hunks: Sequence[Hunk], old: Sequence[bytes], new: Sequence[bytes]
) -> tuple[list[_Run], list[_Run]]:
    """Divide runs into lines that no line of the old version resembles, and those that one does, with their places."""
    origins: dict[int, int] = {}
    for hunk in hunks:
        if any(run.source < hunk.new_end and hunk.new_start < run.end for run in runs):
            similar = similar_lines(old[hunk.old_start : hunk.old_end], new[hunk.new_start : hunk.new_end])
            for place, match in enumerate(similar):
                if match is not None:
                    origins[hunk.new_start + place] = hunk.old_start + match
    unknown: list[_Run] = []
    inherited: list[_Run] = []
    for run in runs:
        for line in range(run.source, run.end):
            single = run.part(line, line + 1)
            if line in origins:
                inherited.append(_Run(single.final, 1, origins[line]))
            else:
                unknown.append(single)
    return unknown, inherited
