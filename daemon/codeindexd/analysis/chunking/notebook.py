"""Reads Jupyter notebooks: the text of their cells, and where each of its lines is in the JSON.

The source of the cells is indexed, one cell after another. Outputs and attachments are skipped without decoding them,
because a notebook of plots consists of little else. nbformat 3 (``worksheets``) and 4 are read.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from codeindexd.analysis.chunking.language_names import BY_EXTENSION
from codeindexd.analysis.chunking.languages import language_named
from codeindexd.types import Span

ENCODING: Final = "notebook"
LANGUAGE: Final = "jupyter"
_DEFAULT_LANGUAGE: Final = "python"
_SEPARATORS = re.compile(rb"[\s,:]*")
_STRUCTURE = re.compile(rb'["{}\[\]]')
_SCALAR = re.compile(rb"[^\s,\]}\"\[{]*")
_PART = re.compile(rb"(?:[^\\]++|\\(?!n|u000[aA]).)*+(?:\\n|\\u000[aA])?", re.DOTALL)
_CONTROL = re.compile(rb"[\x00-\x08\n-\x1f]")


class Cell(Struct, frozen=True):
    """A cell with text: its number among all cells, from 1, and its bytes in the notebook's text, from start to end.

    ``kind`` is ``code``, ``markdown`` or ``raw``; ``language`` is the name of a language, ``""`` for plain text.
    """

    number: int
    kind: str
    language: str
    start: int
    end: int


class CellLine(Struct, frozen=True):
    """A line as readers of a notebook count it: the number of the cell, and the line in the cell, both from 1."""

    cell: int
    line: int


class NotebookText(Struct, frozen=True, eq=False):
    """The text of a notebook's cells as UTF-8; every cell ends in a line end, which the JSON may lack.

    Four sequences have one item for each line: ``starts`` is its offset in the text, ``source_starts`` and
    ``source_ends`` are the bytes of the file that spell it, without the quotes around them, and ``source_lines`` is the
    line of the file, from 1, in which it begins.
    """

    utf8: bytes
    cells: tuple[Cell, ...]
    starts: Sequence[int]
    source_starts: Sequence[int]
    source_ends: Sequence[int]
    source_lines: Sequence[int]

    @property
    def encoding(self) -> str:
        """The name that the catalog stores as the encoding of a notebook."""
        return ENCODING

    def row(self, offset: int) -> int:
        """Return the row, from 0, that contains an offset of the text."""
        return max(0, bisect_right(self.starts, offset) - 1)

    def end(self, row: int) -> int:
        """Return where a row, counted from 0, ends in the text."""
        return self.starts[row + 1] if row + 1 < len(self.starts) else len(self.utf8)

    def to_source(self, offset: int) -> int:
        """Return the offset in the file of the line that contains an offset of the text; 0 if there is no text."""
        return self.source_starts[self.row(offset)] if self.starts else 0

    def to_source_span(self, span: Span) -> Span:
        """Return ``span`` (of whole lines of the text) with its bytes and lines in the file."""
        first, last = self.row(span.start_byte), self.row(span.end_byte - 1)
        lines = self.source_lines
        symbols = tuple(
            replace(symbol, line_offset=lines[min(first + symbol.line_offset, last)] - lines[first])
            for symbol in span.symbols
        )
        return replace(
            span,
            start_byte=self.source_starts[first],
            end_byte=self.source_ends[last],
            start_line=lines[first],
            end_line=lines[last],
            symbols=symbols,
        )

    def source_line(self, number: int) -> int:
        """Return the line of the file at which line ``number`` of the text begins, both from 1."""
        return self.source_lines[number - 1]

    def cell_line(self, number: int) -> CellLine:
        """Return the place of line ``number`` of the text, from 1, within its cell."""
        start = self.starts[number - 1]
        cell = self.cells[bisect_right(self.cells, start, key=lambda cell: cell.start) - 1]
        return CellLine(cell.number, number - bisect_left(self.starts, cell.start))

    def paragraph(self, offset: int) -> tuple[int, int]:
        """Return the start and end, in the text, of the cell that contains ``offset``: its lines belong together."""
        cell = self.cells[bisect_right(self.cells, offset, key=lambda cell: cell.start) - 1]
        return cell.start, cell.end


class _NotANotebook(Exception):  # noqa: N818 - never leaves this module
    """The text is broken JSON, or JSON of another kind."""


class _RawCell(Struct, frozen=True):
    """A cell as the JSON has it. ``source`` is the start and end of its text's value; legacy means nbformat 3."""

    number: int
    kind: str
    language: str
    source: tuple[int, int]
    is_legacy: bool


def may_be_notebook(text: bytes) -> bool:
    """Return True if ``text`` is worth reading as a notebook."""
    return text[:64].lstrip()[:1] == b"{" and b'"nbformat"' in text


def read_notebook(text: bytes, *, offset: int = 0) -> NotebookText | None:
    """Return the text of a notebook, given its JSON in UTF-8; None if it is not a notebook or the JSON is broken.

    ``offset`` is where ``text`` begins in its file: after a byte order mark, if there is one.
    """
    if not may_be_notebook(text):
        return None
    reader = _Reader(text)
    try:
        return _assembled(text, reader.notebook(), offset)
    except (_NotANotebook, ValueError, RecursionError):
        return None


class _Reader:
    """Reads JSON in one pass: values that are not asked for are skipped without decoding them."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._at = 0

    def notebook(self) -> list[_RawCell]:
        """Return all cells in order.

        Raises _NotANotebook, or ValueError or RecursionError for a value that ``json`` rejects.
        """
        cells: list[_RawCell] = []
        language, is_notebook = "", False
        for key in self._members():
            if key == b"nbformat":
                is_notebook = True
            elif key == b"cells":
                cells += self._cells(len(cells), is_legacy=False)
            elif key == b"worksheets":
                for _ in self._items():
                    for inner in self._members():
                        if inner == b"cells":
                            cells += self._cells(len(cells), is_legacy=True)
            elif key == b"metadata":
                language = _kernel_language(self._loaded())
        if not is_notebook or self._text[self._at :].strip():
            raise _NotANotebook
        language = language or _DEFAULT_LANGUAGE
        return [replace(cell, language=cell.language or language) if cell.kind == "code" else cell for cell in cells]

    def _cells(self, before: int, *, is_legacy: bool) -> Iterator[_RawCell]:
        for number, _ in enumerate(self._items(), before + 1):
            kind, language, source = "", "", (0, 0)
            for key in self._members():
                if key == b"cell_type":
                    kind = str(self._loaded())
                elif key in (b"source", b"input"):  # nbformat 3 calls the source of a code cell its input
                    source = self._range()
                elif key == b"language":
                    language = _language(self._loaded())
                elif key == b"metadata":
                    language = _cell_language(self._loaded()) or language
            if not kind:  # such as a second notebook inside the first after a failed merge: its text must not be lost
                raise _NotANotebook
            if kind == "code":
                yield _RawCell(number, "code", language, source, is_legacy)
            elif kind == "raw":
                yield _RawCell(number, "raw", "", source, is_legacy)
            else:  # nbformat 3 has headings, and front ends invent kinds; all of it is text
                yield _RawCell(number, "markdown", "markdown", source, is_legacy)

    def _members(self) -> Iterator[bytes]:
        """Yield the keys of an object. The caller may read the value of a key before asking for the next."""
        self._take(b"{")
        while not self._ends(b"}"):
            start, end = self._string()
            key = self._text[start + 1 : end - 1]
            self._skip_separators()
            value_at = self._at
            yield key
            if self._at == value_at:
                self._range()

    def _items(self) -> Iterator[None]:
        """Yield once for every item of an array. The caller may read the item before asking for the next."""
        self._take(b"[")
        while not self._ends(b"]"):
            value_at = self._at
            yield
            if self._at == value_at:
                self._range()

    def _loaded(self) -> Any:
        start, end = self._range()
        return json.loads(self._text[start:end])

    def _range(self) -> tuple[int, int]:
        """Skip a value and return its start and end."""
        text, start = self._text, self._at
        opening = text[start : start + 1]
        if opening == b'"':
            return self._string()
        if opening not in (b"{", b"["):
            match = _SCALAR.match(text, start)
            if match is None or match.end() == start:
                raise _NotANotebook
            self._at = match.end()
            return start, self._at
        depth = 0
        while (found := _STRUCTURE.search(text, self._at)) is not None:
            self._at = found.start()
            if found[0] == b'"':
                self._string()
                continue
            self._at += 1
            depth += 1 if found[0] in b"{[" else -1
            if depth == 0:
                return start, self._at
        raise _NotANotebook

    def _string(self) -> tuple[int, int]:
        """Skip a string and return its start and end, quotes included."""
        text, start = self._text, self._at
        if text[start : start + 1] != b'"':
            raise _NotANotebook
        at = start + 1
        while (end := text.find(b'"', at)) >= 0:
            backslashes = end - 1
            while text[backslashes] == 92:
                backslashes -= 1
            at = end + 1
            if (end - backslashes) % 2:
                self._at = at
                return start, at
        raise _NotANotebook

    def _skip_separators(self) -> None:
        match = _SEPARATORS.match(self._text, self._at)
        assert match is not None
        self._at = match.end()

    def _take(self, opening: bytes) -> None:
        self._skip_separators()
        if self._text[self._at : self._at + 1] != opening:
            raise _NotANotebook
        self._at += 1

    def _ends(self, closing: bytes) -> bool:
        self._skip_separators()
        if self._text[self._at : self._at + 1] != closing:
            return False
        self._at += 1
        return True


def _assembled(text: bytes, raw_cells: Sequence[_RawCell], offset: int) -> NotebookText:
    """Return the cells' text, with where each of its rows is in the JSON; offsets are moved by ``offset``."""
    pieces: list[bytes] = []
    cells: list[Cell] = []
    starts: list[int] = []
    sources: list[tuple[int, int]] = []
    lines: list[int] = []
    size, counted, line = 0, 0, 1
    for raw in raw_cells:
        cell_start = size
        for start, end, row in _rows(text, raw):
            line += text.count(b"\n", counted, start)
            counted = start
            starts.append(size)
            sources.append((start + offset, end + offset))
            lines.append(line)
            pieces.append(row)
            size += len(row)
        if size > cell_start:
            cells.append(Cell(raw.number, raw.kind, raw.language, cell_start, size))
    source_starts, source_ends = zip(*sources, strict=True) if sources else ((), ())
    return NotebookText(b"".join(pieces), tuple(cells), starts, source_starts, source_ends, lines)


def _rows(text: bytes, cell: _RawCell) -> Iterator[tuple[int, int, bytes]]:
    """Yield the lines of a cell: start and end of the JSON that spells each, and its text, with a line end."""
    row: list[bytes] = []
    start = end = 0
    for at, piece, is_line in _parts(text, cell):
        if not row:
            start = at
        end = at + len(piece)
        row.append(_unescaped(piece))
        if is_line and not row[-1].endswith(b"\n"):
            row.append(b"\n")
        if row[-1].endswith(b"\n"):
            yield start, end, b"".join(row)
            row.clear()
    if row:
        yield start, end, b"".join([*row, b"\n"])


def _parts(text: bytes, cell: _RawCell) -> Iterator[tuple[int, bytes, bool]]:
    """Yield the JSON of a cell's strings, cut after every line end: its offset, itself, and whether it ends a line."""
    start, end = cell.source
    if text[start : start + 1] == b'"':
        literals = [(start, end)]
    elif text[start : start + 1] == b"[":
        reader = _Reader(text)
        reader._at = start
        literals = [reader._string() for _ in reader._items()]
    else:
        literals = []  # null: a cell without text
    # Early writers of nbformat 3 left the line ends out of their lists of lines.
    are_lines = cell.is_legacy and len(literals) > 1 and not _ends_in_newline(text, *literals[0])
    for literal_start, literal_end in literals:
        parts = [match for match in _PART.finditer(text, literal_start + 1, literal_end - 1) if match[0]]
        for match in parts:
            yield match.start(), match[0], are_lines and match is parts[-1]
        if are_lines and not parts:
            yield literal_start + 1, b"", True


def _ends_in_newline(text: bytes, start: int, end: int) -> bool:
    """Return True if the JSON string at these offsets, quotes included, ends a line."""
    return _unescaped(text[start + 1 : end - 1]).endswith((b"\n", b"\r"))


def _unescaped(piece: bytes) -> bytes:
    """Return a part of a JSON string as UTF-8. Raises _NotANotebook or ValueError if it is damaged."""
    if _CONTROL.search(piece):
        raise _NotANotebook
    if b"\\" not in piece:
        return piece
    decoded: str = json.loads(b'"' + piece + b'"', strict=False)
    return decoded.replace("\0", "\ufffd").encode("utf-8", "replace")


def _kernel_language(metadata: Any) -> str:
    """Return the language of a notebook's code cells, ``""`` if its metadata does not say."""
    kernel, info = (_mapping(metadata, name) for name in ("kernelspec", "language_info"))
    extension = info.get("file_extension")
    by_extension = BY_EXTENSION.get(extension.lstrip("."), "") if isinstance(extension, str) else ""
    return _language(kernel.get("language")) or _language(info.get("name")) or by_extension


def _cell_language(metadata: Any) -> str:
    """Return the language that Visual Studio Code recorded for one cell, ``""`` if it did not."""
    return _language(_mapping(metadata, "vscode").get("languageId"))


def _mapping(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _language(name: Any) -> str:
    """Return our name of a language that a kernel names (``R``, ``C++17``, ``julia``), ``""`` if it is unknown."""
    return language_named(name) if isinstance(name, str) else ""
