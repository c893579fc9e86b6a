"""Real indexes with small commits: ``save("a.py", "alpha")`` saves a file whose chunks are its words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xxhash

from codeindexd.storage.index_writer import IndexWriter
from codeindexd.storage.lexical import LexicalQuery
from codeindexd.storage.vectors import VectorStore
from codeindexd.types import (
    ChunkDraft,
    Entry,
    FileStat,
    FileUpdate,
    IndexedChunk,
    NodeKind,
    Outcome,
    Span,
    Transaction,
    VectorSpace,
)

SPACE = VectorSpace("space-one", 8)


def vector_of(word: str) -> bytes:
    numbers = np.random.default_rng(xxhash.xxh32_intdigest(word.encode())).normal(size=8)
    return (numbers / np.linalg.norm(numbers)).astype("<f2").tobytes()


def draft(word: str, *, vector: bool = True) -> ChunkDraft:
    digest = xxhash.xxh3_128_digest(word.encode())
    return ChunkDraft(
        Span(0, 10, 1, 1, "function", word), digest, digest, word, word, vector_of(word) if vector else None, vector
    )


def save(path: str, *words: str, vector: bool = True) -> Transaction:
    stat = FileStat(10, 1, 1, 1)
    entry = Entry(path.encode(), NodeKind.FILE, xxhash.xxh3_128_digest("".join(words).encode()), stat)
    chunks = tuple(draft(word, vector=vector) for word in words)
    return Transaction(updates=[FileUpdate(entry, Outcome.INDEXED, "python", "utf-8", b"f" * 16, chunks=chunks)])


def open_index(tmp_path: Path, vectors: VectorStore, space: VectorSpace = SPACE, **others: VectorSpace) -> IndexWriter:
    usable = {other.identity: other for other in others.values()}
    return IndexWriter(tmp_path / "root", root_id="id", vectors=vectors, space=space, usable=usable)


def found(index: IndexWriter, word: str) -> list[int]:
    with index.current.pin() as snapshot:
        assert snapshot is not None
        return [chunk_id for chunk_id, _, _ in snapshot.lexical.search(LexicalQuery(words=[word]), 10)]


def dense_ids(index: IndexWriter) -> list[int]:
    with index.current.pin() as snapshot:
        assert snapshot is not None
        return snapshot.dense.ids().tolist()


def catch_up(index: IndexWriter) -> int:
    """Catch the lexical index up, with drafts made here instead of by a worker; return how many chunks it lacked."""
    missing = index.find_missing_lexical()
    chunks = [
        IndexedChunk(chunk.chunk_id, chunk.file_id, chunk.language, draft(chunk.span.symbol))
        for of_file in missing.values()
        for chunk in of_file
    ]
    index.add_lexical(chunks)
    index.mark_lexical_current()
    return len(chunks)
