"""Decoding of files to UTF-8, and offsets in the text back to offsets in the file.

All later steps work on UTF-8 bytes. For a plain UTF-8 file these are the file's own bytes: nothing is copied and no
offsets need translating. For others, :class:`DecodedText` keeps the source offset of every line.
"""

from __future__ import annotations

import codecs

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from codeindexd.analysis.chunking.legacy_encoding import guess_encoding
from codeindexd.analysis.chunking.notebook import ENCODING as NOTEBOOK
from codeindexd.analysis.chunking.notebook import Cell, CellLine
from codeindexd.types import Span

_PROBE_BYTES = 64 * 1024
_UTF16_SHARE = 0.4  # without a byte order mark, text is UTF-16 if this share of every other byte is NUL
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_UTF16 = ("utf-16-le", "utf-16-be")
_UNICODE = frozenset({"", "utf-8", "utf-8-sig", NOTEBOOK, *_UTF16})
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\b\x1b"))


class DecodedText(Struct, frozen=True, eq=False):
    """A file as UTF-8. ``encoding`` is ``utf-8``, ``utf-8-sig``, ``utf-16-le``, ``utf-16-be``, or a guess.

    ``utf8`` never starts with a byte order mark. Where lines end in ``\\r`` alone (old Macs) they end in ``\\n`` here,
    which changes no offset. ``bom`` is the number of mark bytes in the source.
    """

    utf8: bytes
    encoding: str
    bom: int
    _lines: tuple[np.ndarray, np.ndarray] | None = None  # offsets of every row's start: (in UTF-8, in the source)

    @property
    def text(self) -> str:
        """The whole text; decoded on every use."""
        return self.utf8.decode("utf-8")

    def to_source(self, offset: int) -> int:
        """Return the source offset of a UTF-8 offset that is 0, the end, or follows a ``\\n`` (as chunks' ends do).

        Offset 0 maps to 0, so a byte order mark belongs to the first chunk. Raises ValueError for an offset
        inside a line of a file that is not UTF-8.
        """
        if offset <= 0:
            return 0
        if self._lines is None:
            return offset + self.bom
        rows, sources = self._lines
        index = int(np.searchsorted(rows, offset))
        if index == len(rows) or rows[index] != offset:
            raise ValueError(f"offset {offset} is not at the start of a line")
        return int(sources[index])

    def to_source_span(self, span: Span) -> Span:
        """Return ``span`` (of :attr:`utf8`) with its byte range in the source; lines are unchanged."""
        if self._lines is None and not self.bom:
            return span
        return replace(span, start_byte=self.to_source(span.start_byte), end_byte=self.to_source(span.end_byte))

    @property
    def cells(self) -> tuple[Cell, ...]:
        """No cells: this is not a notebook."""
        return ()

    def source_line(self, number: int) -> int:
        """Return ``number``: lines of the text are lines of the file."""
        return number

    def cell_line(self, number: int) -> CellLine | None:
        """Return None: this is not a notebook."""
        return None

    def paragraph(self, offset: int) -> tuple[int, int]:
        """Return the whole text, whose lines are all each other's context."""
        return 0, len(self.utf8)


def is_guessed(encoding: str) -> bool:
    """Return True for an encoding that can only be guessed. ``encoding`` is "" for a file without text."""
    return encoding not in _UNICODE


def decode(data: bytes) -> DecodedText | None:
    """Decode ``data``, or return None if it is binary. Never raises.

    A byte order mark decides first. NUL bytes mean UTF-16 if they are in every other place, as in Western text, and
    binary otherwise. Then UTF-8 if it is well-formed; then, unless it is full of control characters, what
    :func:`guess_encoding` takes it for.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            if data.startswith(codecs.BOM_UTF32_LE):
                return None
            return _utf8(data, len(mark)) if encoding == "utf-8-sig" else _utf16(data, encoding, len(mark))
    if b"\0" in data:
        guess = _utf16_guess(data[:_PROBE_BYTES])
        return _utf16(data, guess, 0) if guess else None
    return _utf8(data, 0)


def _utf8(data: bytes, bom: int) -> DecodedText | None:
    body = data[bom:] if bom else data
    if b"\0" in body:
        return None
    if body.isascii() or _is_utf8(body):
        if _ends_lines_with_cr(body):
            body = body.replace(b"\r", b"\n")
        return DecodedText(body, "utf-8-sig" if bom else "utf-8", bom)
    probe = data[:_PROBE_BYTES]
    if len(probe) - len(probe.translate(None, _CONTROLS)) > len(probe) // 50:
        return None
    encoding = guess_encoding(data)
    return _recoded(data, data.decode(encoding), encoding, 0)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _utf16_guess(probe: bytes) -> str:
    """Return the UTF-16 encoding of text without a byte order mark, ``""`` if it is not UTF-16."""
    pairs = len(probe) // 2
    if pairs < 2 or (len(probe) % 2 and len(probe) < _PROBE_BYTES):
        return ""
    even, odd = probe[: 2 * pairs : 2].count(0), probe[1 : 2 * pairs : 2].count(0)
    if odd >= _UTF16_SHARE * pairs and even * 20 <= odd:
        return "utf-16-le"
    if even >= _UTF16_SHARE * pairs and odd * 20 <= even:
        return "utf-16-be"
    return ""


def _utf16(data: bytes, encoding: str, bom: int) -> DecodedText | None:
    if (len(data) - bom) % 2:
        return None
    try:
        text = data[bom:].decode(encoding)
    except UnicodeDecodeError:
        return None
    if "\0" in text or sum(text[:4096].count(chr(code)) for code in _CONTROLS) * 50 > len(text[:4096]):
        return None
    return _recoded(data, text, encoding, bom)


def _recoded(data: bytes, text: str, encoding: str, bom: int) -> DecodedText:
    utf8, newline = text.encode("utf-8"), 10
    if _ends_lines_with_cr(utf8):
        utf8, newline = utf8.replace(b"\r", b"\n"), 13
    rows = _after_newlines(np.frombuffer(utf8, np.uint8) == 10)
    if encoding in _UTF16:
        units = np.frombuffer(data, "<u2" if encoding == "utf-16-le" else ">u2", offset=bom)
        sources = _after_newlines(units == newline) * 2 + bom
    else:
        sources = _after_newlines(np.frombuffer(data, np.uint8) == newline)
    return DecodedText(utf8, encoding, bom, (np.append(rows, len(utf8)), np.append(sources, len(data))))


def _ends_lines_with_cr(text: bytes) -> bool:
    return b"\n" not in text and b"\r" in text


def _after_newlines(is_newline: np.ndarray) -> np.ndarray:
    return np.flatnonzero(is_newline) + 1


def source_text(data: bytes, encoding: str) -> str:
    """Return a byte range of a file (a chunk's source bytes) as text, ``encoding`` as :func:`decode` named it.

    A byte order mark at its start is dropped. Bytes that no longer fit the encoding (the file changed) become U+FFFD.
    """
    if encoding in ("utf-8", "utf-8-sig"):
        text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")
    else:
        text = data.decode(encoding, "replace").removeprefix("\ufeff")
    return text if "\n" in text else text.replace("\r", "\n")


def count_line_ends(data: bytes, encoding: str) -> int:
    """Return the number of lines in ``data``, which runs from the start of a file to the start of a line."""
    if encoding.startswith("utf-16"):
        text = data.decode(encoding, "replace")
        return text.count("\n") or text.count("\r")
    return data.count(b"\n") or data.count(b"\r")
