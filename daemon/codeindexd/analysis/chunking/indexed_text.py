"""The text of a file that is indexed, searched and shown: the decoded file, or the cells of a notebook.

It depends only on the file's bytes, so that files with equal content have equal text, whatever their names.
"""

from __future__ import annotations

from typing import Protocol

from codeindexd.analysis.chunking.encoding import decode
from codeindexd.analysis.chunking.notebook import Cell, CellLine, read_notebook
from codeindexd.types import Span


class IndexedText(Protocol):
    """A text as UTF-8, and the positions of its lines in the file. Lines of the text and of the file count from 1."""

    @property
    def utf8(self) -> bytes:
        """The text as UTF-8."""

    @property
    def encoding(self) -> str:
        """The encoding of the file, as the catalog stores it."""

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells of a notebook; empty for other files."""

    def to_source(self, offset: int) -> int:
        """Return the byte offset in the file for a byte ``offset`` in the text, which must be the start of a line."""

    def to_source_span(self, span: Span) -> Span:
        """Return ``span``, which consists of whole lines of the text, with its bytes and lines in the file."""

    def source_line(self, number: int) -> int:
        """Return the line in the file of line ``number`` of the text."""

    def cell_line(self, number: int) -> CellLine | None:
        """Return the cell of line ``number`` of the text, and the line in it; None if this is not a notebook."""

    def paragraph(self, offset: int) -> tuple[int, int]:
        """Return the byte range (start, end) of the text around ``offset`` from which context lines may be shown."""


def indexed_text(data: bytes) -> IndexedText | None:
    """Return the indexed text of a file's bytes; None if it is binary. Never raises.

    A notebook is recognised by its content. If its JSON is invalid or not UTF-8, it is treated like any other text.
    """
    decoded = decode(data)
    if decoded is None or not decoded.encoding.startswith("utf-8"):
        return decoded
    return read_notebook(decoded.utf8, offset=decoded.bom) or decoded
