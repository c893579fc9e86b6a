"""Finds the script in a document of another language, such as a component of Vue or a page of HTML.

Everything around the script is blanked out, byte for byte, so that positions in it are positions in the document.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

HOSTS: Final = frozenset({"astro", "html", "svelte", "vue"})
"""Languages whose documents may contain script."""

SCRIPT_LANGUAGES: Final = ("javascript", "typescript", "tsx")
"""Languages that script in a document may have."""

_SCRIPT: Final = re.compile(rb"<script\b([^>]*)>(.*?)</script\s*+>", re.IGNORECASE | re.DOTALL)
_END_OF_SCRIPT: Final = re.compile(rb"</script\s*+>", re.IGNORECASE)
_FRONTMATTER: Final = re.compile(rb"\A\s*---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_ATTRIBUTE: Final = re.compile(rb"""\b(lang|type)\s*=\s*["']?([^\s"'>]+)""", re.IGNORECASE)
_NOT_NEWLINE: Final = re.compile(rb"[^\n]")
_BY_NAME: Final = {
    b"ts": "typescript", b"typescript": "typescript", b"tsx": "tsx", b"js": "javascript", b"jsx": "javascript",
    b"module": "javascript", b"text/javascript": "javascript", b"application/javascript": "javascript",
    b"text/babel": "javascript", b"text/typescript": "typescript",
}  # fmt: skip


class Script(NamedTuple):
    """The script of a document: a text of the same length and lines in which all else is blank, and its language."""

    text: bytes
    language: str


def script_in(text: bytes, language: str) -> Script | None:
    """Return the script in a document; None if it has none. The first block decides about the language."""
    if language not in HOSTS:
        return None
    found: list[tuple[int, int, str]] = []
    front = _FRONTMATTER.match(text) if language == "astro" else None
    if front is not None:
        found.append((*front.span(1), "typescript"))
    ends = [match.end() for match in _END_OF_SCRIPT.finditer(text)]
    for match in _SCRIPT.finditer(text, 0, ends[-1] if ends else 0):  # each block that begins before it ends
        attributes = {name.lower(): value.lower() for name, value in _ATTRIBUTE.findall(match[1])}
        written = attributes.get(b"lang") or attributes.get(b"type") or b"js"
        if (of_block := _BY_NAME.get(written)) is not None and match[2].strip():
            found.append((*match.span(2), of_block))
    if not found:
        return None
    out = bytearray(_NOT_NEWLINE.sub(b" ", text))
    for start, end, _ in found:
        out[start:end] = text[start:end]
    return Script(bytes(out), found[0][2])
