"""Lines of several files within a budget: the path of a file is shown once, above its lines."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codeindexd.mcp.answers import Part, cut_to

_PATH_SHARE, _LINE_SHARE = 3, 2  # at most a third of the room for a path, and half of it for a line


@dataclass(frozen=True)
class FileLine:
    """A line as it is shown, with its number (``14: x = 1``), and the path of its file."""

    path: str
    text: str


def page_of_lines(lines: Sequence[FileLine], page: int, room: int) -> range:
    """Return the indexes of the lines on the ``page``-th page (from 1), if each page has ``room`` tokens.

    Each page has at least one line. The range is empty if there are fewer pages.
    """
    start, number, left = 0, 1, room
    for index, line in enumerate(lines):
        path_cost = min(Part(line.path, {"path": line.path, "lines": []}).cost, room // _PATH_SHARE)
        line_cost = min(Part(line.text, line.text).cost, room // _LINE_SHARE)
        is_first = index == start or line.path != lines[index - 1].path
        cost = line_cost + path_cost * is_first
        if cost > left and index > start:
            if number == page:
                return range(start, index)
            start, number, left = index, number + 1, room
            cost = line_cost + path_cost
        left -= cost
    return range(start, len(lines)) if number == page else range(0)


def shown_lines(lines: Sequence[FileLine], room: int) -> tuple[str, list[dict[str, Any]]]:
    """Return the lines of a page as text and as structured content, within ``room`` tokens.

    A path is cut to a third of the room, a line to half of it.
    """
    texts: list[str] = []
    data: list[dict[str, Any]] = []
    for path, group in itertools.groupby(lines, key=lambda line: line.path):
        shown_path = cut_to(path, room // _PATH_SHARE - 10)
        of_file = [cut_to(line.text, room // _LINE_SHARE - 1) for line in group]
        texts += [shown_path, *of_file]
        data.append({"path": shown_path, "lines": of_file})
    return "\n".join(texts), data
