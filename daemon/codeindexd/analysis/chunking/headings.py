"""The sections of a Markdown file: each goes from a heading to the next one of the same or a higher level."""

from __future__ import annotations

from tree_sitter import Node

from codeindexd.analysis.chunking.lines import Lines
from codeindexd.analysis.chunking.outline import FoundDefinition
from codeindexd.analysis.chunking.rules import source

SEPARATOR = " > "  # not a dot: headings are prose and contain dots


def sections(root: Node, lines: Lines) -> list[FoundDefinition]:
    """Return the sections in document order; the qualified name of each is the path of its headings."""
    out: list[FoundDefinition] = []
    open_: list[tuple[int, FoundDefinition]] = []
    end = lines.count
    for level, row, name in _headings(root, lines.text):
        while open_ and open_[-1][0] >= level:
            open_.pop()[1].end = row
        parent = open_[-1][1] if open_ else None
        path = f"{parent.qualified}{SEPARATOR}{name}" if parent is not None else name
        at = max(lines.starts[row], lines.text.find(name.encode(), lines.starts[row], lines.starts[row + 1]))
        section = FoundDefinition(row, end, "section", name, path, parent, container=parent, path=name, name_byte=at)
        out.append(section)
        open_.append((level, section))
    return out


def _headings(root: Node, text: bytes) -> list[tuple[int, int, str]]:
    """Return (level, row, title) of every heading in document order; levels count from 1, rows from 0."""
    out = []
    stack = [root]
    while stack:
        node = stack.pop()
        for child in node.named_children:
            kind = child.type
            if kind == "section":
                stack.append(child)
            elif kind in ("atx_heading", "setext_heading"):
                content = child.child_by_field_name("heading_content")
                name = source(content, text).strip("# ") if content is not None else ""
                if name:
                    out.append((_level(child), child.start_point[0], name))
    return sorted(out, key=lambda heading: heading[1])


def _level(heading: Node) -> int:
    """Return the digit in ``atx_h2_marker`` or ``setext_h2_underline``."""
    for child in heading.named_children:
        digits = [char for char in child.type if char.isdigit()]
        if digits:
            return int(digits[0])
    return 1
