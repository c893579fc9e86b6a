"""One generation of one root, pinned: the catalog's read transaction and the two projections beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from codeindexd.errors import CodeindexError
from codeindexd.storage.catalog import CatalogSnapshot
from codeindexd.storage.dense import DenseSnapshot
from codeindexd.storage.lexical import LexicalSnapshot


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


class SnapshotHolder:
    """The snapshot that new queries get; replaced in one step. Thread-safe.

    ``pin_catalog`` pins what is committed now: an error while reading may cost a snapshot its transaction, and the
    next query must not have to wait for a commit.
    """

    def __init__(self, pin_catalog: Callable[[], CatalogSnapshot]) -> None:
        self._pin_catalog = pin_catalog
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
        self._renew_if_lost()
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

    def _renew_if_lost(self) -> None:
        """The same content over another transaction, unless a commit is on its way to the readers anyway."""
        with self._guard:
            lost = self._snapshot
        if lost is None or not lost.catalog.lost:
            return
        with suppress(CodeindexError):  # the query says what is wrong
            catalog = self._pin_catalog()
            with self._guard:
                renewed = self._snapshot is lost and catalog.generation == lost.generation
                if renewed:
                    self._snapshot = Snapshot(catalog, lost.lexical, lost.dense, identity=lost.identity)
            if renewed:
                lost.retire()
            else:
                catalog.close()
