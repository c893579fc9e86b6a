"""What is found out about lines: where they come from, and what changed them. It needs no library."""

from __future__ import annotations

from msgspec import Struct

Range = tuple[int, int]
"""Lines from the first to the second number, exclusive, counted from 0."""


class BlamedLines(Struct, frozen=True):
    """Consecutive lines of a file that come from consecutive lines of one commit. Lines count from 1.

    ``commit`` is None for lines that are not committed yet. ``path`` and ``original_line`` are the file's path and the
    first of the lines in the commit.
    """

    line: int
    count: int
    commit: bytes | None
    path: bytes
    original_line: int


class ChangedLines(Struct, frozen=True):
    """A commit that changed the lines in question, which were the lines ``ranges`` of ``path`` after it."""

    commit: bytes
    path: bytes
    ranges: tuple[Range, ...]
