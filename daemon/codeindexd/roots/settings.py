"""What a root is made with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from codeindexd.analysis.embedding.base import Embedder
from codeindexd.config import Index
from codeindexd.roots.events import RootEvent
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.storage.vectors import VectorStore
from codeindexd.types import VectorSpace
from codeindexd.watch import Backend
from codeindexd.workers.pool import WorkerPool


@dataclass(frozen=True, slots=True)
class RootSettings:
    """What a root needs of the configuration."""

    index: Index
    debounce_s: float
    deadline_s: float
    max_hints: int
    reconcile_s: float
    backend: Backend = Backend.AUTO
    poll_s: float = 30.0


@dataclass(frozen=True, slots=True)
class RootDependencies:
    """What all roots share.

    ``others`` are models, by identity, that only queries are embedded with. ``text_version`` is that of
    :func:`indexing.fingerprint.text_version`. ``trim_memory`` returns unused memory to
    the system; it blocks, and is called in quiet times.
    """

    pool: WorkerPool
    vectors: VectorStore
    embedder: Embedder
    others: Mapping[str, Embedder]
    fingerprints: Callable[[str], bytes]
    text_version: str
    cookies: Sequence[Path]
    on_event: Callable[[RootEvent], None]
    trim_memory: Callable[[], object]

    def open_index(self, directory: Path, root_id: str) -> IndexWriter:
        """Open the stores of a root. Blocking; raises what :class:`IndexWriter` does."""
        return IndexWriter(
            directory,
            root_id=root_id,
            vectors=self.vectors,
            space=VectorSpace(self.embedder.identity, self.embedder.dimensions),
            text_version=self.text_version,
            usable={identity: VectorSpace(identity, other.dimensions) for identity, other in self.others.items()},
        )
