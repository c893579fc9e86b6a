"""The settings of a root, and the objects that it shares with the other roots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from codeindexd.analysis.embedding.base import Embedder
from codeindexd.analysis.embedding.static_embedder import is_as_fast_as_a_lookup
from codeindexd.config import Index
from codeindexd.indexing.history_status import HistorySettings
from codeindexd.roots.events import RootEvent
from codeindexd.storage.history.stores import HistoryStores
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.storage.vectors import VectorStore
from codeindexd.types import VectorSpace
from codeindexd.watch import Backend
from codeindexd.workers.pool import WorkerPool


class RootSettings(Struct, frozen=True):
    """The part of the configuration that a root needs; ``_s`` are seconds."""

    index: Index
    debounce_s: float
    deadline_s: float
    max_hints: int
    reconcile_s: float
    history: HistorySettings
    backend: Backend = Backend.AUTO
    poll_s: float = 30.0


class RootDependencies(Struct, frozen=True):
    """The objects that all roots share.

    - ``others``: embedders of previous models, by identity, used for queries only.
    - ``fingerprints(language)``: the version of everything that turns a file into chunks.
    - ``text_version``: the result of :func:`indexing.fingerprint.text_version`.
    - ``cookies``: candidates for the directory of cookies, in the order of preference.
    - ``trim_memory()``: returns unused memory to the system; blocks.
    """

    pool: WorkerPool
    vectors: VectorStore
    histories: HistoryStores
    embedder: Embedder
    others: Mapping[str, Embedder]
    fingerprints: Callable[[str, str], bytes]
    text_version: str
    cookies: Sequence[Path]
    on_event: Callable[[RootEvent], None]
    trim_memory: Callable[[], object]

    def open_index(self, directory: Path, root_id: str) -> IndexWriter:
        """Open the stores of a root in ``directory``. Blocking; raises as :class:`IndexWriter` does."""
        return IndexWriter(
            directory,
            root_id=root_id,
            vectors=self.vectors,
            space=VectorSpace(
                self.embedder.identity, self.embedder.dimensions, is_stored=not is_as_fast_as_a_lookup(self.embedder)
            ),
            text_version=self.text_version,
            usable={identity: VectorSpace(identity, other.dimensions) for identity, other in self.others.items()},
        )
