"""One generation of one root, pinned: the catalog's read transaction and the two projections beside it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from codeindexd.catalog import CatalogSnapshot
from codeindexd.dense import DenseSnapshot
from codeindexd.lexical import LexicalSnapshot


class Snapshot:
    """What a query runs on. It stays valid while pinned and closes itself once retired and unpinned.

    ``vectors`` is the number of chunks the dense side can find, of ``chunks`` in all.
    """

    def __init__(
        self, catalog: CatalogSnapshot, lexical: LexicalSnapshot, dense: DenseSnapshot, *, identity: str
    ) -> None:
        self.catalog = catalog
        self.lexical = lexical
        self.dense = dense
        self.identity = identity
        self.chunks = catalog.counts().chunks
        self.vectors = len(dense)
        self._guard = threading.Lock()
        self._pins = 0
        self._retired = False

    @property
    def generation(self) -> int:
        """The catalog generation that every answer from this snapshot belongs to."""
        return self.catalog.generation

    def _close_when_unused(self) -> None:
        if self._retired and self._pins == 0:
            self.catalog.close()

    def retire(self) -> None:
        """Let go of the snapshot: it closes as soon as the last query on it ends."""
        with self._guard:
            self._retired = True
            self._close_when_unused()


class Current:
    """The snapshot that new queries get; replaced in one step. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._snapshot: Snapshot | None = None

    def publish(self, snapshot: Snapshot | None) -> None:
        """Make ``snapshot`` the current one and retire its predecessor."""
        with self._guard:
            previous, self._snapshot = self._snapshot, snapshot
        if previous is not None:
            previous.retire()

    @property
    def generation(self) -> int:
        """The published generation, 0 before the first."""
        with self._guard:
            return self._snapshot.generation if self._snapshot else 0

    @property
    def identity(self) -> str:
        """The model whose vectors the published snapshot answers from, "" before the first."""
        with self._guard:
            return self._snapshot.identity if self._snapshot else ""

    @contextmanager
    def pin(self) -> Iterator[Snapshot | None]:
        """The current snapshot, kept open for the length of the block."""
        with self._guard:
            snapshot = self._snapshot
            if snapshot is not None:
                with snapshot._guard:
                    snapshot._pins += 1
        try:
            yield snapshot
        finally:
            if snapshot is not None:
                with snapshot._guard:
                    snapshot._pins -= 1
                    snapshot._close_when_unused()
