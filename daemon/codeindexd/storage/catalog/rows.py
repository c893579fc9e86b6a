"""Conversion between rows and values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from codeindexd.errors import StoreDamagedError
from codeindexd.scan.relpath import join, split
from codeindexd.storage.sqlite import Row
from codeindexd.types import Entry, Failure, FileStat, NodeKind, Outcome, Span, StoredChunk, StoredFile, Symbol

T = TypeVar("T")
_REBUILD = "it is rebuilt from the disk"


class _Known(dict[int, T]):
    """Enum members by stored code; five times as fast as calling the enum."""

    def __missing__(self, code: object) -> T:
        raise StoreDamagedError(f"the catalog holds the unknown code {code!r}", hint=_REBUILD)


KINDS = _Known[NodeKind]({int(kind): kind for kind in NodeKind})
OUTCOMES = _Known[Outcome]({int(outcome): outcome for outcome in Outcome})
_INT64 = range(-(1 << 63), 1 << 63)

NODE_COLUMNS = "kind, hash, size, mtime_ns, ctime_ns, inode, reason, rule"
_N = ", ".join(f"e.{column}" for column in NODE_COLUMNS.split(", "))
STORED_FILE = f"""
SELECT f.file_id, f.parent, f.name, {_N},
       f.outcome, f.language, f.encoding, f.fingerprint, f.reason, length(f.chunk_ids) / 8
FROM file f JOIN entry e ON e.parent = f.parent AND e.name = f.name
"""  # noqa: S608
STORED_CHUNK = """
SELECT c.chunk_id, c.file_id, f.parent, f.name, f.language, c.start_byte, c.end_byte, c.start_line, c.end_line, c.kind,
       c.symbol, c.symbols, c.span_hash, c.embed_hash, c.terms
FROM chunk c JOIN file f ON f.file_id = c.file_id
"""


def put_int(value: int) -> int | str:
    """Return an integer of any size as SQLite can store it: 64 bits signed, larger ones as text."""
    return value if value in _INT64 else str(value)


def put_text(text: str) -> str | bytes:
    """Return text as SQLite can store it; text with lone surrogates (from odd file names) becomes a blob."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-8", "surrogatepass")
    return text


def get_text(stored: object) -> str:
    """Return what :func:`put_text` was given.

    Raises StoreDamagedError: one flipped bit turns an empty text into a number.
    """
    if isinstance(stored, str):
        return stored
    if not isinstance(stored, bytes):
        raise StoreDamagedError(f"the catalog holds {type(stored).__name__} in place of text", hint=_REBUILD)
    try:
        return stored.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise StoreDamagedError(f"the catalog holds invalid text: {error.reason}", hint=_REBUILD) from error


def put_ids(ids: Iterable[int]) -> bytes:
    """Return ids as little-endian int64."""
    return np.fromiter(ids, dtype="<i8").tobytes()


def get_ids(blob: bytes) -> NDArray[np.int64]:
    """Return ids (n,), read-only."""
    return np.frombuffer(blob, dtype="<i8")


def entry_from(path: bytes, row: Row) -> Entry:
    """Return an entry from its NODE_COLUMNS."""
    parent, name = split(path)
    return entries_from(parent, [(name, *row)])[name]


def entries_from(directory: bytes, rows: Iterable[Row]) -> dict[bytes, Entry]:
    """Return the entries of a directory by name, from (name, NODE_COLUMNS); fast, since whole trees are read so."""
    above = directory + b"/" if directory else b""
    found: dict[bytes, Entry] = {}
    for name, kind, digest, size, mtime_ns, ctime_ns, inode, reason, rule in rows:
        if size.__class__ is mtime_ns.__class__ is ctime_ns.__class__ is inode.__class__ is int:
            stat: FileStat | None = FileStat(size, mtime_ns, ctime_ns, inode)
        else:
            stat = None if size is None else FileStat(int(size), int(mtime_ns), int(ctime_ns), int(inode))
        if reason or rule:
            found[name] = Entry(above + name, KINDS[kind], digest, stat, get_text(reason), get_text(rule))
        else:
            found[name] = Entry(above + name, KINDS[kind], digest, stat)
    return found


def entry_row(entry: Entry, file_id: int | None) -> Row:
    """Return all columns of table `entry`, in order."""
    parent, name = split(entry.path)
    stat: tuple[Any, ...] = (None, None, None, None)
    if entry.stat is not None:
        s = entry.stat
        stat = (put_int(s.size), put_int(s.mtime_ns), put_int(s.ctime_ns), put_int(s.inode))
    return (parent, name, int(entry.kind), entry.hash, *stat, put_text(entry.reason), put_text(entry.rule), file_id)


def stored_file(row: Row) -> StoredFile:
    """Return a file from the columns of STORED_FILE."""
    file_id, parent, name = row[:3]
    outcome, language, encoding, fingerprint, reason, chunks = row[11:]
    entry = entry_from(join(parent, name), row[3:11])
    return StoredFile(file_id, entry, OUTCOMES[outcome], language, encoding, fingerprint, get_text(reason), chunks)


def stored_chunk(row: Row) -> StoredChunk:
    """Return a chunk from the columns of STORED_CHUNK."""
    chunk_id, file_id, parent, name, language, start, end, first, last, kind, symbol, symbols, *hashes = row
    span = Span(start, end, first, last, kind, get_text(symbol), get_symbols(symbols))
    return StoredChunk(chunk_id, file_id, join(parent, name), language, span, *hashes)


_SymbolRow = tuple[Any, Any, str, int]  # text as put_text returns it
_decode_symbols = msgspec.msgpack.Decoder(list[_SymbolRow])
_encode = msgspec.msgpack.Encoder().encode


def put_symbols(symbols: tuple[Symbol, ...]) -> bytes | None:
    """Return definitions as a blob, or None if there are none."""
    if not symbols:
        return None
    try:
        return _encode([(s.name, s.qualified, s.kind, s.line_offset) for s in symbols])
    except UnicodeEncodeError:
        return _encode([(put_text(s.name), put_text(s.qualified), s.kind, s.line_offset) for s in symbols])


def put_kind(kind: str) -> bytes:
    """Return the bytes that :func:`put_symbols` has for the kind of a definition, which a number follows."""
    return _encode(kind)


def get_symbols(blob: bytes | None) -> tuple[Symbol, ...]:
    """Return what :func:`put_symbols` was given. Raises StoreDamagedError."""
    if blob is None:
        return ()
    try:
        rows = _decode_symbols.decode(blob)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreDamagedError(f"the catalog holds broken symbols: {error}", hint=_REBUILD) from error
    return tuple(Symbol(get_text(name), get_text(qualified), kind, offset) for name, qualified, kind, offset in rows)


def symbol_key(name: str) -> bytes:
    """Return the lookup key of a symbol name: its case folded."""
    return name.lower().encode() if name.isascii() else name.casefold().encode("utf-8", "surrogatepass")


def last_part(name: str) -> str:
    """Return the last part of a name: ``get`` of ``Client.get``."""
    return name.rpartition(".")[2] or name


def symbol_keys(symbol: str, symbols: tuple[Symbol, ...]) -> set[bytes]:
    """Return every key that leads to a chunk with this symbol path and these definitions."""
    keys = {symbol_key(s.name) for s in symbols}
    if symbol:
        keys.add(symbol_key(symbol.rpartition(".")[2] or symbol))
    return keys


def failure_from(row: Row) -> Failure:
    """Return a failure from (parent, name, stage, error, attempts, next_retry_ns, quarantined)."""
    parent, name, stage, error, attempts, next_retry_ns, quarantined = row
    return Failure(join(parent, name), get_text(stage), get_text(error), attempts, next_retry_ns, bool(quarantined))


def failure_row(failure: Failure) -> Row:
    """Return all columns of table `failure`, in order."""
    retry = min(failure.next_retry_ns, _INT64[-1])
    return (
        *split(failure.path),
        put_text(failure.stage),
        put_text(failure.error),
        failure.attempts,
        retry,
        int(failure.quarantined),
    )


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A row of table `file` without its path; ``reason`` is that of a skipped leaf."""

    file_id: int
    outcome: Outcome
    language: str = ""
    encoding: str = ""
    fingerprint: bytes = b""
    reason: str = ""
    chunk_ids: bytes = b""
    chunk_kinds: bytes = b""


@dataclass(frozen=True, slots=True)
class Node:
    """A tree node with its row of table `file`; ``file`` is None for directories."""

    entry: Entry
    file: FileRecord | None = None
