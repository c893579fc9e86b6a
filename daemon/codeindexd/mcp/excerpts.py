"""Chooses the lines of a chunk that a model is shown: its signature, and those around its best line."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from codeindexd.protocol.printable import safe_line
from codeindexd.protocol.snippets import lines_of
from codeindexd.quantities import quantity

if TYPE_CHECKING:
    from codeindexd.client.results import Definition, Hit, Place

MAX_LINE_CHARS = 200
MAX_NAME_CHARS = 100
MAX_PATH_CHARS = 200
_MAX_LINES = 80
_SIGNATURE_WITHIN = 40  # lines: documentation and decorators come before it
_WORD = re.compile(r"\w{3,}")


class Detail(enum.IntEnum):
    """How much of a chunk is shown: the number of lines on each side of the best line, and the signature."""

    PLACE = -1
    LINE = 0
    CORE = 2
    AROUND = 8
    WHOLE = _MAX_LINES


def words_of(query: str) -> frozenset[str]:
    """Return the words of a query in lower case; long lines are cut so that these stay."""
    return frozenset(word.lower() for word in _WORD.findall(query))


def headline(place: Hit | Place | Definition, path: str) -> str:
    """Return ``path:line  symbol  kind``."""
    parts = [f"{middle_cut(path, MAX_PATH_CHARS)}:{best_line(place)}"]
    if "cell" in place:
        parts.append(f"cell {place['cell']}")
    if place["symbol"]:
        parts.append(middle_cut(place["symbol"], MAX_NAME_CHARS))
    parts.append(place["kind"])
    if isinstance(copies := place.get("copy_count"), int):
        parts.append(f"+{quantity(copies, 'identical copy', 'identical copies')}")
    return "  ".join(parts)


def best_line(place: Hit | Place | Definition) -> int:
    """Return the line that an editor should open."""
    line = place.get("name_line", place.get("best_line"))
    return place["start_line"] if line is None else int(line)  # type: ignore[call-overload]


def excerpt(place: Hit | Place | Definition, detail: Detail, words: frozenset[str]) -> str:
    """Return lines of the chunk; each run of lines begins with the number of its first line, as in ``12: def f():``.

    In a notebook, lines are counted in the cell.
    """
    if detail is Detail.PLACE:
        return ""
    lines = lines_of(place["snippet"])
    first = place.get("cell_line", place["start_line"])
    best = min(max(0, _best_row(place)), max(0, len(lines) - 1))
    shown = set(range(max(0, best - detail), min(len(lines), best + detail + 1)))
    if detail >= Detail.CORE:
        shown |= _signature(lines, place["symbol"])
    return "\n".join(_numbered(lines, sorted(_without_blank_ends(lines, shown)), first, words))


def _best_row(place: Hit | Place | Definition) -> int:
    in_cell: Any = place.get("best_cell_line")
    if in_cell is not None:
        return int(in_cell) - int(place.get("cell_line", in_cell))
    return best_line(place) - place["start_line"]


def _signature(lines: list[str], symbol: str) -> set[int]:
    """Return the row in which the name is defined, as well as one can tell without a parser; none in later windows."""
    name = re.split(r"[.:#]+", symbol)[-1]
    if not name:
        return set()
    pattern = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    for row, line in enumerate(lines[:_SIGNATURE_WITHIN]):
        if pattern.search(line) and not line.lstrip().startswith(("#", "//", "*", "/*", "--", '"', "'", "@")):
            return {row}
    return set()


def _without_blank_ends(lines: list[str], shown: set[int]) -> set[int]:
    """Return the rows without blank lines that begin or end a run."""
    kept = set(shown)
    for row in sorted(shown):
        if not lines[row].strip() and row - 1 not in kept:
            kept.discard(row)
    for row in sorted(kept, reverse=True):
        if not lines[row].strip() and row + 1 not in kept:
            kept.discard(row)
    return kept


def _numbered(lines: list[str], rows: list[int], first: int, words: frozenset[str]) -> Iterator[str]:
    last = None
    for row in rows[:_MAX_LINES]:
        text = cut_line(lines[row].rstrip(), words)
        yield f"{first + row}: {text}" if last is None or row != last + 1 else text
        last = row


def cut_line(text: str, words: frozenset[str]) -> str:
    """Return the line; of a long one, only the part around the first of ``words``."""
    if len(text) <= MAX_LINE_CHARS:
        return text
    lowered = text.lower()
    found = [place for word in words if (place := lowered.find(word)) >= 0]
    return cut_at(text, min(found, default=0))


def cut_at(text: str, place: int) -> str:
    """Return the part of a long line around the character ``place``."""
    if len(text) <= MAX_LINE_CHARS:
        return text
    start = max(0, min(place - MAX_LINE_CHARS // 4, len(text) - MAX_LINE_CHARS))
    end = start + MAX_LINE_CHARS
    return f"{'...' if start else ''}{text[start:end]}{'...' if end < len(text) else ''}"


def safe_cut(text: str, most: int) -> str:
    """Return ``text`` on one line and without control characters, cut as :func:`middle_cut` does."""
    return middle_cut(safe_line(text), most)


def middle_cut(text: str, most: int) -> str:
    """Return ``text`` with its middle left out if it is longer than ``most`` characters."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2]}...{text[-(most // 2) :]}"
