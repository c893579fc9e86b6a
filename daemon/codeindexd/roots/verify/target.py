"""What an audit of one root compares, and what it asks the root to repair."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from codeindexd.analysis.embedding.base import Embedder
from codeindexd.scan.scanner import Scanner
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.workers.pool import WorkerPool


@dataclass(frozen=True, slots=True)
class AuditTarget:
    """The disk and the stores of a running root, and what computes chunks and vectors again."""

    path: bytes
    scanner: Scanner
    index: IndexWriter
    pool: WorkerPool
    embedder: Embedder


@dataclass(frozen=True, slots=True)
class WrongEntries:
    """What an audit found wrong.

    ``lexical`` and ``dense`` are ids of chunks to be removed from these projections, ``embed_hashes`` vectors to be
    removed from the shared store, ``text`` contents to be removed from the text index, ``paths`` files to be processed
    again. ``lexical_lags``, ``dense_lags`` and ``text_lags`` say that the projection as a whole has to be compared with
    the catalog.
    """

    lexical: Set[int]
    dense: Set[int]
    embed_hashes: Set[bytes]
    text: Set[bytes]
    lexical_lags: bool
    dense_lags: bool
    text_lags: bool
    paths: Set[bytes]
