"""One generation of one root for queries: the catalog's read transaction and all projections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from codeindexd.errors import CodeindexError
from codeindexd.storage.catalog import CatalogSnapshot
from codeindexd.storage.catalog.centrality import Centrality
from codeindexd.storage.dense import DenseSnapshot
from codeindexd.storage.lexical import LexicalSnapshot
from codeindexd.storage.text import TextSnapshot


class Snapshot:
    """One consistent view of a root's stores. It stays valid while it is pinned, and closes when retired and unpinned.

    ``chunks`` is the number of chunks, ``vectors`` the number of chunks with a vector, ``identity`` the vectors' model.
    ``text_is_complete`` says that the text index has the content of every indexed file. It also has those of the
    skipped files that were read in rounds up to ``read_round``. ``centrality`` may be of an earlier generation; None if
    it was never computed.
    """

    def __init__(
        self,
        catalog: CatalogSnapshot,
        lexical: LexicalSnapshot,
        dense: DenseSnapshot,
        text: TextSnapshot,
        *,
        identity: str,
        text_is_complete: bool,
        read_round: int = 0,
        centrality: Centrality | None = None,
    ) -> None:
        self.catalog = catalog
        self.lexical = lexical
        self.dense = dense
        self.text = text
        self.text_is_complete = text_is_complete
        self.read_round = read_round
        self.identity = identity
        self.centrality = centrality
        self.chunks = catalog.counts().chunks
        self.vectors = len(dense)
        self._lock = threading.Lock()
        self._pins = 0
        self._retired = False

    @property
    def generation(self) -> int:
        """The catalog's generation in this snapshot."""
        return self.catalog.generation

    def with_catalog(self, catalog: CatalogSnapshot) -> Snapshot:
        """Return a copy with a different catalog snapshot of the same generation."""
        return Snapshot(
            catalog,
            self.lexical,
            self.dense,
            self.text,
            identity=self.identity,
            text_is_complete=self.text_is_complete,
            read_round=self.read_round,
            centrality=self.centrality,
        )

    def _close_when_unused(self) -> None:
        if self._retired and self._pins == 0:
            self.catalog.close()

    @property
    def is_pinned(self) -> bool:
        """True while a query uses the snapshot."""
        with self._lock:
            return self._pins > 0

    def retire(self) -> None:
        """Close the snapshot as soon as no query pins it."""
        with self._lock:
            self._retired = True
            self._close_when_unused()


class SnapshotHolder:
    """The current snapshot, which new queries use; replaced in one step. Thread-safe.

    ``pin_catalog()`` returns a snapshot of the catalog's last commit: it replaces one whose transaction was ended by a
    read error, so that the next query need not wait for a commit. ``wake()`` publishes a snapshot after :meth:`rest`.
    """

    def __init__(self, pin_catalog: Callable[[], CatalogSnapshot], wake: Callable[[], object]) -> None:
        self._pin_catalog = pin_catalog
        self._wake = wake
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._at_rest: tuple[int, str] | None = None  # generation and identity of the snapshot before the rest

    def publish(self, snapshot: Snapshot | None) -> None:
        """Make ``snapshot`` the current one, and retire its predecessor."""
        with self._lock:
            previous, self._snapshot = self._snapshot, snapshot
            self._at_rest = None
        if previous is not None:
            previous.retire()

    def rest(self) -> bool:
        """Close the snapshot until the next query; return False if a query uses it now."""
        with self._lock:
            snapshot = self._snapshot
            if snapshot is None:
                return self._at_rest is not None
            if snapshot.is_pinned:
                return False
            self._snapshot, self._at_rest = None, (snapshot.generation, snapshot.identity)
        snapshot.retire()
        return True

    @property
    def is_at_rest(self) -> bool:
        """True if the stores are closed until the next query."""
        with self._lock:
            return self._at_rest is not None

    def wake(self) -> None:
        """Open the stores and publish a snapshot if they are at rest. Blocking. Raises the errors of opening them."""
        with self._lock:
            at_rest = self._at_rest
        if at_rest is not None:
            self._wake()

    @property
    def generation(self) -> int:
        """The published generation; 0 before the first."""
        with self._lock:
            if self._at_rest is not None:
                return self._at_rest[0]
            return self._snapshot.generation if self._snapshot else 0

    @property
    def identity(self) -> str:
        """The identity of the model whose vectors the published snapshot has; "" before the first."""
        with self._lock:
            if self._at_rest is not None:
                return self._at_rest[1]
            return self._snapshot.identity if self._snapshot else ""

    @contextmanager
    def pin(self) -> Iterator[Snapshot | None]:
        """Keep the current snapshot open for the length of the block, and provide it; None before the first.

        Opens the stores if they are at rest, and raises the errors of that. Blocking.
        """
        while True:
            self.wake()
            self._renew_if_lost()
            with self._lock:
                if self._at_rest is not None:  # at rest again
                    continue
                snapshot = self._snapshot
                if snapshot is not None:
                    with snapshot._lock:
                        snapshot._pins += 1
                break
        try:
            yield snapshot
        finally:
            if snapshot is not None:
                with snapshot._lock:
                    snapshot._pins -= 1
                    snapshot._close_when_unused()

    def _renew_if_lost(self) -> None:
        """Replace a snapshot that lost its transaction, unless a commit has replaced it or is about to."""
        with self._lock:
            lost = self._snapshot
        if lost is None or not lost.catalog.is_lost:
            return
        with suppress(CodeindexError):  # the query will report the error
            catalog = self._pin_catalog()
            with self._lock:
                renewed = self._snapshot is lost and catalog.generation == lost.generation
                if renewed:
                    self._snapshot = lost.with_catalog(catalog)
            if renewed:
                lost.retire()
            else:
                catalog.close()
