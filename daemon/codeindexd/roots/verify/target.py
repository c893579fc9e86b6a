"""The values that an audit and its root exchange: what to compare, and what to repair."""

from __future__ import annotations

from collections.abc import Set

from msgspec import Struct

from codeindexd.analysis.embedding.base import Embedder
from codeindexd.scan.scanner import Scanner
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.workers.pool import WorkerPool


class AuditTarget(Struct, frozen=True):
    """The disk and the stores of a running root, and the pool and the embedder that compute everything again."""

    path: bytes
    scanner: Scanner
    index: IndexWriter
    pool: WorkerPool
    embedder: Embedder


class WrongEntries(Struct, frozen=True):
    """The wrong entries that an audit found.

    ``lexical`` and ``dense`` are ids of chunks to remove from these projections, ``embed_hashes`` identify vectors to
    remove from the shared store, ``text`` are hashes of contents to remove from the text index, ``paths`` are files to
    process again. ``lexical_lags``, ``dense_lags`` and ``text_lags`` are True if the whole projection has to be
    compared with the catalog.
    """

    lexical: Set[int]
    dense: Set[int]
    embed_hashes: Set[bytes]
    text: Set[bytes]
    lexical_lags: bool
    dense_lags: bool
    text_lags: bool
    paths: Set[bytes]
