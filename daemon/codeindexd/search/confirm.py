"""Confirms chunks against the disk, so that an answer shows only what is there now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import xxhash

from codeindexd.analysis.chunking.encoding import line_ends
from codeindexd.analysis.secrets.mask import KEY_REACH, mentions_key
from codeindexd.errors import EXHAUSTED, FailedError
from codeindexd.scan.safe_read import read_beneath, read_ranges
from codeindexd.types import StoredChunk

_MAX_RELOCATE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class ConfirmedChunk:
    """A chunk's bytes as they are on the disk, and their place; ``moved`` if the catalog has another place.

    ``before`` and ``after`` are the surrounding bytes if a private key may begin or end there, so that masking sees
    a key that the chunk cuts. Otherwise they are empty.
    """

    data: bytes
    start_byte: int
    end_byte: int
    start_line: int
    end_line: int
    moved: bool = False
    before: bytes = b""
    after: bytes = b""


def confirm(root: bytes, chunks: Sequence[StoredChunk], encoding: str = "utf-8") -> list[ConfirmedChunk | None]:
    """Read and hash chunks of *one* file again; None for each chunk whose text is no longer in the file.

    Lines are counted again: the same bytes are on other lines when a character above them became a newline.
    ``encoding`` is the file's. Raises FailedError when the process can read nothing: an answer without hits would
    claim that there are none.
    """
    if not chunks:
        return []
    path = chunks[0].path
    end = max(chunk.span.end_byte for chunk in chunks) + _key_reach(encoding)
    try:
        (data,) = read_ranges(root, path, [(0, end)])
    except OSError as error:
        _raise_if_exhausted(error)
        return [None] * len(chunks)
    confirmed: list[ConfirmedChunk | None] = []
    whole: bytes | None = None
    for chunk in chunks:
        if (in_place := _at_its_offset(data, chunk, encoding)) is not None:
            confirmed.append(_with_key_context(in_place, data, encoding))
            continue
        if whole is None:
            whole = _read_whole(root, path)
        moved = _relocate(whole, chunk)
        confirmed.append(_with_key_context(moved, whole, encoding) if moved else None)
    return confirmed


def _at_its_offset(data: bytes, chunk: StoredChunk, encoding: str) -> ConfirmedChunk | None:
    span = chunk.span
    text = data[span.start_byte : span.end_byte]
    if xxhash.xxh3_128_digest(text) != chunk.span_hash:
        return None
    shift = line_ends(data[: span.start_byte], encoding) + 1 - span.start_line
    first, last = span.start_line + shift, span.end_line + shift
    return ConfirmedChunk(text, span.start_byte, span.end_byte, first, last, moved=shift != 0)


def _key_reach(encoding: str) -> int:
    """Return how many bytes a private key may extend beyond a chunk."""
    return KEY_REACH * (2 if encoding.startswith("utf-16") else 1)


def _with_key_context(place: ConfirmedChunk, data: bytes, encoding: str) -> ConfirmedChunk:
    before = data[max(0, place.start_byte - _key_reach(encoding)) : place.start_byte]
    after = data[place.end_byte : place.end_byte + _key_reach(encoding)]
    if any(mentions_key(part.replace(b"\0", b"")) for part in (before, place.data, after)):  # UTF-16 has NULs
        return replace(place, before=before, after=after)
    return place


def _raise_if_exhausted(error: OSError) -> None:
    if error.errno in EXHAUSTED:
        raise FailedError(
            f"cannot verify results against the disk: {error.strerror}",
            hint="close programs, or raise the limit of open files or memory",
        ) from error


def _read_whole(root: bytes, path: bytes) -> bytes:
    try:
        data = read_beneath(root, path, max_bytes=_MAX_RELOCATE_BYTES).data
    except OSError as error:
        _raise_if_exhausted(error)
        return b""
    return data if len(data) <= _MAX_RELOCATE_BYTES else b""


def _relocate(data: bytes, chunk: StoredChunk) -> ConfirmedChunk | None:
    """Find the chunk's bytes at the start of another line, the one closest to where they were."""
    length = chunk.span.end_byte - chunk.span.start_byte
    lines = chunk.span.end_line - chunk.span.start_line
    view = memoryview(data)
    best: ConfirmedChunk | None = None
    line_end = b"\n" if b"\n" in data else b"\r"
    offset, number = 0, 1
    while 0 <= offset <= len(data) - length:
        if xxhash.xxh3_128_digest(view[offset : offset + length]) == chunk.span_hash:
            text = data[offset : offset + length]
            found = ConfirmedChunk(text, offset, offset + length, number, number + lines, moved=True)
            if best is None or abs(number - chunk.span.start_line) < abs(best.start_line - chunk.span.start_line):
                best = found
        newline = data.find(line_end, offset)
        if newline < 0:
            break
        offset, number = newline + 1, number + 1
    return best
