"""Confirms chunks against the disk, so that an answer shows only what is there now."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

import xxhash
from msgspec import Struct
from msgspec.structs import replace

from codeindexd.analysis.chunking.encoding import count_line_ends
from codeindexd.analysis.chunking.indexed_text import indexed_text
from codeindexd.analysis.chunking.notebook import ENCODING as NOTEBOOK
from codeindexd.analysis.chunking.notebook import CellLine, NotebookText
from codeindexd.analysis.secrets.mask import KEY_REACH, mentions_key
from codeindexd.errors import EXHAUSTED, EXHAUSTED_HINT, FailedError
from codeindexd.scan.safe_read import NO_SUCH_FILE, read_beneath, read_ranges
from codeindexd.types import StoredChunk, StoredFile

_MAX_RELOCATE_BYTES = 4 << 20
_MAX_NOTEBOOK_BYTES = 1 << 30  # no indexed file is larger: the configuration allows no more


class ConfirmedChunk(Struct, frozen=True):
    """A chunk's bytes as they are on the disk, and their place; ``moved`` if the catalog has another place.

    ``before`` and ``after`` are the surrounding bytes if a private key may begin or end there, so that masking sees
    a key that the chunk cuts. Otherwise they are empty. ``data``, ``before`` and ``after`` are in ``encoding``. In a
    notebook they are text of its cells as UTF-8, while offsets and lines are those of the JSON. There, ``cell`` is the
    place in the cells where the chunk begins, and ``lines`` has the line of the JSON for each row of the text.
    """

    data: bytes
    start_byte: int
    end_byte: int
    start_line: int
    end_line: int
    moved: bool = False
    before: bytes = b""
    after: bytes = b""
    encoding: str = "utf-8"
    cell: CellLine | None = None
    lines: Sequence[int] = ()

    def line_of(self, row: int) -> int:
        """Return the line of the file (from 1) of a row of the text (from 0); beyond the end, the last line."""
        if self.lines:
            return self.lines[min(row, len(self.lines) - 1)]
        return min(self.start_line + row, self.end_line)

    def row_of(self, line: int) -> int | None:
        """Return the row of the text, from 0, that is on a line of the file; None if none is, or several are."""
        if not self.lines:
            return line - self.start_line if self.start_line <= line <= self.end_line else None
        return self.lines.index(line) if self.lines.count(line) == 1 else None


def confirm(root: bytes, chunks: Sequence[StoredChunk], encoding: str = "utf-8") -> list[ConfirmedChunk | None]:
    """Read and hash chunks of *one* file again; None for each chunk whose text is no longer in the file.

    Lines are counted again: the same bytes are on other lines when a character above them became a newline.
    ``encoding`` is the file's. Raises OSError when the file exists but cannot be read, and FailedError when the process
    can read no file at all, because an answer without hits would claim that there are none.
    """
    if not chunks:
        return []
    path = chunks[0].path
    if encoding == NOTEBOOK:
        return _in_notebook(root, path, chunks)
    end = max(chunk.span.end_byte for chunk in chunks) + _key_reach(encoding)
    try:
        (data,) = read_ranges(root, path, [(0, end)])
    except OSError as error:
        _raise_unless_gone(error)
        return [None] * len(chunks)
    confirmed: list[ConfirmedChunk | None] = []
    whole: bytes | None = None
    for chunk in chunks:
        held, place = data, _at_its_offset(data, chunk, encoding)
        if place is None:
            whole = _read_whole(root, path, _MAX_RELOCATE_BYTES) if whole is None else whole
            held, place = whole, _relocate(whole, chunk, encoding)
        if place is not None:
            place = _with_key_context(place, held, encoding, place.start_byte, place.end_byte)
        confirmed.append(place)
    return confirmed


def cells_of(root: bytes, file: StoredFile | None, chunks: Sequence[StoredChunk]) -> list[CellLine | None]:
    """Return the cell and the line in it where each chunk begins, if ``file`` is a notebook; else None for each.

    None also stands for a chunk whose text is gone or cannot be read.
    """
    if file is None or file.encoding != NOTEBOOK:
        return [None] * len(chunks)
    try:
        return [place.cell if place else None for place in confirm(root, chunks, NOTEBOOK)]
    except (OSError, FailedError):
        return [None] * len(chunks)


def _at_its_offset(data: bytes, chunk: StoredChunk, encoding: str) -> ConfirmedChunk | None:
    span = chunk.span
    text = data[span.start_byte : span.end_byte]
    if xxhash.xxh3_128_digest(text) != chunk.span_hash:
        return None
    shift = count_line_ends(data[: span.start_byte], encoding) + 1 - span.start_line
    first, last = span.start_line + shift, span.end_line + shift
    return ConfirmedChunk(text, span.start_byte, span.end_byte, first, last, moved=shift != 0, encoding=encoding)


def _key_reach(encoding: str) -> int:
    """Return how many bytes a private key may extend beyond a chunk."""
    return KEY_REACH * (2 if encoding.startswith("utf-16") else 1)


def _with_key_context(place: ConfirmedChunk, data: bytes, encoding: str, start: int, end: int) -> ConfirmedChunk:
    before = data[max(0, start - _key_reach(encoding)) : start]
    after = data[end : end + _key_reach(encoding)]
    if any(mentions_key(part.replace(b"\0", b"")) for part in (before, place.data, after)):  # UTF-16 has NULs
        return replace(place, before=before, after=after)
    return place


def _raise_unless_gone(error: OSError) -> None:
    """Raise ``error`` unless it says that the file is gone; FailedError if the process can read no file at all."""
    if error.errno in NO_SUCH_FILE:
        return
    if error.errno in EXHAUSTED:
        raise cannot_verify(error) from error
    raise error


def cannot_verify(error: OSError) -> FailedError:
    """Return the error for a search in a process that can read no file at all, with an errno of EXHAUSTED."""
    return FailedError(f"cannot verify results against the disk: {error.strerror}", hint=EXHAUSTED_HINT)


def _read_whole(root: bytes, path: bytes, max_bytes: int) -> bytes:
    try:
        data = read_beneath(root, path, max_bytes=max_bytes).data
    except OSError as error:
        _raise_unless_gone(error)
        return b""
    return data if len(data) <= max_bytes else b""


def _in_notebook(root: bytes, path: bytes, chunks: Sequence[StoredChunk]) -> list[ConfirmedChunk | None]:
    data = _read_whole(root, path, _MAX_NOTEBOOK_BYTES)
    text = indexed_text(data)
    if not isinstance(text, NotebookText):
        return [None] * len(chunks)
    rows_by_end = {end: row for row, end in enumerate(text.source_ends)}
    return [_among_cells(data, text, rows_by_end, chunk) for chunk in chunks]


def _by_distance(starts: Sequence[int], place: int) -> Iterator[int]:
    """Yield the indexes of ``starts`` by distance from ``place``, nearest first; of two equals, the later first."""
    after = bisect_left(starts, place)
    before = after - 1
    while before >= 0 or after < len(starts):
        if before < 0 or (after < len(starts) and starts[after] - place <= place - starts[before]):
            yield after
            after += 1
        else:
            yield before
            before -= 1


def _among_cells(
    data: bytes, text: NotebookText, rows_by_end: Mapping[int, int], chunk: StoredChunk
) -> ConfirmedChunk | None:
    """Find the chunk's bytes as whole lines of cells, closest to where they were; None if they are gone."""
    span = chunk.span
    length = span.end_byte - span.start_byte
    for first in _by_distance(text.source_starts, span.start_byte):
        start = text.source_starts[first]
        last = rows_by_end.get(start + length)
        if last is not None and xxhash.xxh3_128_digest(data[start : start + length]) == chunk.span_hash:
            break
    else:
        return None
    place = ConfirmedChunk(
        text.utf8[text.starts[first] : text.end(last)],
        start,
        start + length,
        text.source_lines[first],
        text.source_lines[last],
        moved=(start, text.source_lines[first]) != (span.start_byte, span.start_line),
        cell=text.cell_line(first + 1),
        lines=text.source_lines[first : last + 1],
    )
    return _with_key_context(place, text.utf8, "utf-8", text.starts[first], text.end(last))


def _relocate(data: bytes, chunk: StoredChunk, encoding: str) -> ConfirmedChunk | None:
    """Find the chunk's bytes at the start of another line, closest to where they were; None if they are gone."""
    length = chunk.span.end_byte - chunk.span.start_byte
    lines = chunk.span.end_line - chunk.span.start_line
    view = memoryview(data)
    best: ConfirmedChunk | None = None
    line_end = b"\n" if b"\n" in data else b"\r"
    offset, number = 0, 1
    while 0 <= offset <= len(data) - length:
        if xxhash.xxh3_128_digest(view[offset : offset + length]) == chunk.span_hash:
            text = data[offset : offset + length]
            found = ConfirmedChunk(text, offset, offset + length, number, number + lines, moved=True, encoding=encoding)
            if best is None or abs(number - chunk.span.start_line) < abs(best.start_line - chunk.span.start_line):
                best = found
        newline = data.find(line_end, offset)
        if newline < 0:
            break
        offset, number = newline + 1, number + 1
    return best
