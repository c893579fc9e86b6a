"""The sections of a Markdown file: each goes from a heading to the next one of the same or a higher level."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from codeindexd.analysis.chunking.lines import Lines
from codeindexd.analysis.chunking.outline import FoundDefinition
from codeindexd.analysis.chunking.rules import source

SEPARATOR = " > "  # not a dot: headings are prose and contain dots
_TARGET: Final = r"(?:\([^()\n]*\)|\[[^\[\]\n]*\])"
_IMAGE: Final = re.compile(rf"!\[([^\[\]\n]*)\]{_TARGET}")
_LINK: Final = re.compile(rf"(?<!!)\[([^\[\]\n]*)\]{_TARGET}")
_TAG: Final = re.compile(
    r"</?(?:a|b|br|code|div|em|font|h[1-6]|i|img|kbd|p|picture|small|source|span|strong|sub|sup)\b[^<>\n]*>",
    re.IGNORECASE,
)
_CODE: Final = re.compile(r"`[^`\n]*`")
_KEPT: Final = re.compile("\0(\\d+)\0")


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
        first = name.partition(" ")[0].encode()  # of a heading with links, the words are not side by side
        at = max(lines.starts[row], lines.text.find(first, lines.starts[row], lines.starts[row + 1]))
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
                name = plain_title(source(content, text).strip("# ")) if content is not None else ""
                if name:
                    out.append((_level(child), child.start_point[0], name))
    return sorted(out, key=lambda heading: heading[1])


def plain_title(heading: str) -> str:
    """Return the words of a heading, without the targets of its links, its badges and other images, and its tags.

    A heading of images alone has their descriptions as its title, and one of other markup alone is returned unchanged.
    """
    code = _CODE.findall(heading)  # `list[int](x)` is no link
    numbers = iter(range(len(code)))
    without_code = _CODE.sub(lambda _: f"\0{next(numbers)}\0", heading.replace("\0", ""))
    for image in (r"", r"\1"):
        title = _LINK.sub(r"\1", _IMAGE.sub(image, without_code))
        title = " ".join(_TAG.sub("", title).split())
        if title:
            return _KEPT.sub(lambda kept: code[int(kept[1])], title)
    return heading


def _level(heading: Node) -> int:
    """Return the digit in ``atx_h2_marker`` or ``setext_h2_underline``."""
    for child in heading.named_children:
        digits = [char for char in child.type if char.isdigit()]
        if digits:
            return int(digits[0])
    return 1
