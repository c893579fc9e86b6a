"""Converts committed changes for the projections, and finds what a projection lacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from codeindexd.analysis.tokens import split_identifier, stem
from codeindexd.storage.catalog import CatalogSnapshot
from codeindexd.storage.lexical import LexicalChunk
from codeindexd.storage.text import Document
from codeindexd.storage.vectors import VectorStore
from codeindexd.types import IndexedChunk, Outcome, StoredChunk, Transaction

_GATHER = 20_000


class ProjectionLag(Struct):
    """The projections that lack committed changes: set by a failed write or when opened, cleared by catching up.

    ``notes`` say which stores were rebuilt, and why.
    """

    lexical: bool = False
    dense: bool = False
    text: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def has_lag(self) -> bool:
        """True if at least one projection lags."""
        return self.lexical or self.dense or self.text


@lru_cache(maxsize=10_000)
def _symbol_words(symbol: str) -> str:
    return " ".join(map(stem, split_identifier(symbol)))


def lexical_chunk(chunk: IndexedChunk) -> LexicalChunk:
    """Return the document for the lexical index of a committed chunk."""
    span = chunk.draft.span
    return LexicalChunk(
        chunk_id=chunk.chunk_id,
        file_id=chunk.file_id,
        words=chunk.draft.words,
        identifiers=chunk.draft.identifiers,
        symbol=_symbol_words(span.symbol),
        names=tuple(symbol.name for symbol in span.symbols),
        language=chunk.language,
        kind=span.kind,
    )


def text_documents(changes: Transaction) -> list[Document]:
    """Return the documents that a transaction adds to the text index."""
    return [
        Document.from_bytes(update.entry.hash, update.trigrams, is_masked=update.is_masked)
        for update in changes.updates
        if update.outcome is Outcome.INDEXED and update.trigrams is not None
    ]


def compare_chunks(
    snapshot: CatalogSnapshot, projected: NDArray[np.int64]
) -> tuple[dict[bytes, list[StoredChunk]], list[int]]:
    """Return the catalog's chunks that a projection lacks, by path, and the ids that only the projection has.

    ``projected`` (n,) are the distinct chunk ids in the projection.
    """
    missing: dict[bytes, list[StoredChunk]] = {}
    expected = snapshot.all_chunk_ids()
    missing_ids = np.setdiff1d(expected, projected, assume_unique=True)
    for start in range(0, len(missing_ids), _GATHER):
        for chunk in snapshot.chunks(missing_ids[start : start + _GATHER].tolist()).values():
            missing.setdefault(chunk.path, []).append(chunk)
    return missing, np.setdiff1d(projected, expected, assume_unique=True).tolist()


def keep_vectors(store: VectorStore, identity: str, changes: Transaction) -> None:
    """Store the vectors that were computed for a transaction, and mark vectors that came from the store as used.

    Raises StoreFullError, StoreDamagedError.
    """
    drafts = [draft for update in changes.updates for draft in update.chunks]
    fresh = [(draft.embed_hash, draft.vector) for draft in drafts if draft.vector is not None and draft.embedded]
    if fresh:
        store.put_many(identity, fresh)
    reused = [draft.embed_hash for draft in drafts if draft.vector is not None and not draft.embedded]
    if reused:
        store.mark_used(identity, reused)


def split_by_vector(
    store: VectorStore, identity: str, added: Sequence[IndexedChunk]
) -> tuple[list[tuple[int, bytes]], list[tuple[int, bytes]]]:
    """Return (chunk id, vector) of the chunks with a known vector, and (chunk id, embed hash) of the others.

    Vectors are known if they came with the chunk or are in the store. Raises StoreFullError, StoreDamagedError.
    """
    without = [chunk.draft.embed_hash for chunk in added if chunk.draft.vector is None]
    stored = store.get_many(identity, without) if without else {}
    known: list[tuple[int, bytes]] = []
    unknown: list[tuple[int, bytes]] = []
    for chunk in added:
        vector = chunk.draft.vector or stored.get(chunk.draft.embed_hash)
        if vector is None:
            unknown.append((chunk.chunk_id, chunk.draft.embed_hash))
        else:
            known.append((chunk.chunk_id, vector))
    return known, unknown


def embed_hashes_of(
    chunks: Callable[[Sequence[int]], Mapping[int, StoredChunk]], ids: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> dict[int, bytes]:
    """Return the embed hashes of those chunks among ``ids`` (n,) that ``chunks(ids)`` returns, by chunk id."""
    found: dict[int, bytes] = {}
    for start in range(0, len(ids), _GATHER):
        part = chunks(ids[start : start + _GATHER].tolist())
        found.update((chunk_id, chunk.embed_hash) for chunk_id, chunk in part.items())
    return found
