"""What the projections are given of the catalog, and whether they have all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from codeindexd.catalog import CatalogSnapshot
from codeindexd.lexical import LexicalChunk
from codeindexd.model import IndexedChunk, StoredChunk
from codeindexd.tokens import split_identifier, stem

_GATHER = 20_000


@dataclass
class Behind:
    """Which projections lack committed chunks: set by a failed write or found at open, cleared by the replay."""

    lexical: bool = False
    dense: bool = False
    notes: list[str] = field(default_factory=list)


@lru_cache(maxsize=10_000)
def _symbol_words(symbol: str) -> str:
    return " ".join(map(stem, split_identifier(symbol)))


def lexical_chunk(chunk: IndexedChunk) -> LexicalChunk:
    """The document of a committed chunk."""
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


def compare_chunks(
    snapshot: CatalogSnapshot, held: NDArray[np.int64]
) -> tuple[dict[bytes, list[StoredChunk]], list[int]]:
    """The chunks by file that are not among the ids ``held`` by a projection, and the ids that only it has."""
    missing: dict[bytes, list[StoredChunk]] = {}
    wanted = snapshot.all_chunk_ids()
    lacking = np.setdiff1d(wanted, held, assume_unique=True)
    for start in range(0, len(lacking), _GATHER):
        for chunk in snapshot.chunks(lacking[start : start + _GATHER].tolist()).values():
            missing.setdefault(chunk.path, []).append(chunk)
    return missing, np.setdiff1d(held, wanted, assume_unique=True).tolist()


def embed_hashes_of(
    chunks: Callable[[Sequence[int]], Mapping[int, StoredChunk]], ids: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> dict[int, bytes]:
    """The embed hash of every chunk of ``ids`` that ``chunks`` knows, by chunk id."""
    found: dict[int, bytes] = {}
    for start in range(0, len(ids), _GATHER):
        part = chunks(ids[start : start + _GATHER].tolist())
        found.update((chunk_id, chunk.embed_hash) for chunk_id, chunk in part.items())
    return found
