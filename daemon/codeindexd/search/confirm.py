"""Holds a chunk against the disk: what is shown is what is there now."""

from __future__ import annotations

from dataclasses import dataclass, replace

import xxhash

from codeindexd.analysis.chunking.encoding import line_ends
from codeindexd.analysis.secrets.mask import KEY_REACH, mentions_key
from codeindexd.errors import EXHAUSTED, FailedError
from codeindexd.scan.safe_read import read_beneath, read_ranges
from codeindexd.types import StoredChunk

_RELOCATE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A chunk's bytes as they are on the disk, and where; ``moved`` when that is not where the catalog has them.

    ``before`` and ``after`` are the bytes around it if a private key may begin or end there, so that one which the
    chunk cuts is seen; else they are empty.
    """

    data: bytes
    start_byte: int
    end_byte: int
    start_line: int
    end_line: int
    moved: bool = False
    before: bytes = b""
    after: bytes = b""


def confirm(root: bytes, chunks: list[StoredChunk], encoding: str = "utf-8") -> list[Confirmed | None]:
    """Re-read and re-hash chunks of *one* file; None for those whose text is nowhere in the file any more.

    Lines are counted anew: the same bytes at the same place are on other lines when a character above them became a
    newline. ``encoding`` is the file's. Raises FailedError when nothing at all can be read now: an answer without hits
    would say that there are none.
    """
    if not chunks:
        return []
    path = chunks[0].path
    end = max(chunk.span.end_byte for chunk in chunks) + _reach(encoding)
    try:
        (data,) = read_ranges(root, path, [(0, end)])
    except OSError as error:
        _refuse_without_means(error)
        return [None] * len(chunks)
    confirmed: list[Confirmed | None] = []
    whole: bytes | None = None
    for chunk in chunks:
        span = chunk.span
        text = data[span.start_byte : span.end_byte]
        if xxhash.xxh3_128_digest(text) == chunk.span_hash:
            down = line_ends(data[: span.start_byte], encoding) + 1 - span.start_line
            first, last = span.start_line + down, span.end_line + down
            here = Confirmed(text, span.start_byte, span.end_byte, first, last, moved=down != 0)
            confirmed.append(_with_key_around(here, data, encoding))
            continue
        if whole is None:
            whole = _read_whole(root, path)
        found = _relocate(whole, chunk)
        confirmed.append(_with_key_around(found, whole, encoding) if found else None)
    return confirmed


def _reach(encoding: str) -> int:
    return KEY_REACH * (2 if encoding.startswith("utf-16") else 1)


def _with_key_around(place: Confirmed, data: bytes, encoding: str) -> Confirmed:
    before = data[max(0, place.start_byte - _reach(encoding)) : place.start_byte]
    after = data[place.end_byte : place.end_byte + _reach(encoding)]
    if any(mentions_key(part.replace(b"\0", b"")) for part in (before, place.data, after)):  # NULs: of UTF-16
        return replace(place, before=before, after=after)
    return place


def _refuse_without_means(error: OSError) -> None:
    if error.errno in EXHAUSTED:
        raise FailedError(
            f"answers cannot be held against the disk: {error.strerror}",
            hint="close programs, or raise the limit of open files or memory",
        ) from error


def _read_whole(root: bytes, path: bytes) -> bytes:
    try:
        data = read_beneath(root, path, max_bytes=_RELOCATE_BYTES).data
    except OSError as error:
        _refuse_without_means(error)
        return b""
    return data if len(data) <= _RELOCATE_BYTES else b""


def _relocate(data: bytes, chunk: StoredChunk) -> Confirmed | None:
    """Find the chunk's bytes at another line of the file; the line nearest to the old one wins."""
    length = chunk.span.end_byte - chunk.span.start_byte
    lines = chunk.span.end_line - chunk.span.start_line
    view = memoryview(data)
    best: Confirmed | None = None
    offset, number = 0, 1
    while 0 <= offset <= len(data) - length:
        if xxhash.xxh3_128_digest(view[offset : offset + length]) == chunk.span_hash:
            here = Confirmed(
                data[offset : offset + length], offset, offset + length, number, number + lines, moved=True
            )
            if best is None or abs(number - chunk.span.start_line) < abs(best.start_line - chunk.span.start_line):
                best = here
        newline = data.find(b"\n", offset)
        if newline < 0:
            break
        offset, number = newline + 1, number + 1
    return best
