"""Splits a text into rows, and cuts rows into windows."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

import numpy as np

NEWLINE = 10


class Lines:
    """The rows of ``text``, split at ``\\n`` only. Rows count from 0; ``starts`` also has the end of the text."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        ends = np.flatnonzero(np.frombuffer(text, np.uint8) == NEWLINE) + 1
        self.starts: list[int] = [0, *ends.tolist()]
        if self.starts[-1] != len(text):
            self.starts.append(len(text))

    @property
    def count(self) -> int:
        """The number of rows."""
        return len(self.starts) - 1

    def size(self, start: int, end: int) -> int:
        """Return the size in bytes of the rows from ``start`` to ``end`` (exclusive)."""
        return self.starts[end] - self.starts[start]

    def spanned(self, start_byte: int, end_byte: int) -> tuple[int, int]:
        """Return the rows that a byte range covers, as (first, after the last)."""
        first = bisect_right(self.starts, start_byte) - 1
        return first, max(first + 1, bisect_left(self.starts, end_byte, first))

    def is_blank(self, row: int) -> bool:
        """Return True if a row has only white space; False for rows of 200 bytes or more."""
        starts = self.starts
        return starts[row + 1] - starts[row] < 200 and not self.text[starts[row] : starts[row + 1]].strip()

    def indent(self, row: int) -> int:
        """Return the number of leading blanks of a row; a tab counts as one, which suffices to compare rows."""
        raw = self.text[self.starts[row] : min(self.starts[row + 1], self.starts[row] + 200)]
        return len(raw) - len(raw.lstrip())


def windows(lines: Lines, start: int, end: int, *, target: int, limit: int) -> list[tuple[int, int]]:
    """Cut the rows from ``start`` to ``end`` (exclusive) into windows of about ``target`` and at most ``limit`` bytes.

    Windows end in their last third: preferably before an unindented row after a blank one, else after a blank row, else
    before the least indented row. A row longer than ``limit`` is a window of its own.
    """
    out: list[tuple[int, int]] = []
    first = start
    row = start
    starts = lines.starts
    rest = min(target * 5 // 4, limit)  # the last window may be a little longer, so that no tiny one follows
    while row < end:
        size = starts[row + 1] - starts[first]
        if starts[row + 1] - starts[row] > limit:
            if row > first:
                out.append((first, row))
            out.append((row, row + 1))
            first = row + 1
        elif size > target and row > first and starts[end] - starts[first] > rest:
            cut = _best_cut(lines, first, row, target)
            out.append((first, cut))
            first = cut
            row = max(row, cut) - 1 if cut > row else row - 1
        row += 1
    if first < end:
        out.append((first, end))
    return out


def _best_cut(lines: Lines, first: int, row: int, target: int) -> int:
    """Return the row before which to cut; it is after ``first`` and at most ``row``."""
    best, best_score = row, -1.0
    earliest = lines.starts[first] + target * 2 // 3
    for cut in range(row, max(first, row - 60), -1):
        if lines.starts[cut] < earliest and cut != row:
            break
        after_blank = lines.is_blank(cut - 1)
        if lines.is_blank(cut):
            continue
        score = (2.0 if after_blank else 0.0) + 1.0 / (1 + lines.indent(cut))
        if score > best_score:
            best, best_score = cut, score
    return best


def join_blank(pieces: Iterable[tuple[int, int]], lines: Lines) -> list[tuple[int, int]]:
    """Join each blank piece (start, end) to the previous piece; join a blank first piece to the next one."""
    out: list[tuple[int, int]] = []
    starts, text = lines.starts, lines.text
    for start, end in pieces:
        blank = text[starts[start] : starts[end]].isspace()
        if out and (blank or text[starts[out[-1][0]] : starts[out[-1][1]]].isspace()):
            out[-1] = (out[-1][0], end)
        else:
            out.append((start, end))
    return out
