"""The lines in which two versions of a file differ, found exactly as ``git blame`` and ``git log -L`` find them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pygit2 import Patch
from pygit2.enums import DiffOption

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


def lines_of(data: bytes) -> list[bytes]:
    """Split a file into lines, each with its newline. Only the last one can lack it."""
    lines = data.split(b"\n")
    last = lines.pop()
    whole = [line + b"\n" for line in lines]
    return [*whole, last] if last else whole


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
    near = known_differences(old, new, first=first, last=last)
    if near is not None:
        return near
    old, new = _without_common_end(old, new)
    flags = DiffOption.FORCE_TEXT
    if ignore_whitespace:
        flags |= DiffOption.IGNORE_WHITESPACE
    if indent_heuristic:
        flags |= DiffOption.INDENT_HEURISTIC
    patch = Patch.create_from(old, new, flag=flags, context_lines=0, interhunk_lines=0)
    return [
        Hunk(
            hunk.old_start - (hunk.old_lines > 0),
            hunk.old_lines,
            hunk.new_start - (hunk.new_lines > 0),
            hunk.new_lines,
        )
        for hunk in patch.hunks
    ]


def known_differences(old: bytes, new: bytes, *, first: int = 0, last: int | None = None) -> list[Hunk] | None:
    """Return what :func:`differing_lines` returns if that is certain without a comparison, else None."""
    if old == new:
        return []
    whole = len(new)
    old, new = _without_common_end(old, new)
    if first and len(new) < whole and new.endswith(b"\n") and (lines := new.count(b"\n")) <= first:
        return [Hunk(0, old.count(b"\n"), 0, lines)]
    if last is not None and last <= _surely_equal_lines(old, new):
        return []
    return None


def _without_common_end(old: bytes, new: bytes) -> tuple[bytes, bytes]:
    """Return both texts without what git cuts off before it compares: equal blocks at the end, but for a first line."""
    blocks = _most(lambda n: old.endswith(new[len(new) - n * _BLOCK :]), min(len(old), len(new)) // _BLOCK)
    newline = old.find(b"\n", len(old) - blocks * _BLOCK)
    if not blocks or newline < 0:
        return old, new
    cut = len(old) - (newline + 1)
    return old[: len(old) - cut], new[: len(new) - cut]


def _surely_equal_lines(old: bytes, new: bytes) -> int:
    """Return how many lines at the start are equal and far enough from the first difference.

    Where lines are repeated, a diff may show a change some lines before the first difference.
    """
    if old[:_REACH_BYTES] != new[:_REACH_BYTES]:
        return 0
    equal = _most(lambda n: old.startswith(new[:n]), min(len(old), len(new)))
    return new.count(b"\n", 0, max(0, equal - _REACH_BYTES))


def _most(holds: Callable[[int], bool], limit: int) -> int:
    """Return the largest number up to ``limit`` for which ``holds``, which must hold for all smaller ones, and 0."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low
