"""Converts between rows of the catalog and values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from codeindexd.errors import StoreDamagedError
from codeindexd.scan.relpath import join, split
from codeindexd.storage.sqlite import REBUILT, Row
from codeindexd.types import Entry, Failure, FileStat, NodeKind, Outcome, Span, StoredChunk, StoredFile, Symbol

T = TypeVar("T")


class _EnumMembers(dict[int, T]):
    """Enum members by stored code; five times as fast as calling the enum. Raises StoreDamagedError for others."""

    def __missing__(self, code: object) -> T:
        raise StoreDamagedError(f"the catalog contains the unknown code {code!r}", hint=REBUILT)


KINDS = _EnumMembers[NodeKind]({int(kind): kind for kind in NodeKind})
OUTCOMES = _EnumMembers[Outcome]({int(outcome): outcome for outcome in Outcome})
_INT64 = range(-(1 << 63), 1 << 63)

NODE_COLUMNS = "kind, hash, size, mtime_ns, ctime_ns, inode, reason, rule"
_N = ", ".join(f"e.{column}" for column in NODE_COLUMNS.split(", "))
STORED_FILE = f"""
SELECT f.file_id, f.parent, f.name, {_N},
       f.outcome, f.language, f.encoding, f.fingerprint, f.reason, length(f.chunk_ids) / 8
FROM file f JOIN entry e ON e.parent = f.parent AND e.name = f.name
"""  # noqa: S608
STORED_FILE_OF_ENTRY = STORED_FILE.replace(  # for lookups by path or hash: SQLite would scan the files otherwise
    "FROM file f JOIN entry e ON e.parent = f.parent AND e.name = f.name",
    "FROM entry e CROSS JOIN file f ON f.file_id = e.file_id",
)
STORED_CHUNK = """
SELECT c.chunk_id, c.file_id, f.parent, f.name, f.language, c.start_byte, c.end_byte, c.start_line, c.end_line, c.kind,
       c.symbol, c.symbols, c.span_hash, c.embed_hash, c.terms
FROM chunk c JOIN file f ON f.file_id = c.file_id
"""


def put_int(value: int) -> int | str:
    """Return an integer in the form in which SQLite can store it: as text if it exceeds 64 bits (signed)."""
    return value if value in _INT64 else str(value)


def put_stat(stat: FileStat) -> tuple[int | str, ...]:
    """Return the columns size, mtime_ns, ctime_ns and inode."""
    return (put_int(stat.size), put_int(stat.mtime_ns), put_int(stat.ctime_ns), put_int(stat.inode))


def get_stat(columns: Sequence[Any]) -> FileStat | None:
    """Return the stat that :func:`put_stat` converted; None if its size is NULL."""
    return None if columns[0] is None else FileStat(*map(int, columns))


def put_text(text: str) -> str | bytes:
    """Return text in the form in which SQLite can store it: as a blob if it has lone surrogates (odd file names)."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-8", "surrogatepass")
    return text


def get_text(stored: object) -> str:
    """Return the text that :func:`put_text` converted.

    Raises StoreDamagedError: one flipped bit turns an empty text into a number.
    """
    if isinstance(stored, str):
        return stored
    if not isinstance(stored, bytes):
        raise StoreDamagedError(f"the catalog contains {type(stored).__name__} instead of text", hint=REBUILT)
    try:
        return stored.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise StoreDamagedError(f"the catalog contains invalid text: {error.reason}", hint=REBUILT) from error


def put_ids(ids: Iterable[int]) -> bytes:
    """Return ids as bytes of little-endian int64."""
    return np.fromiter(ids, dtype="<i8").tobytes()


def get_ids(blob: bytes) -> NDArray[np.int64]:
    """Return the ids (n,) that :func:`put_ids` converted, read-only."""
    return np.frombuffer(blob, dtype="<i8")


def entry_from(path: bytes, row: Row) -> Entry:
    """Return the entry at ``path`` from its NODE_COLUMNS. Raises StoreDamagedError."""
    parent, name = split(path)
    return entries_from(parent, [(name, *row)])[name]


def entries_from(directory: bytes, rows: Iterable[Row]) -> dict[bytes, Entry]:
    """Return the entries of a directory by name, from rows of (name, NODE_COLUMNS). Raises StoreDamagedError.

    Written for speed: whole trees are read through it.
    """
    above = directory + b"/" if directory else b""
    found: dict[bytes, Entry] = {}
    for name, kind, digest, size, mtime_ns, ctime_ns, inode, reason, rule in rows:
        if size.__class__ is mtime_ns.__class__ is ctime_ns.__class__ is inode.__class__ is int:
            stat: FileStat | None = FileStat(size, mtime_ns, ctime_ns, inode)
        else:
            stat = get_stat((size, mtime_ns, ctime_ns, inode))
        if reason or rule:
            found[name] = Entry(above + name, KINDS[kind], digest, stat, get_text(reason), get_text(rule))
        else:
            found[name] = Entry(above + name, KINDS[kind], digest, stat)
    return found


def entry_row(entry: Entry, file_id: int | None) -> Row:
    """Return the row of table ``entry`` for ``entry``."""
    parent, name = split(entry.path)
    stat = (None,) * 4 if entry.stat is None else put_stat(entry.stat)
    return (parent, name, int(entry.kind), entry.hash, *stat, put_text(entry.reason), put_text(entry.rule), file_id)


def stored_file(row: Row) -> StoredFile:
    """Return a file from the columns of STORED_FILE. Raises StoreDamagedError."""
    file_id, parent, name = row[:3]
    outcome, language, encoding, fingerprint, reason, chunks = row[11:]
    entry = entry_from(join(parent, name), row[3:11])
    return StoredFile(file_id, entry, OUTCOMES[outcome], language, encoding, fingerprint, get_text(reason), chunks)


def stored_chunk(row: Row) -> StoredChunk:
    """Return a chunk from the columns of STORED_CHUNK. Raises StoreDamagedError."""
    chunk_id, file_id, parent, name, language, start, end, first, last, kind, symbol, symbols, *hashes = row
    span = Span(start, end, first, last, kind, get_text(symbol), get_symbols(symbols))
    return StoredChunk(chunk_id, file_id, join(parent, name), language, span, *hashes)


_SymbolRow = tuple[Any, Any, str, int]  # text as put_text returns it
_decode_symbols = msgspec.msgpack.Decoder(list[_SymbolRow])
_encode = msgspec.msgpack.Encoder().encode


def put_symbols(symbols: tuple[Symbol, ...]) -> bytes | None:
    """Return definitions as a blob, or None if there are none; "" stands for a qualified name that equals the name."""
    if not symbols:
        return None
    rows = [(s.name, "" if s.qualified == s.name else s.qualified, s.kind, s.line_offset) for s in symbols]
    try:
        return _encode(rows)
    except UnicodeEncodeError:
        return _encode([(put_text(name), put_text(qualified), kind, at) for name, qualified, kind, at in rows])


def put_kind(kind: str) -> bytes:
    """Return the bytes by which :func:`put_symbols` encodes the kind of a definition; a number follows them there."""
    return _encode(kind)


def get_symbols(blob: bytes | None) -> tuple[Symbol, ...]:
    """Return the definitions that :func:`put_symbols` encoded. Raises StoreDamagedError."""
    if blob is None:
        return ()
    try:
        rows = _decode_symbols.decode(blob)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreDamagedError(f"the catalog contains broken symbols: {error}", hint=REBUILT) from error
    named = ((get_text(name), get_text(qualified), kind, offset) for name, qualified, kind, offset in rows)
    return tuple(Symbol(name, qualified or name, kind, offset) for name, qualified, kind, offset in named)


def symbol_key(name: str) -> bytes:
    """Return the lookup key of a symbol name: the name without distinction of case."""
    return name.lower().encode() if name.isascii() else name.casefold().encode("utf-8", "surrogatepass")


def last_part(name: str) -> str:
    """Return the last part of a qualified name: ``get`` for ``Client.get``."""
    return name.rpartition(".")[2] or name


def symbol_keys(symbol: str, symbols: tuple[Symbol, ...]) -> set[bytes]:
    """Return the lookup keys of a chunk with the qualified name ``symbol`` and the definitions ``symbols``."""
    keys = {symbol_key(s.name) for s in symbols}
    if symbol:
        keys.add(symbol_key(symbol.rpartition(".")[2] or symbol))
    return keys


def failure_from(row: Row) -> Failure:
    """Return a failure from (parent, name, stage, error, attempts, next_retry_ns, quarantined)."""
    parent, name, stage, error, attempts, next_retry_ns, quarantined = row
    return Failure(join(parent, name), get_text(stage), get_text(error), attempts, next_retry_ns, bool(quarantined))


def failure_row(failure: Failure) -> Row:
    """Return the row of table ``failure`` for ``failure``."""
    retry = min(failure.next_retry_ns, _INT64[-1])
    return (
        *split(failure.path),
        put_text(failure.stage),
        put_text(failure.error),
        failure.attempts,
        retry,
        int(failure.quarantined),
    )


class FileRecord(Struct, frozen=True):
    """A row of table ``file`` without its path; ``reason`` says why a file is skipped.

    ``chunk_ids`` are encoded as by :func:`put_ids`, ``chunk_kinds`` as little-endian uint16 codes.
    """

    file_id: int
    outcome: Outcome
    language: str = ""
    encoding: str = ""
    fingerprint: bytes = b""
    reason: str = ""
    chunk_ids: bytes = b""
    chunk_kinds: bytes = b""


class Node(Struct, frozen=True):
    """A tree node with its row of table ``file``; ``file`` is None for directories."""

    entry: Entry
    file: FileRecord | None = None
