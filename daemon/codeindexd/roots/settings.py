"""What a root is made with and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from codeindexd.analysis.embedding.base import Embedder
from codeindexd.config import Index
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.storage.vectors import VectorStore
from codeindexd.types import VectorSpace
from codeindexd.workers.pool import WorkerPool

if TYPE_CHECKING:
    from codeindexd.roots.root import Root


@dataclass(frozen=True, slots=True)
class RootSettings:
    """What a root needs of the configuration. Times in seconds."""

    index: Index
    debounce_s: float
    deadline_s: float
    max_hints: int
    reconcile_s: float
    poll: bool
    poll_s: float = 30.0


@dataclass(frozen=True, slots=True)
class RootDependencies:
    """What all roots share. ``others`` are models that only questions are embedded with, by identity."""

    pool: WorkerPool
    vectors: VectorStore
    embedder: Embedder
    others: Mapping[str, Embedder]
    fingerprints: Callable[[str], bytes]
    cookies: Path
    on_event: Callable[[str, Root], None]

    def open_index(self, directory: Path, root_id: str) -> IndexWriter:
        """Open the stores of a root. Blocking; raises what :class:`IndexWriter` does."""
        return IndexWriter(
            directory,
            root_id=root_id,
            vectors=self.vectors,
            space=VectorSpace(self.embedder.identity, self.embedder.dimensions),
            usable={identity: VectorSpace(identity, other.dimensions) for identity, other in self.others.items()},
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """Something the user should know about a root, and what to do about it."""

    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Synced:
    """The answer of ``sync``: the generation everything before the call is in, and how that is known."""

    generation: int
    took_ms: float
    how: str
