"""Edits a Markdown file: our part of it is between two comments."""

from __future__ import annotations

import re

BEGIN, END = "<!-- codeindex: begin -->", "<!-- codeindex: end -->"
_BLOCK = re.compile(rf"\n*{re.escape(BEGIN)}\n(.*?){re.escape(END)}\n?", re.DOTALL)


def block(text: str) -> str | None:
    """Return our part, None if there is none."""
    match = _BLOCK.search(text)
    return match[1] if match else None


def with_block(text: str, content: str) -> str:
    """Return the text with ``content`` as our part: where it was, else at the end."""
    new = f"{BEGIN}\n{content}{END}\n"
    match = _BLOCK.search(text)
    if match is None:
        return f"{text.rstrip()}\n\n{new}" if text.strip() else new
    before = text[: match.start()]
    return f"{before}{chr(10) * 2 if before else ''}{new}{text[match.end() :]}"


def without_block(text: str) -> str:
    """Return the text without our part."""
    match = _BLOCK.search(text)
    if match is None:
        return text
    before, after = text[: match.start()], text[match.end() :]
    return f"{before}\n{after}" if before else after.lstrip("\n")
