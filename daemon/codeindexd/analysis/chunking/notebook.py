"""Jupyter notebooks: JSON whose cells are lists of strings, one line of code per row."""

from __future__ import annotations

import itertools
import re

from codeindexd.analysis.chunking.lines import Lines, join_blank, windows
from codeindexd.analysis.chunking.split import Limits
from codeindexd.types import Span

_CELL = re.compile(rb'\s*"cell_type":\s*"(\w+)"')
_OPEN = re.compile(rb"\s*\{\s*\Z")


def cells(lines: Lines, limits: Limits) -> list[Span]:
    """Return one chunk per cell (kind ``cell``), large cells in windows; text before the first cell is a ``block``."""
    starts: list[int] = []
    for row in range(lines.count):
        if _CELL.match(lines.text, lines.starts[row], min(lines.starts[row + 1], lines.starts[row] + 200)):
            opened = row
            while opened > 0 and opened > row - 3 and not _is_open(lines, opened):
                opened -= 1
            starts.append(opened if _is_open(lines, opened) else row)
    bounds = sorted({0, *starts, lines.count})
    pieces = [
        piece
        for start, end in itertools.pairwise(bounds)
        for piece in windows(lines, start, end, target=limits.target, limit=limits.limit)
    ]
    first = starts[0] if starts else lines.count
    return [
        Span(lines.starts[start], lines.starts[end], start + 1, end, "cell" if start >= first else "block")
        for start, end in join_blank(pieces, lines)
    ]


def _is_open(lines: Lines, row: int) -> bool:
    return bool(_OPEN.match(lines.text, lines.starts[row], min(lines.starts[row + 1], lines.starts[row] + 200)))
