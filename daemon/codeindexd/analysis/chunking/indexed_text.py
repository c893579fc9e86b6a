"""The text of a file that is indexed, searched and shown: the file decoded, or the cells of a notebook.

It is a function of the file's bytes alone, so that files with equal content have equal text whatever their names.
"""

from __future__ import annotations

from typing import Protocol

from codeindexd.analysis.chunking.encoding import decode
from codeindexd.analysis.chunking.notebook import Cell, CellLine, read_notebook
from codeindexd.types import Span


class IndexedText(Protocol):
    """A text as UTF-8, and the way back from its lines to the file; lines of both count from 1."""

    @property
    def utf8(self) -> bytes:
        """The text."""

    @property
    def encoding(self) -> str:
        """How the file is read, as the catalog notes it."""

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells of a notebook; none for other files."""

    def to_source(self, offset: int) -> int:
        """Return the offset in the file of an offset in the text that is the start of a line."""

    def to_source_span(self, span: Span) -> Span:
        """Return ``span`` (of whole lines of the text) with its bytes and lines in the file."""

    def source_line(self, number: int) -> int:
        """Return the line of the file at which line ``number`` of the text stands."""

    def cell_line(self, number: int) -> CellLine | None:
        """Return the place of line ``number`` of the text within its cell; None outside notebooks."""

    def paragraph(self, offset: int) -> tuple[int, int]:
        """Return the bytes of the text, around ``offset``, whose lines are each other's context."""


def indexed_text(data: bytes) -> IndexedText | None:
    """Return the indexed text of a file's bytes, None if it is binary. Never raises.

    A notebook is recognised by its content. One whose JSON is broken, or that is not UTF-8, is text like any other.
    """
    decoded = decode(data)
    if decoded is None or not decoded.encoding.startswith("utf-8"):
        return decoded
    return read_notebook(decoded.utf8, offset=decoded.bom) or decoded
