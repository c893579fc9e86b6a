"""The lines in which two versions of a file differ, found exactly as ``git blame`` and ``git log -L`` find them."""

from __future__ import annotations

from typing import NamedTuple

from pygit2 import Patch
from pygit2.enums import DiffOption

from codeindexd.analysis.history.common_ends import CommonEnds, common_ends, differing_part

_BLOCK = 1024  # git leaves out the common end in blocks of this size, which decides between equally short diffs
_REACH_BYTES = 8 * 1024  # a change is shown no further from where the texts differ first


class Hunk(NamedTuple):
    """Lines of the old version, and those of the new one in their place. Lines count from 0; one side can be empty."""

    old_start: int
    old_count: int
    new_start: int
    new_count: int

    @property
    def old_end(self) -> int:
        """The first line of the old version after the hunk."""
        return self.old_start + self.old_count

    @property
    def new_end(self) -> int:
        """The first line of the new version after the hunk."""
        return self.new_start + self.new_count


class Comparison:
    """Two versions of a file, of which only as much is compared as the lines in question need."""

    def __init__(self, old: bytes, new: bytes) -> None:
        self._old = old
        self._new = new
        self._ends = common_ends(old, new)

    def certain(self, first: int, last: int | None) -> list[Hunk] | None:
        """Return what :meth:`hunks` says of the lines ``first`` to ``last``, if that takes no comparison; else None.

        The result is exact in these lines: differences outside may be left out after them, and be one hunk before them.
        """
        old, new = self._old, self._new
        if old == new:
            return []
        cut = self._cut_by_git()
        end = len(new) - cut
        if first and cut and new[end - 1 : end] == b"\n" and (lines := new.count(b"\n", 0, end)) <= first:
            return [Hunk(0, old.count(b"\n", 0, len(old) - cut), 0, lines)]
        # where lines are repeated, a diff may show a change some lines before the first difference
        surely_equal = max(0, min(self._ends.head, end, len(old) - cut) - _REACH_BYTES)
        if last is not None and last <= new.count(b"\n", 0, surely_equal):
            return []
        return None

    def hunks(self, *, ignore_whitespace: bool, indent_heuristic: bool = True) -> list[Hunk]:
        """Return all hunks, in ascending order."""
        cut = self._cut_by_git()
        old, new = self._old[: len(self._old) - cut], self._new[: len(self._new) - cut]
        ends = CommonEnds(min(self._ends.head, len(old), len(new)), self._ends.tail - cut)
        part = differing_part(old, new, ends, ignore_whitespace=ignore_whitespace) if old != new else None
        lines_before = 0
        if part is not None:
            lines_before = old.count(b"\n", 0, part.start)
            old, new = old[part.start : part.old_end], new[part.start : part.new_end]
        flags = DiffOption.FORCE_TEXT
        if ignore_whitespace:
            flags |= DiffOption.IGNORE_WHITESPACE
        if indent_heuristic:
            flags |= DiffOption.INDENT_HEURISTIC
        patch = Patch.create_from(old, new, flag=flags, context_lines=0, interhunk_lines=0)
        return [
            Hunk(
                lines_before + hunk.old_start - (hunk.old_lines > 0),
                hunk.old_lines,
                lines_before + hunk.new_start - (hunk.new_lines > 0),
                hunk.new_lines,
            )
            for hunk in patch.hunks
        ]

    def _cut_by_git(self) -> int:
        """Return how many bytes git cuts off before it compares: equal blocks at the end, but for a first line."""
        length = self._ends.tail // _BLOCK * _BLOCK
        newline = self._old.find(b"\n", len(self._old) - length) if length else -1
        return len(self._old) - (newline + 1) if newline >= 0 else 0


def differing_lines(
    old: bytes,
    new: bytes,
    *,
    ignore_whitespace: bool,
    indent_heuristic: bool = True,
    first: int = 0,
    last: int | None = None,
) -> list[Hunk]:
    """Return the hunks between two versions of a file, in ascending order.

    Only what lies in the lines ``first`` to ``last`` (exclusive) of the new version is exact: differences outside may
    be left out after them, and summed up in one hunk before them.
    """
    comparison = Comparison(old, new)
    certain = comparison.certain(first, last)
    if certain is not None:
        return certain
    return comparison.hunks(ignore_whitespace=ignore_whitespace, indent_heuristic=indent_heuristic)
