"""Finds the code samples in documents: fenced blocks of Markdown, code blocks and doctests of reStructuredText.

A sample is the text of its block without the indentation (and the prompts) that all of its lines share, so that it can
be parsed. It says where its lines are in the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from codeindexd.analysis.chunking.languages import language_named

DOCUMENTS: Final = frozenset({"markdown", "restructuredtext"})
"""Languages whose documents may contain samples. What a sample defines, code cannot refer to."""

_WITHOUT_CODE: Final = DOCUMENTS | {"css", "html", "json", "scss", "toml", "yaml"}
_FENCE: Final = re.compile(rb"(?:[ \t]|(?:[-*+]|\d{1,9}[.)])[ \t]+)*+(`{3,}+|~{3,}+)[ \t]*([^`\r\n]*)")
_QUOTATION: Final = re.compile(rb"(?:[ \t]*+>)*+")
_QUOTATION_MARK: Final = re.compile(rb"[ \t]*+>")
_CLOSING: Final = re.compile(rb"[ \t]*(`{3,}+|~{3,}+)[ \t\r]*$")
_DIRECTIVE: Final = re.compile(
    rb"([ \t]*)\.\. (?:(code-block|code|sourcecode)|(testcode|ipython|jupyter-execute)|(highlight))::"
    rb"[ \t]*([^\s]*)[ \t\r]*$"
)
_OPTION: Final = re.compile(rb"[ \t]*:[\w-]+:")
_LITERAL: Final = re.compile(rb"([ \t]*+)(?!\.\. )[^\n]*::[ \t\r]*$")
_PROMPT: Final = re.compile(rb"([ \t]*)(?:>>>|\.\.\.)(?: |\r?$)")
_FIRST_PROMPT: Final = re.compile(rb"[ \t]*>>> ")
_NOT_A_NAME: Final = re.compile(r"[\s,:{}()\[\]=]+")
_DIRECTIVES: Final = frozenset({"code", "code-block", "code-cell", "sourcecode"})
"""Names in braces that are followed by the language: ``{code-block} python``."""


class Sample(NamedTuple):
    """A sample: its text and language, its first row in the document, and the bytes that its lines there lack."""

    text: bytes
    language: str
    row: int
    removed: int


def samples_in(text: bytes, language: str, limit: int) -> list[Sample]:
    """Return the first ``limit`` samples in a document, in the order of their rows, which count from 0.

    Documents in other languages have none.

    Blocks that name no known language are left out, except doctests.
    """
    if language not in DOCUMENTS or not any(sign in text for sign in (b"```", b"~~~", b"::", b">>> ")):
        return []
    rows = text.split(b"\n")
    blocks = _fenced(rows) if language == "markdown" else _indented(rows)
    found: list[Sample] = []
    for first, last, of_block in blocks:
        if of_block == "python" and any(map(_FIRST_PROMPT.match, rows[first:last])):
            found += _doctests(rows, first, last)
        elif (sample := _sample(rows[first:last], of_block, first)) is not None:
            found.append(sample)
        if len(found) >= limit:
            break
    return found[:limit]


def language_of_info(info: str) -> str:
    """Return the language of a fence's info string (``py title=x``, ``{.python}``, ``rust,ignore``), "" if unknown."""
    words = [word for word in _NOT_A_NAME.split(info.strip()) if word]
    if info.lstrip().startswith("{"):
        classes = [word for word in words if word.startswith(".")]
        words = classes[:1] or [word for word in words if word not in _DIRECTIVES]
    return language_named(words[0].lstrip(".")) if words else ""


def _fenced(rows: list[bytes]) -> Iterator[tuple[int, int, str]]:
    """Yield the first row, the row after the last, and the language of each fenced block.

    In ``rows``, the marks of a block quotation around such a block are replaced by spaces.
    """
    row = 0
    while row < len(rows):
        quotation = _QUOTATION.match(rows[row])
        depth, start = (quotation[0].count(b">"), quotation.end()) if quotation is not None else (0, 0)
        fence = _FENCE.match(rows[row], start)
        row += 1
        if fence is None:
            continue
        first = row
        is_closed = False
        while row < len(rows) and (inside := _unquoted(rows[row], depth)) is not None:
            is_closed = _closes(inside, fence[1])
            if is_closed:
                break
            rows[row] = inside
            row += 1
        yield first, row, language_of_info(fence[2].decode("utf-8", "replace"))
        row += is_closed


def _unquoted(row: bytes, depth: int) -> bytes | None:
    """Return a row with spaces for ``depth`` marks of a block quotation; None if it has fewer."""
    at = 0
    for _ in range(depth):
        mark = _QUOTATION_MARK.match(row, at)
        if mark is None:
            return None
        at = mark.end()
    return b" " * at + row[at:] if at else row


def _closes(row: bytes, opening: bytes) -> bool:
    match = _CLOSING.match(row)
    return match is not None and match[1].startswith(opening)


def _indented(rows: Sequence[bytes]) -> Iterator[tuple[int, int, str]]:
    """Yield the blocks of reStructuredText, and rows with prompts outside them, as :func:`_fenced` does."""
    highlighted = ""
    row = 0
    while row < len(rows):
        directive, literal = _DIRECTIVE.match(rows[row]), _LITERAL.match(rows[row])
        if directive is not None and directive[4]:
            highlighted = language_named(directive[5].decode("utf-8", "replace"))
            row += 1
        elif directive is not None:
            written = directive[5].decode("utf-8", "replace")
            own = "python" if directive[3] else language_named(written) if written else highlighted
            first = row + 1
            while first < len(rows) and _OPTION.match(rows[first]):
                first += 1
            row = _end_of_block(rows, first, len(directive[1]))
            yield first, row, own
        elif literal is not None and highlighted:
            first, row = row + 1, _end_of_block(rows, row + 1, len(literal[1]))
            yield first, row, highlighted
        elif _FIRST_PROMPT.match(rows[row]):
            first = row
            while row < len(rows) and rows[row].strip():
                row += 1
            yield first, row, "python"
        else:
            row += 1


def _end_of_block(rows: Sequence[bytes], first: int, indent: int) -> int:
    """Return the row after the block of rows from ``first`` that are blank or indented by more than ``indent``."""
    row = first
    while row < len(rows) and (not rows[row].strip() or _indent(rows[row]) > indent):
        row += 1
    return row


def _indent(row: bytes) -> int:
    return len(row) - len(row.lstrip(b" \t"))


def _doctests(rows: Sequence[bytes], first: int, last: int) -> Iterator[Sample]:
    """Yield what was typed at the prompts of an interactive session, a sample for each run of rows with prompts."""
    start = -1
    for row in range(first, last + 1):
        has_prompt = row < last and _PROMPT.match(rows[row])
        if has_prompt and start < 0:
            start = row
        elif not has_prompt and start >= 0:
            prompt = _indent(rows[start]) + len(">>> ")
            typed = [b" " * prompt + text[prompt:] for text in rows[start:row]]
            if (sample := _sample(typed, "python", start)) is not None:
                yield sample
            start = -1


def _sample(rows: Sequence[bytes], language: str, first: int) -> Sample | None:
    """Return rows as a sample; None if they are blank or not code."""
    if not language or language in _WITHOUT_CODE:
        return None
    solid = [row for row in rows if row.strip()]
    if not solid:
        return None
    least = min(solid, key=_indent)
    removed = _indent(least) if all(row.startswith(least[: _indent(least)]) for row in solid) else 0
    return Sample(b"".join(row[removed:] + b"\n" for row in rows), language, first, removed)
