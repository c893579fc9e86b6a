"""Diffs the chunks of a transaction: which are kept, removed and added, and the rows to write."""

from __future__ import annotations

import sqlite3
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct, field

from codeindexd.storage.catalog.rows import (
    FileRecord,
    get_ids,
    get_symbols,
    get_text,
    put_ids,
    put_symbols,
    put_text,
    symbol_keys,
)
from codeindexd.storage.sqlite import Row, in_lists
from codeindexd.types import ChunkDraft, ChunkKey, IndexedChunk

_OLD = """
SELECT chunk_id, start_byte, end_byte, start_line, end_line, kind, symbol, symbols, span_hash, embed_hash, terms
FROM chunk WHERE chunk_id IN ({})
"""
_MOVE = """
UPDATE chunk SET start_byte = ?, end_byte = ?, start_line = ?, end_line = ?, symbols = ? WHERE chunk_id = ?
"""


class _OldChunk(NamedTuple):
    """A chunk before the transaction, as ``_OLD`` selects it."""

    chunk_id: int
    start_byte: int
    end_byte: int
    start_line: int
    end_line: int
    kind: str
    symbol: str | bytes | None  # as stored
    symbols: bytes | None
    span_hash: bytes
    embed_hash: bytes
    terms_hash: int

    @property
    def key(self) -> ChunkKey:
        """The :attr:`ChunkDraft.key` of the chunk's draft. Raises StoreDamagedError."""
        return self.span_hash, self.embed_hash, self.terms_hash, self.kind, get_text(self.symbol)


class ChunkChanges(Struct):
    """The changes to the chunk tables; projections have to apply ``added`` and ``removed``."""

    next_chunk: int
    added: list[IndexedChunk] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    moved: list[Row] = field(default_factory=list)  # kept chunks: new span and definitions
    keys_added: list[tuple[bytes, int]] = field(default_factory=list)
    keys_removed: list[tuple[bytes, int]] = field(default_factory=list)


class ChunkDiffer:
    """Diffs the chunks of the files of one transaction.

    A chunk keeps its id if its :attr:`ChunkDraft.key` and its file's language are unchanged, so that no projection has
    to change. Chunks of a file with equal keys are matched in order.
    """

    def __init__(self, connection: sqlite3.Connection, next_chunk: int, kinds: dict[str, int]) -> None:
        """Assign ids from ``next_chunk`` on. ``kinds`` maps chunk kinds to their codes; new ones are added to it."""
        self._connection = connection
        self._kinds = kinds
        self.changes = ChunkChanges(next_chunk)

    def drop(self, record: FileRecord) -> None:
        """Remove all chunks of a file that was removed."""
        if record.chunk_ids:
            self._remove(self._chunks_of(get_ids(record.chunk_ids).tolist()).values())

    def diff(self, old: FileRecord | None, new: FileRecord, drafts: Sequence[ChunkDraft]) -> tuple[bytes, bytes]:
        """Diff the chunks of a file; return the ids and the kinds of its new chunks, encoded as its row stores them.

        ``old`` is the file's row before the transaction or None, ``drafts`` are its new chunks.
        """
        before = self._chunks_of(get_ids(old.chunk_ids).tolist()) if old is not None and old.chunk_ids else {}
        waiting: dict[ChunkKey, deque[_OldChunk]] = defaultdict(deque)
        if old is not None and old.language == new.language:
            for chunk in before.values():
                waiting[chunk.key].append(chunk)
        ids: list[int] = []
        for draft in drafts:
            key = draft.key
            matches = waiting.get(key) if waiting else None
            if matches:
                chunk = matches.popleft()
                del before[chunk.chunk_id]
                self._keep(chunk, draft)
                ids.append(chunk.chunk_id)
            else:
                ids.append(self._add(draft, new, key))
        self._remove(before.values())
        return put_ids(ids), np.array([self._kind(draft.span.kind) for draft in drafts], dtype="<u2").tobytes()

    def _chunks_of(self, ids: Sequence[int]) -> dict[int, _OldChunk]:
        """Return the chunks that exist among ``ids``, in this order, which is that of the file."""
        found: dict[int, _OldChunk] = {}
        for marks, part in in_lists(ids):
            rows = map(_OldChunk._make, self._connection.execute(_OLD.format(marks), part))
            found.update((chunk.chunk_id, chunk) for chunk in rows)
        return {chunk_id: found[chunk_id] for chunk_id in ids if chunk_id in found}

    def _keep(self, old: _OldChunk, draft: ChunkDraft) -> None:
        """Record where a kept chunk is now, and how its lookup keys change."""
        span = draft.span
        position = (span.start_byte, span.end_byte, span.start_line, span.end_line)
        symbols = put_symbols(span.symbols)
        if (old.start_byte, old.end_byte, old.start_line, old.end_line) != position or old.symbols != symbols:
            self.changes.moved.append((*position, symbols, old.chunk_id))
        if old.symbols != symbols:
            before, after = symbol_keys(span.symbol, get_symbols(old.symbols)), symbol_keys(span.symbol, span.symbols)
            self.changes.keys_removed += [(key, old.chunk_id) for key in before - after]
            self.changes.keys_added += [(key, old.chunk_id) for key in after - before]

    def _add(self, draft: ChunkDraft, record: FileRecord, key: ChunkKey) -> int:
        """Record a new chunk, and return its id."""
        changes, span = self.changes, draft.span
        span_hash, embed_hash, terms_hash, kind, symbol = key
        chunk_id = changes.next_chunk
        changes.next_chunk += 1
        changes.added.append(IndexedChunk(chunk_id, record.file_id, record.language, draft))
        changes.rows.append(
            (
                chunk_id,
                record.file_id,
                span.start_byte,
                span.end_byte,
                span.start_line,
                span.end_line,
                kind,
                put_text(symbol),
                span_hash,
                embed_hash,
                terms_hash,
                put_symbols(span.symbols),
            )
        )
        changes.keys_added += [(key, chunk_id) for key in symbol_keys(span.symbol, span.symbols)]
        return chunk_id

    def _remove(self, chunks: Iterable[_OldChunk]) -> None:
        for chunk in chunks:
            self.changes.removed.append(chunk.chunk_id)
            if chunk.symbol or chunk.symbols:
                keys = symbol_keys(get_text(chunk.symbol), get_symbols(chunk.symbols))
                self.changes.keys_removed += [(key, chunk.chunk_id) for key in keys]

    def _kind(self, name: str) -> int:
        """Return the code of a chunk kind, which may be new."""
        code = self._kinds.get(name)
        if code is None:
            code = self._kinds[name] = len(self._kinds) + 1
            self._connection.execute("INSERT INTO kind VALUES (?, ?)", (code, name))
        return code

    def write(self) -> None:
        """Write all changes to the chunk tables. Raises sqlite3.Error."""
        changes, run = self.changes, self._connection.executemany
        run("DELETE FROM symbol WHERE name = ? AND chunk_id = ?", changes.keys_removed)
        run("DELETE FROM chunk WHERE chunk_id = ?", [(chunk_id,) for chunk_id in changes.removed])
        run(_MOVE, changes.moved)
        run("INSERT INTO chunk VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", changes.rows)
        run("INSERT INTO symbol VALUES (?, ?)", sorted(changes.keys_added))
