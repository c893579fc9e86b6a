"""Chunks a notebook cell by cell, each in its own language; no chunk spans two cells.

The commands that IPython adds to Python (``%timeit x``, ``!pip install y``, ``files = !ls``, ``name?``) are replaced by
valid Python of the same length before parsing. Commands such as ``%%bash`` determine the language of their cell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from codeindexd.analysis.chunking.chunker import DEFAULT_MAX_BYTES, TARGET, Analysis, analyse
from codeindexd.analysis.chunking.definitions import moved
from codeindexd.analysis.chunking.languages import detect
from codeindexd.analysis.chunking.notebook import Cell
from codeindexd.analysis.references.codec import Columns, joined
from codeindexd.types import Definition, Span

_CELL_MAGIC: Final = re.compile(rb"\s*%%(\w[\w.!]*)[ \t]*([^\n]*)")
_LANGUAGES: Final = {
    "bash": "bash", "bigquery": "sql", "cmd": "batch", "cython": "cython", "html": "html", "javascript": "javascript",
    "js": "javascript", "julia": "julia", "latex": "latex", "markdown": "markdown", "perl": "perl", "r": "r",
    "ruby": "ruby", "rust": "rust", "sh": "bash", "sparksql": "sql", "sql": "sql", "svg": "xml", "system": "bash",
    "!": "bash", "sx": "bash", "typescript": "typescript",
}  # fmt: skip
_LINE_COMMAND: Final = re.compile(  # at the start of a line: %magic, !command, ?name; or name? at its end
    rb"^([ \t]*)(?:%%?[A-Za-z_]|!(?!=)|\?{1,2}[ \t]*[A-Za-z_%]|%?[A-Za-z_][\w.]*\?{1,2}[ \t\r]*$)[^\n]*", re.MULTILINE
)
_ASSIGNED_COMMAND: Final = re.compile(rb"^([ \t]*[A-Za-z_][\w., \t]*=[ \t]*)(?:%[A-Za-z_]|!(?!=))[^\n]*", re.MULTILINE)
_NO_SYMBOL_KINDS: Final = frozenset({"block", "window"})


def analyse_cells(
    text: bytes, cells: Sequence[Cell], *, max_bytes: int = DEFAULT_MAX_BYTES, target_chars: int = TARGET
) -> Analysis:
    """Find the definitions in the UTF-8 ``text`` of a notebook, and cut its ``cells`` into chunks, each separately.

    Blank cells have no chunk. Chunks without a definition have the kind ``cell``. Never raises.
    """
    spans: list[Span] = []
    definitions: list[Definition] = []
    is_partial = False
    references: list[Columns] = []
    for cell in cells:
        body = text[cell.start : cell.end]
        if body.isspace():
            continue
        parsed, language = as_parsable(body, cell.language)
        found = analyse(parsed, language, max_bytes=max_bytes, target_chars=target_chars, samples=False)
        first_line = text.count(b"\n", 0, cell.start)
        spans += _placed(found.spans, body, cell.start, first_line)
        definitions += moved(found.definitions, first_line, len(definitions))
        is_partial |= found.is_partial
        references.append(found.references.on_other_lines(first_line.__add__))
    return Analysis(spans, tuple(definitions), is_partial, joined(references))


def _placed(spans: Sequence[Span], body: bytes, start: int, first_line: int) -> Iterator[Span]:
    """Yield the chunks of a cell's ``body`` with their places in the notebook."""
    if not spans:  # the cell contains only a command such as %%bash
        spans = [Span(0, len(body), 1, max(1, body.count(b"\n")), "cell")]
    for span in spans:
        yield replace(
            span,
            start_byte=span.start_byte + start,
            end_byte=span.end_byte + start,
            start_line=span.start_line + first_line,
            end_line=span.end_line + first_line,
            kind="cell" if not span.symbol and span.kind in _NO_SYMBOL_KINDS else span.kind,
        )


def as_parsable(body: bytes, language: str) -> tuple[bytes, str]:
    """Return a cell's text in a form that can be parsed, with the same length and lines, and its language."""
    if language != "python":
        return body, language
    magic = _CELL_MAGIC.match(body)
    if magic is None:
        return _plain_python(body), language
    rest = b" " * magic.end() + body[magic.end() :]
    rest = body[: magic.start(1) - 2] + rest[magic.start(1) - 2 :]
    inside = _language_of(magic[1].decode("utf-8", "replace"), magic[2].strip())
    return (_plain_python(rest) if inside == "python" else rest), inside


def _language_of(name: str, arguments: bytes) -> str:
    """Return the language of a cell that begins with ``%%name arguments``; most such commands run Python."""
    first = next((word for word in arguments.split() if not word.startswith(b"-")), b"")
    if name in ("writefile", "file"):
        return detect(first)
    if name == "script":
        return detect(b"", b"#!/usr/bin/env " + first)
    return _LANGUAGES.get(name.lower(), "python")


def _plain_python(body: bytes) -> bytes:
    """Return ``body`` with the commands of IPython replaced by Python of the same length."""
    if not any(sign in body for sign in (b"%", b"!", b"?")):
        return body
    body = _with_continuations(body)
    body = _LINE_COMMAND.sub(lambda match: _value(match, match[1]), body)
    return _ASSIGNED_COMMAND.sub(lambda match: _value(match, match[1]), body)


def _with_continuations(body: bytes) -> bytes:
    """Return ``body`` with blanks in place of lines that continue a command after a backslash."""
    lines = body.split(b"\n")
    continues = False
    for number, line in enumerate(lines):
        is_command = continues or _LINE_COMMAND.match(line) or _ASSIGNED_COMMAND.match(line)
        if continues:
            lines[number] = b" " * len(line)
        continues = bool(is_command) and line.rstrip().endswith(b"\\")
    return b"\n".join(lines)


def _value(match: re.Match[bytes], before: bytes) -> bytes:
    """Return ``before`` and a value, as long as the command matched: a block of commands must not become empty."""
    return before + b"0".ljust(len(match[0]) - len(before))
