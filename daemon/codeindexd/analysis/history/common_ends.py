"""What two texts have in common at their beginning and at their end, and how little of them a diff needs to see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from codeindexd.analysis.history.lines import lines_of

_BLOCK = 8192  # bytes that are compared at once
_AROUND_BYTES = 4096  # on either side of a change
_MOST_CHANGED_BYTES = 8192
_LEAST_BYTES = 16384  # comparing shorter texts takes no longer than looking for a part of them
_EXAMINED = 24  # lines around a place by which git chooses among places: a word and the 20 blank lines up to it


class CommonEnds(NamedTuple):
    """How many bytes two texts have in common at their beginning and at their end; both may count the same bytes."""

    head: int
    tail: int

    def in_whole_lines(self, old: bytes, new: bytes) -> CommonEnds:
        """Return these of two texts in whole lines, of which none counts twice."""
        head = old.rfind(b"\n", 0, self.head) + 1
        tail = min(self.tail, min(len(old), len(new)) - head)
        if tail and not (_begins_line(old, len(old) - tail) and _begins_line(new, len(new) - tail)):
            newline = old.find(b"\n", len(old) - tail)
            tail = len(old) - newline - 1 if newline >= 0 else 0
        return CommonEnds(head, tail)


class CommonPart(NamedTuple):
    """The same part of two texts: from ``start`` on, to ``old_end`` and ``new_end``. Bytes of whole lines."""

    start: int
    old_end: int
    new_end: int


def common_ends(old: bytes, new: bytes) -> CommonEnds:
    """Return what two texts have in common at their ends."""
    limit = min(len(old), len(new))
    head = 0
    while head + _BLOCK <= limit and old[head : head + _BLOCK] == new[head : head + _BLOCK]:
        head += _BLOCK
    length = min(_BLOCK, limit - head)
    head += _equal_at_start(old[head : head + length], new[head : head + length])
    tail, old_end, new_end = 0, len(old), len(new)
    while tail + _BLOCK <= limit and (
        old[old_end - tail - _BLOCK : old_end - tail] == new[new_end - tail - _BLOCK : new_end - tail]
    ):
        tail += _BLOCK
    length = min(_BLOCK, limit - tail)
    tail += _equal_at_start(
        old[old_end - tail - length : old_end - tail][::-1], new[new_end - tail - length : new_end - tail][::-1]
    )
    return CommonEnds(head, tail)


def _equal_at_start(one: bytes, other: bytes) -> int:
    """Return how many bytes two texts of one length have in common at their beginning."""
    differing = np.frombuffer(one, dtype=np.uint8) != np.frombuffer(other, dtype=np.uint8)
    return int(differing.argmax()) if differing.any() else len(one)


def differing_part(old: bytes, new: bytes, ends: CommonEnds, *, ignore_whitespace: bool) -> CommonPart | None:
    """Return a part of two texts whose diff, by git's algorithm, is that of the whole; None if there may be none.

    The texts must differ. There is such a part if no line between their common ``ends`` is in both. A diff then has one
    change, which depends on nothing but the lines among which it can be moved, and on the indentation around them.
    """
    if len(old) < _LEAST_BYTES:
        return None
    head, tail = ends.in_whole_lines(old, new)
    old_tail, new_tail = len(old) - tail, len(new) - tail
    if max(old_tail, new_tail) - head > _MOST_CHANGED_BYTES:
        return None
    removed, added = lines_of(old[head:old_tail]), lines_of(new[head:new_tail])
    if not set(removed).isdisjoint(added):
        return None
    if ignore_whitespace and not set(map(_without_whitespace, removed)).isdisjoint(map(_without_whitespace, added)):
        return None
    start = old.rfind(b"\n", 0, max(0, head - _AROUND_BYTES)) + 1
    end = old.find(b"\n", old_tail + _AROUND_BYTES) + 1 or len(old)
    above, below = lines_of(old[start:head]), lines_of(old[old_tail:end])
    for changed in (removed, added):
        up, down = _reach(above, changed, below, ignore_whitespace=ignore_whitespace)
        if (start and up + _EXAMINED > len(above)) or (end < len(old) and down + _EXAMINED > len(below)):
            return None
    return CommonPart(start, end, end + len(new) - len(old))


def _reach(
    above: Sequence[bytes], changed: Sequence[bytes], below: Sequence[bytes], *, ignore_whitespace: bool
) -> tuple[int, int]:
    """Return by how many lines changed lines can be moved up and down, so that the text stays the same."""
    if not changed:
        return 0, 0

    def is_equal(one: int, other: int) -> bool:
        first, second = lines[one], lines[other]
        return first == second or (ignore_whitespace and _without_whitespace(first) == _without_whitespace(second))

    lines = [*above, *changed, *below]
    start, end = len(above), len(above) + len(changed)
    up = down = 0
    while up < start and is_equal(start - 1 - up, end - 1 - up):
        up += 1
    while end + down < len(lines) and is_equal(start + down, end + down):
        down += 1
    return up, down


def _without_whitespace(line: bytes) -> bytes:
    return b"".join(line.split())


def _begins_line(text: bytes, place: int) -> bool:
    return not place or text[place - 1 : place] == b"\n"
