"""The sole writer of one root's stores: catalog first, then the projections, then the switch of the readers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import numpy as np
import structlog
from numpy.typing import NDArray

from codeindexd.analysis.tokens import path_words
from codeindexd.errors import CodeindexError, StoreFullError
from codeindexd.storage.opening import dense_of, open_catalog, open_dense, open_lexical
from codeindexd.storage.previous_model import PreviousModelIndex, open_previous_model
from codeindexd.storage.projections import (
    ProjectionLag,
    compare_chunks,
    embed_hashes_of,
    keep_vectors,
    lexical_chunk,
    split_by_vector,
)
from codeindexd.storage.recovery import RecoveryState
from codeindexd.storage.snapshot import Snapshot, SnapshotHolder
from codeindexd.storage.vectors import VectorStore
from codeindexd.types import Committed, Entry, FileUpdate, IndexedChunk, Outcome, StoredChunk, Transaction, VectorSpace

log = structlog.get_logger(__name__)
T = TypeVar("T")
_GATHER = 20_000


class IndexWriter:
    """Owns the catalog, the lexical and the dense index of one root.

    The methods named ``async`` may be called from anywhere in the event loop; they queue for the one writing thread.
    A projection that misses a commit (disk full, kill between two commits) keeps its old stamp and is brought up by
    :meth:`missing_lexical` / :meth:`add_lexical` and their dense twins; queries go on meanwhile.
    """

    def __init__(
        self,
        directory: Path,
        *,
        root_id: str,
        vectors: VectorStore,
        space: VectorSpace,
        usable: Mapping[str, VectorSpace] | None = None,
    ) -> None:
        """``usable``: other models that questions can be embedded with; one of them may answer until ``space`` can."""
        self.directory = directory
        self.vectors = vectors
        self.space = space
        self.current = SnapshotHolder(lambda: self.catalog.snapshot())
        self.behind = ProjectionLag()
        self.pending_vectors: dict[int, bytes] = {}  # chunk id -> embed hash
        self.refused_vectors: set[int] = set()  # those of them that the model has no vector for
        self._writing = anyio.Lock()
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.doubt = RecoveryState(directory)
        self._unpublished: Transaction | None = None
        self._see_to_vectors()
        with contextlib.ExitStack() as undo:  # what stays open after an error stays locked
            self.catalog = open_catalog(directory, root_id, self.doubt, self.behind)
            undo.callback(self.catalog.close)
            self.lexical = open_lexical(directory, self.catalog, self.doubt, self.behind)
            undo.callback(self.lexical.close)
            self.dense = open_dense(directory, self.catalog, space, self.doubt, self.behind)
            undo.callback(self.dense.close)
            self._find_pending_vectors()
            self.former = self._open_former(usable or {})
            if self.former is not None:
                undo.callback(self.former.dense.close)
            self._publish()
            self.doubt.looked_closely()
            undo.pop_all()

    # opening

    def _see_to_vectors(self) -> None:
        """The store of vectors may have been deleted or broken under the root that was here before."""
        try:
            self.vectors.ensure(closely=self.doubt.suspicious)
        except StoreFullError as error:  # text can be searched without, and the next commit tries again
            log.warning("vectors cannot be used now", directory=str(self.directory), error=error.message)

    def _open_former(self, usable: Mapping[str, VectorSpace]) -> PreviousModelIndex | None:
        """The index of another model, kept only while it can answer and the present model's is incomplete."""
        return open_previous_model(
            self.directory / "dense",
            self.space.identity,
            usable if self.pending_vectors else {},
            partial(dense_of, self.directory, self.catalog),
            newest=self.catalog.generation,
        )

    @property
    def _vectors_complete(self) -> bool:
        """Whether the present model's index has every vector that the model gives, and any at all if it should."""
        refused_all = self.pending_vectors and not len(self.dense.snapshot())
        return self.pending_vectors.keys() <= self.refused_vectors and not refused_all

    def _drop_former(self) -> None:
        """The present model takes over once its vectors are complete."""
        if self.former is not None and self._vectors_complete:
            former, self.former = self.former, None
            former.remove()
            log.info("vectors switched", directory=str(self.directory), identity=self.space.identity)

    def _find_pending_vectors(self) -> None:
        """Chunks of the catalog that the dense index does not hold (vectors to come, or lost with a dense index)."""
        with self.catalog.snapshot() as snapshot:
            lacking = np.setdiff1d(snapshot.all_chunk_ids(), self.dense.snapshot().ids(), assume_unique=True)
            self.pending_vectors = embed_hashes_of(snapshot.chunks, lacking)

    # writing

    async def apply(self, changes: Transaction) -> None:
        """Commit one slice and switch the readers to it.

        Raises StoreFullError when nothing was committed or the readers cannot be switched now; the same call works
        when it can be. A projection that cannot follow is noted in ``behind``.
        """
        await self.write(self._apply, changes)

    async def write(self, function: Callable[..., T], *arguments: object) -> T:
        """Run ``function`` on the writing thread, one at a time."""
        async with self._writing:
            return await anyio.to_thread.run_sync(function, *arguments)

    def _apply(self, changes: Transaction) -> None:
        if changes is not self._unpublished:
            keep_vectors(self.vectors, self.space.identity, changes)
            before = self.catalog.generation
            committed = self.catalog.commit(changes)
            if committed.generation == before:
                return
            self._project(committed)
            self._unpublished = changes  # should the readers fail to switch, the next try must not commit it again
        self._publish()
        self._unpublished = None

    def _project(self, committed: Committed) -> None:
        try:
            self.lexical.apply(
                self.lexical.generation if self.behind.lexical else committed.generation,
                delete_chunks=committed.removed,
                add_chunks=[lexical_chunk(chunk) for chunk in committed.added],
                delete_paths=committed.paths_removed,
                add_paths=[(file_id, path_words(path)) for file_id, path in committed.paths_added],
            )
        except CodeindexError as error:
            self._fell_behind("lexical", error)
        for chunk_id in committed.removed:
            self.pending_vectors.pop(chunk_id, None)
            self.refused_vectors.discard(chunk_id)
        try:
            known, unknown = split_by_vector(self.vectors, self.space.identity, committed.added)
            self.pending_vectors.update(unknown)
            stamp = self.dense.generation if self.behind.dense else committed.generation
            self.dense.apply(stamp, add=known, remove=committed.removed)
            if self.former is not None:
                self.former.dense.apply(committed.generation, add=[], remove=committed.removed)
        except CodeindexError as error:
            self._fell_behind("dense", error)

    def _fell_behind(self, what: str, error: CodeindexError) -> None:
        log.warning("projection fell behind", store=what, directory=str(self.directory), error=error.message)
        setattr(self.behind, what, True)

    def _publish(self) -> None:
        self._drop_former()
        space, dense = (self.former.space, self.former.dense) if self.former else (self.space, self.dense)
        self.current.publish(
            Snapshot(self.catalog.snapshot(), self.lexical.snapshot(), dense.snapshot(), identity=space.identity)
        )

    # vectors that come later

    async def add_vectors(self, found: Mapping[int, bytes]) -> None:
        """Put vectors (by chunk id) into the store and the dense index, for chunks that still wait for one."""
        await self.write(self._add_vectors, found)

    def _add_vectors(self, found: Mapping[int, bytes]) -> None:
        waiting = {chunk_id: vector for chunk_id, vector in found.items() if chunk_id in self.pending_vectors}
        self.vectors.put_many(
            self.space.identity, [(self.pending_vectors[chunk_id], vector) for chunk_id, vector in waiting.items()]
        )
        self.dense.apply(self.dense.generation, add=list(waiting.items()), remove=[])
        brought = {chunk_id: self.pending_vectors.pop(chunk_id) for chunk_id in waiting}
        try:
            self._publish()
        except CodeindexError:
            self.pending_vectors.update(brought)  # no reader sees them yet
            raise
        self.refused_vectors.difference_update(brought)

    async def refuse_vectors(self, chunk_ids: Collection[int]) -> None:
        """The model has no vector for these chunks: they stay pending, but nothing waits for them any more."""
        await self.write(self._refuse_vectors, chunk_ids)

    def _refuse_vectors(self, chunk_ids: Collection[int]) -> None:
        before = self.refused_vectors
        self.refused_vectors = before | (self.pending_vectors.keys() & chunk_ids)
        if self.former is not None and self._vectors_complete:
            try:
                self._publish()
            except CodeindexError:
                self.refused_vectors = before  # no reader was switched
                raise

    async def vectors_to_hold(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The chunks that the present model's index should have vectors of by now, and those it has, at one moment."""
        return await self.write(self._vectors_to_hold)

    def _vectors_to_hold(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        pending = np.fromiter(self.pending_vectors, np.int64)
        with self.catalog.snapshot() as snapshot:
            wanted = np.setdiff1d(snapshot.all_chunk_ids(), pending, assume_unique=True)
        return wanted, self.dense.snapshot().ids()

    # replay

    async def replay_dense(self) -> None:
        """Bring the dense index up to the catalog from the vector store; what the store lacks stays pending."""
        await self.write(self._replay_dense)

    def _replay_dense(self) -> None:
        with self.catalog.snapshot() as snapshot:
            wanted = snapshot.all_chunk_ids()
            held = self.dense.snapshot().ids()
            superfluous = np.setdiff1d(held, wanted, assume_unique=True).tolist()
            lacking = np.setdiff1d(wanted, held, assume_unique=True)
            self.pending_vectors = embed_hashes_of(snapshot.chunks, lacking)
            self.refused_vectors.intersection_update(self.pending_vectors)
        ids = list(self.pending_vectors)
        for start in range(0, max(len(ids), 1), _GATHER):
            part = ids[start : start + _GATHER]
            stored = self.vectors.get_many(self.space.identity, [self.pending_vectors[chunk_id] for chunk_id in part])
            known = [(chunk_id, stored[h]) for chunk_id in part if (h := self.pending_vectors[chunk_id]) in stored]
            self.dense.apply(self.dense.generation, add=known, remove=superfluous)
            superfluous = []
            for chunk_id, _ in known:
                del self.pending_vectors[chunk_id]
                self.refused_vectors.discard(chunk_id)
        self.dense.apply(self.catalog.generation, add=[], remove=[])
        self._publish()
        self.behind.dense = False

    async def missing_lexical(self) -> Mapping[bytes, list[StoredChunk]]:
        """Chunks by file that the lexical index lacks; superfluous ones and stale path documents are mended here."""
        return await self.write(self._missing_lexical)

    def _missing_lexical(self) -> Mapping[bytes, list[StoredChunk]]:
        with self.catalog.snapshot() as snapshot:
            missing, superfluous = compare_chunks(snapshot, self.lexical.snapshot().chunk_ids())
            paths = [(file.file_id, path_words(file.entry.path)) for file in snapshot.indexed_files()]
        stale = self.lexical.snapshot().file_ids().tolist()
        self.lexical.apply(self.lexical.generation, superfluous, delete_paths=stale, add_paths=paths)
        return missing

    async def add_lexical(self, chunks: Sequence[IndexedChunk]) -> None:
        """Put back chunks that the lexical index lacked; harmless for those that left the catalog meanwhile."""
        await self.write(self._add_lexical, chunks)

    def _add_lexical(self, chunks: Sequence[IndexedChunk]) -> None:
        with self.catalog.snapshot() as snapshot:
            alive = snapshot.chunks([chunk.chunk_id for chunk in chunks])
        ids = [chunk.chunk_id for chunk in chunks]
        found = [lexical_chunk(chunk) for chunk in chunks if chunk.chunk_id in alive]
        self.lexical.apply(self.lexical.generation, delete_chunks=ids, add_chunks=found)
        self._publish()

    async def lexical_is_up(self) -> list[Entry]:
        """Stamp the lexical index with the catalog's generation: every committed chunk is in it.

        Files with chunks that could not be put back (they were moved, or changed to and fro, or failed meanwhile) lose
        their chunks. All files that have to be processed are returned, also those of a try before that failed half-way.
        """
        return await self.write(self._stamp_lexical)

    def _stamp_lexical(self) -> list[Entry]:
        with self.catalog.snapshot() as snapshot:
            missing, superfluous = compare_chunks(snapshot, self.lexical.snapshot().chunk_ids())
            incomplete = [file.entry for path in missing if (file := snapshot.file(path)) is not None]
        if incomplete:
            self._apply(Transaction(updates=[FileUpdate(entry, Outcome.UNPROCESSED) for entry in incomplete]))
        self.lexical.apply(self.catalog.generation, delete_chunks=superfluous)
        self._publish()
        again = list(self.catalog.unprocessed())
        self.behind.lexical = False
        return again

    async def discard(
        self, *, lexical: Collection[int], dense: Collection[int], embed_hashes: Collection[bytes]
    ) -> None:
        """Take out entries that proved wrong (chunk ids, hashes in the vector store); the replay makes them anew."""
        await self.write(self._discard, lexical, dense, embed_hashes)

    def _discard(self, lexical: Collection[int], dense: Collection[int], embed_hashes: Collection[bytes]) -> None:
        self.vectors.forget(self.space.identity, embed_hashes)
        if lexical:
            self.lexical.apply(self.lexical.generation, delete_chunks=list(lexical))
            self.behind.lexical = True
        if dense:
            self.dense.apply(self.dense.generation, add=[], remove=list(dense))
            self.behind.dense = True
        self._publish()

    # upkeep

    async def maintain(self, should_stop: Callable[[], bool]) -> bool:
        """Quiet-time upkeep: fold the write-ahead log, build and merge dense segments, drop replaced lexical ones.

        Building a segment can take a minute, so it runs beside commits and only the switch to it takes a turn. False
        when there is more to do in a while, as a lexical merge has not ended.
        """
        await self.write(self._fold)
        if await anyio.to_thread.run_sync(self.dense.maintain, should_stop):
            await self.write(self._publish)
        return await self.write(self.lexical.tidy)

    def _fold(self) -> None:
        self.catalog.checkpoint()
        self.catalog.vacuum()
        self.catalog.rest()

    def close(self) -> None:
        """Let go of all files; safe at any committed point."""
        self.current.publish(None)
        closes = [self.former.dense.close] if self.former else []
        for close in (*closes, self.dense.close, self.lexical.close, self.catalog.close):
            try:
                close()
            except (CodeindexError, OSError) as error:  # the others must not stay locked; the next open looks closely
                log.warning("store not closed cleanly", directory=str(self.directory), error=str(error))
                self.doubt.unsure = True
        self.doubt.close()
