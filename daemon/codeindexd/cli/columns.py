"""Measures text in terminal columns, and cuts it to a width."""

from __future__ import annotations

from collections.abc import Sequence

_ELLIPSIS = "\u2026"
_MIN_COLUMNS = 4
_BEFORE_SHARE = 4  # at most a quarter of a cut line is before the match


def width_of(text: str) -> int:
    """Return the number of terminal columns that ``text`` takes."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)


def fitting_lines(widths: Sequence[int], columns: int, rows: int) -> int:
    """Return how many lines of these ``widths`` fit into a screen, beginning with the first.

    A line that is wider than the screen takes several rows. If not all lines fit, a row is left for a remark.
    """
    taken = [max(1, -(-width // max(columns, 1))) for width in widths]
    if sum(taken) <= rows:
        return len(taken)
    left = rows - 1
    for number, count in enumerate(taken):
        left -= count
        if left < 0:
            return number
    return len(taken)


def cut_start(path: str, width: int) -> str:
    """Return ``path``, or its end after an ellipsis if it is wider than ``width`` columns."""
    if width_of(path) <= width:
        return path
    end = path
    while end and width_of(end) >= width:
        end = end[1:]
    return f"{_ELLIPSIS}{end}"


def cut(text: str, width: int) -> str:
    """Return the beginning of ``text`` in at most ``width`` columns."""
    if text.isascii():
        return text[: max(width, 0)]
    while width_of(text) > max(width, 0):
        text = text[:-1]
    return text


def cut_around(text: str, start: int, width: int) -> str:
    """Return a part of ``text`` that includes the character at index ``start``, in at most ``width`` columns.

    An ellipsis stands for each part cut off. The beginning is kept if there is room for it. A ``width`` below four
    counts as four.
    """
    width = max(width, _MIN_COLUMNS)
    if len(text) <= width and width_of(text) <= width:
        return text
    first = 0
    if width_of(text[: start + 1]) >= width:
        first = start
        while first and width_of(text[first - 1 : start]) <= (width - 2) // _BEFORE_SHARE:
            first -= 1
    lead = _ELLIPSIS if first else ""
    rest, room = text[first:], width - len(lead)
    if len(rest) <= room and width_of(rest) <= room:
        return lead + rest
    return lead + cut(rest[:room], room - 1) + _ELLIPSIS
