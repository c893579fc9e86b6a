"""The only writer of one root's stores: writes the catalog, then the projections, then switches the readers."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import numpy as np
import structlog
from numpy.typing import NDArray

from codeindexd.analysis.tokens import path_words
from codeindexd.errors import CodeindexError, FailedError, StoreDamagedError, StoreFullError
from codeindexd.storage.catalog.centrality import Centrality
from codeindexd.storage.catalog.skipped_texts import ReadText
from codeindexd.storage.durable import storing, write_clean_marker
from codeindexd.storage.opening import dense_of, open_catalog, open_dense, open_lexical, open_text
from codeindexd.storage.previous_model import PreviousModelIndex, open_previous_model
from codeindexd.storage.projections import (
    ProjectionLag,
    compare_chunks,
    embed_hashes_of,
    keep_vectors,
    lexical_chunk,
    split_by_vector,
    text_documents,
)
from codeindexd.storage.recovery import CATALOG, RecoveryState
from codeindexd.storage.resting import AWAKE
from codeindexd.storage.snapshot import Snapshot, SnapshotHolder
from codeindexd.storage.text import Document, TextIndex
from codeindexd.storage.vectors import VectorStore
from codeindexd.types import (
    CommittedChanges,
    Entry,
    FileUpdate,
    IndexedChunk,
    Outcome,
    StoredChunk,
    StoredFile,
    Transaction,
    VectorSpace,
)

log = structlog.get_logger(__name__)
T = TypeVar("T")
_GATHER = 20_000


class IndexWriter:
    """The only writer of the catalog and of the lexical, the dense and the text index of one root.

    Methods that are not coroutines block and must not run at the same time: an event loop passes them to :meth:`write`,
    which runs one at a time in a thread. Committed changes are visible to readers when a method returns.

    A projection that misses a commit (because of a full disk, or a kill between two commits) keeps its old generation
    and is marked in ``lag``; queries continue meanwhile. The dense index catches up with :meth:`catch_up_dense`, the
    lexical index with :meth:`find_missing_lexical`, :meth:`add_lexical` and :meth:`mark_lexical_current`, the text
    index with :meth:`find_missing_text`, :meth:`add_text` and :meth:`mark_text_current`.

    Methods raise StoreFullError if a store cannot be written now, StoreDamagedError if one is damaged.
    """

    def __init__(
        self,
        directory: Path,
        *,
        root_id: str,
        vectors: VectorStore,
        space: VectorSpace,
        usable: Mapping[str, VectorSpace] | None = None,
        text_version: str = "",
    ) -> None:
        """Open the stores in ``directory``, and rebuild damaged ones. Blocking.

        ``space`` is the vector space of the configured model. ``usable`` are previous models, by identity, with which
        queries can still be embedded: the index of one of them is used until the index of ``space`` is complete. A text
        index with a different ``text_version`` is rebuilt.

        Raises StoreFullError, FailedError, AlreadyRunningError.
        """
        self.directory = directory
        self.vectors = vectors
        self.space = space
        self._text_version = text_version
        self.current = SnapshotHolder(lambda: self.catalog.snapshot(), self._wake)
        self.lag = ProjectionLag()
        self.pending_vectors: dict[int, bytes] = {}  # chunk id -> embed hash
        self.refused_vectors: set[int] = set()  # pending ones for which the model returns no vector
        self._write_lock = anyio.Lock()
        self._use_lock = threading.RLock()
        self._users = 0
        self._at_rest = self._closed = False
        self.on_lag: Callable[[], object] = bool  # called, in any thread, if projections lag after a rest
        AWAKE.wait_for_room()
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.recovery = RecoveryState(directory)
        self._unpublished: Transaction | None = None
        self._text_gaps: set[bytes] = set()  # contents that could not be read when the text index caught up
        self._ensure_vector_store()
        with contextlib.ExitStack() as undo:  # a store that stays open after an error stays locked
            self.catalog = open_catalog(directory, root_id, self.recovery, self.lag)
            undo.callback(self.catalog.close)
            self._open_projections(undo)
            self._find_pending_vectors()
            self.previous_model = self._open_previous_model(usable or {})
            if self.previous_model is not None:
                undo.callback(self.previous_model.dense.close)
            self._publish()
            self.recovery.mark_checksums_verified()
            undo.pop_all()
        self.catalog.report_wakes_to(lambda: AWAKE.mark_used(self))
        AWAKE.mark_used(self)

    # rest

    def rest(self) -> bool:
        """Close all files until the next use; return False if one is in use or there is work left."""
        if not self._use_lock.acquire(blocking=False):
            return False
        try:
            if self._closed:
                return True
            if not self._at_rest and not self._close_projections():
                return False
            return self.catalog.rest()
        finally:
            self._use_lock.release()

    def _close_projections(self) -> bool:
        has_work = self.lag.has_lag or self._text_gaps or self._unpublished or self.previous_model
        if self._users or has_work or self.recovery.needs_verify or not self.current.rest():
            return False
        self._at_rest = True
        for close in (self.text.close, self.dense.close, self.lexical.close):
            self._close_cleanly(close)
        del self.text, self.dense, self.lexical  # with their mappings and threads
        return True

    def _wake(self) -> None:
        """Open the stores that :meth:`rest` closed, and publish a snapshot. Blocking. Raises as the constructor."""
        with self._use_lock:
            if not self._at_rest or self._closed:
                return
            AWAKE.mark_used(self)
            with contextlib.ExitStack() as undo:
                self._open_projections(undo)
                self._publish()
                undo.pop_all()
            self._at_rest = False
        if self.lag.has_lag:
            self.on_lag()

    @contextlib.contextmanager
    def _awake(self) -> Iterator[None]:
        """Keep all stores open for the length of the block."""
        with self._use_lock:
            self._wake()
            self._users += 1
        try:
            yield
        finally:
            with self._use_lock:
                self._users -= 1
            if not self._closed:
                AWAKE.mark_used(self)

    # opening

    def _ensure_vector_store(self) -> None:
        """Repair the shared vector store if it was deleted or damaged meanwhile."""
        try:
            self.vectors.repair_if_damaged(thoroughly=self.recovery.needs_checksums)
        except StoreFullError as error:  # text search works without it, and the next commit tries again
            log.warning("vector_store_unusable", directory=str(self.directory), error=error.message)

    def _open_projections(self, undo: contextlib.ExitStack) -> None:
        """Open the lexical, the dense and the text index; ``undo`` closes them again."""
        self.lexical = open_lexical(self.directory, self.catalog, self.recovery, self.lag)
        undo.callback(self.lexical.close)
        self.dense = open_dense(self.directory, self.catalog, self.space, self.recovery, self.lag)
        undo.callback(self.dense.close)
        self.text = self._open_text()
        undo.callback(self.text.close)

    def _open_previous_model(self, usable: Mapping[str, VectorSpace]) -> PreviousModelIndex | None:
        """Open the dense index of one of the ``usable`` models, and delete the indexes of all other previous models.

        If the present model's index is complete, delete all of them and return None.
        """
        return open_previous_model(
            self.directory / "dense",
            self.space.identity,
            usable if self.pending_vectors else {},
            partial(dense_of, self.directory, self.catalog),
            newest=self.catalog.generation,
        )

    def _open_text(self) -> TextIndex:
        """Open the text index, and forget that skipped files were read whose contents it lost."""
        text = open_text(self.directory, self.catalog, self._text_version, self.recovery, self.lag)
        try:
            with self.catalog.snapshot() as snapshot:
                lost = text.missing_from(snapshot.skipped_contents())
            if lost:
                self.catalog.forget_read_texts(lost)
        except BaseException:
            text.close()
            raise
        return text

    def _find_pending_vectors(self) -> None:
        """Set ``pending_vectors`` to the chunks that the dense index lacks: not yet computed, or lost."""
        with self.catalog.snapshot() as snapshot:
            if not self.lag.dense and len(self.dense.snapshot()) == snapshot.counts().chunks:
                return  # without a lag it has no other chunks, so none can be missing
            missing = np.setdiff1d(snapshot.all_chunk_ids(), self.dense.snapshot().ids(), assume_unique=True)
            self.pending_vectors = embed_hashes_of(snapshot.chunks, missing)

    # writing

    async def write(self, function: Callable[..., T], *arguments: object) -> T:
        """Run a blocking method in a thread, after all methods passed before, and return its result."""
        async with self._write_lock:
            return await anyio.to_thread.run_sync(self._run_awake, function, arguments)

    async def set_centrality(self, centrality: Centrality) -> None:
        """Replace the centrality of the files, also for queries. Stores at rest stay closed."""
        async with self._write_lock:
            await anyio.to_thread.run_sync(self._set_centrality, centrality)

    def _set_centrality(self, centrality: Centrality) -> None:
        self.catalog.set_centrality(centrality)
        with self._use_lock:
            if not (self._at_rest or self._closed):
                self._publish()

    def _run_awake(self, function: Callable[..., T], arguments: Sequence[object]) -> T:
        with self._awake():
            return function(*arguments)

    def commit(self, changes: Transaction) -> None:
        """Commit the changes and switch the readers to them.

        A projection that cannot be written is marked in ``lag``. Raises StoreFullError if nothing was committed or if
        the readers cannot be switched now; in both cases repeat the same call.
        """
        if changes is not self._unpublished:
            if self.space.is_stored:
                keep_vectors(self.vectors, self.space.identity, changes)
            before = self.catalog.generation
            committed = self.catalog.commit(changes)
            if committed.generation == before:
                return
            self._project(committed, changes)
            self._unpublished = changes  # if _publish fails, a repeated call must not commit this again
        self._publish()
        self._unpublished = None

    def _project(self, committed: CommittedChanges, changes: Transaction) -> None:
        """Apply a commit to all projections."""
        self._project_text(committed, changes)
        try:
            self.lexical.apply(
                self.lexical.generation if self.lag.lexical else committed.generation,
                delete_chunks=committed.removed,
                add_chunks=[lexical_chunk(chunk) for chunk in committed.added],
                delete_paths=committed.paths_removed,
                add_paths=[(file_id, path_words(path)) for file_id, path in committed.paths_added],
            )
        except CodeindexError as error:
            self.lag.lexical = True
            self._log_lag("lexical", error)
        for chunk_id in committed.removed:
            self.pending_vectors.pop(chunk_id, None)
            self.refused_vectors.discard(chunk_id)
        try:
            known, unknown = split_by_vector(self.vectors, self.space.identity, committed.added)
            self.pending_vectors.update(unknown)
            generation = self.dense.generation if self.lag.dense else committed.generation
            self._apply_dense(generation, known, committed.removed)
            if self.previous_model is not None:
                self.previous_model.dense.apply(committed.generation, add=[], remove=committed.removed)
        except CodeindexError as error:
            self.lag.dense = True
            self._log_lag("dense", error)

    def _apply_dense(self, generation: int, add: Sequence[tuple[int, bytes]], remove: Sequence[int]) -> None:
        """Apply a change to the dense index; make segments of a tail that becomes long, which bounds the memory."""
        self.dense.apply(generation, add, remove)
        if self.dense.has_long_tail:
            try:
                self.dense.maintain(lambda: False)
            except StoreFullError as error:  # nothing is lost: the tail stays long, and the next change tries again
                log.warning("dense_tail_stays_long", directory=str(self.directory), error=error.message)

    def _project_text(self, committed: CommittedChanges, changes: Transaction) -> None:
        try:
            generation = self.text.generation if self.lag.text else committed.generation
            self.text.apply(generation, text_documents(changes))
        except CodeindexError as error:  # the documents are searched in memory, and written later
            self._log_lag("text", error)
        self._text_gaps = set(self.text.missing_from(self._text_gaps))
        indexed = (update.entry.hash for update in changes.updates if update.outcome is Outcome.INDEXED)
        if self.text.missing_from(indexed):
            self.lag.text = True

    def _log_lag(self, store: str, error: CodeindexError) -> None:
        log.warning("projection_lags", store=store, directory=str(self.directory), error=error.message)

    def _publish(self) -> None:
        """Switch the readers to the last commit."""
        self._drop_previous_model()
        previous = self.previous_model
        space, dense = (previous.space, previous.dense) if previous else (self.space, self.dense)
        with contextlib.ExitStack() as undo:
            catalog = self.catalog.snapshot()
            undo.callback(catalog.close)
            snapshot = Snapshot(
                catalog,
                self.lexical.snapshot(),
                dense.snapshot(),
                self.text.snapshot(),
                identity=space.identity,
                text_is_complete=not (self.lag.text or self._text_gaps),
                read_round=self.catalog.read_round,
                centrality=self.catalog.centrality,
            )
            self.current.publish(snapshot)
            undo.pop_all()

    def _drop_previous_model(self) -> None:
        """Remove the previous model's index if the vectors of the present model are complete."""
        if self.previous_model is not None and self._vectors_are_complete:
            previous, self.previous_model = self.previous_model, None
            previous.remove()
            log.info("model_switched", directory=str(self.directory), identity=self.space.identity)

    @property
    def _vectors_are_complete(self) -> bool:
        """True if only refused vectors are missing from the present model's index, and not all vectors are refused."""
        refused_all = self.pending_vectors and not len(self.dense.snapshot())
        return self.pending_vectors.keys() <= self.refused_vectors and not refused_all

    # vectors computed later

    def stored_vectors(self, embed_hashes: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the vectors (little-endian float16) of the present model that the shared store has, by embed hash."""
        return self.vectors.get_many(self.space.identity, embed_hashes) if self.space.is_stored else {}

    def add_vectors(self, found: Mapping[int, bytes]) -> None:
        """Add vectors (little-endian float16, by chunk id) to the shared store and the dense index.

        Chunks that are no longer pending are ignored.
        """
        waiting = {chunk_id: vector for chunk_id, vector in found.items() if chunk_id in self.pending_vectors}
        if self.space.is_stored:
            self.vectors.put_many(
                self.space.identity, [(self.pending_vectors[chunk_id], vector) for chunk_id, vector in waiting.items()]
            )
        self._apply_dense(self.dense.generation, list(waiting.items()), [])
        added = {chunk_id: self.pending_vectors.pop(chunk_id) for chunk_id in waiting}
        try:
            self._publish()
        except CodeindexError:
            self.pending_vectors.update(added)  # readers do not see them yet
            raise
        self.refused_vectors.difference_update(added)

    def refuse_vectors(self, chunk_ids: Collection[int]) -> None:
        """Record that the model returns no vector for these chunks: they stay pending, but nothing waits for them."""
        before = self.refused_vectors
        self.refused_vectors = before | (self.pending_vectors.keys() & chunk_ids)
        if self.previous_model is not None and self._vectors_are_complete:
            try:
                self._publish()
            except CodeindexError:
                self.refused_vectors = before  # readers were not switched
                raise

    def dense_contents(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the sorted ids of the chunks that should be in the present model's index, and of the chunks in it."""
        pending = np.fromiter(self.pending_vectors, np.int64)
        with self.catalog.snapshot() as snapshot:
            expected = np.setdiff1d(snapshot.all_chunk_ids(), pending, assume_unique=True)
        return expected, self.dense.snapshot().ids()

    async def damaged_files(self) -> list[str]:
        """Compare the files of all projections with their checksums; return what is wrong, [] if nothing is.

        Only the check of the lexical index waits for its turn; the others run while commits continue.
        """
        found = await self.write(lambda: _damage([self.lexical.check]))
        return found + await anyio.to_thread.run_sync(self._damage_beside_commits)

    def _damage_beside_commits(self) -> list[str]:
        with self._awake():
            return _damage([self.dense.check, self.text.check])

    # catching up

    def catch_up_dense(self) -> None:
        """Bring the dense index up to date with the catalog; vectors that the shared store lacks stay pending."""
        with self.catalog.snapshot() as snapshot:
            expected = snapshot.all_chunk_ids()
            actual = self.dense.snapshot().ids()
            superfluous = np.setdiff1d(actual, expected, assume_unique=True).tolist()
            missing = np.setdiff1d(expected, actual, assume_unique=True)
            self.pending_vectors = embed_hashes_of(snapshot.chunks, missing)
            self.refused_vectors.intersection_update(self.pending_vectors)
        ids = list(self.pending_vectors)
        for start in range(0, max(len(ids), 1), _GATHER):
            part = ids[start : start + _GATHER]
            stored = self.stored_vectors([self.pending_vectors[chunk_id] for chunk_id in part])
            known = [(chunk_id, stored[h]) for chunk_id in part if (h := self.pending_vectors[chunk_id]) in stored]
            self._apply_dense(self.dense.generation, known, superfluous)
            superfluous = []
            for chunk_id, _ in known:
                del self.pending_vectors[chunk_id]
                self.refused_vectors.discard(chunk_id)
        self.dense.apply(self.catalog.generation, add=[], remove=[])
        self._publish()
        self.lag.dense = False

    def find_missing_lexical(self) -> Mapping[bytes, list[StoredChunk]]:
        """Remove superfluous chunks from the lexical index, and return the missing chunks by path."""
        with self.catalog.snapshot() as snapshot:
            missing, superfluous = compare_chunks(snapshot, self.lexical.snapshot().chunk_ids())
            paths = [(file.file_id, path_words(file.entry.path)) for file in snapshot.indexed_files()]
        old_paths = self.lexical.snapshot().file_ids().tolist()
        self.lexical.apply(self.lexical.generation, superfluous, delete_paths=old_paths, add_paths=paths)
        return missing

    def add_lexical(self, chunks: Sequence[IndexedChunk]) -> None:
        """Add chunks that were missing from the lexical index; ignores chunks that are no longer in the catalog."""
        with self.catalog.snapshot() as snapshot:
            alive = snapshot.chunks([chunk.chunk_id for chunk in chunks])
        ids = [chunk.chunk_id for chunk in chunks]
        documents = [lexical_chunk(chunk) for chunk in chunks if chunk.chunk_id in alive]
        self.lexical.apply(self.lexical.generation, delete_chunks=ids, add_chunks=documents)
        self._publish()

    def mark_lexical_current(self) -> list[Entry]:
        """Set the lexical index to the catalog's generation, and return the files that have to be processed.

        Files with chunks that could not be added (because they moved, changed or failed meanwhile) lose their chunks,
        so that the lexical index is complete. All unprocessed files are returned, also those of an earlier call that
        failed half-way.
        """
        with self.catalog.snapshot() as snapshot:
            missing, superfluous = compare_chunks(snapshot, self.lexical.snapshot().chunk_ids())
            incomplete = [file.entry for path in missing if (file := snapshot.file(path)) is not None]
        if incomplete:
            self.commit(Transaction(updates=[FileUpdate(entry, Outcome.UNPROCESSED) for entry in incomplete]))
        self.lexical.apply(self.catalog.generation, delete_chunks=superfluous)
        self._publish()
        unprocessed = list(self.catalog.unprocessed())
        self.lag.lexical = False
        return unprocessed

    def find_missing_text(self) -> dict[bytes, StoredFile]:
        """Return a file for each content that the text index lacks, by content hash."""
        with self.catalog.snapshot() as snapshot:
            missing = self.text.missing_from(snapshot.indexed_content_hashes())
            return {file.entry.hash: file for file in snapshot.files_with_hashes(missing)}

    def add_text(self, documents: Sequence[Document]) -> None:
        """Add contents that the text index lacked."""
        self.text.apply(self.text.generation, documents)
        self._publish()

    def mark_text_current(self) -> None:
        """Record that the text index has every content that can be read; exact search reads the other files itself."""
        self._text_gaps = set(self.find_missing_text())
        if not self._text_gaps:
            self.text.apply(self.catalog.generation, [])
        self.lag.text = False
        self._publish()

    def add_read_texts(self, texts: Sequence[ReadText], documents: Sequence[Document]) -> None:
        """Record what skipped files contain, so that exact search reads only those that may match.

        ``documents`` has the content of each of ``texts``. Raises StoreFullError; what was recorded is right then, too.
        """
        self.catalog.set_read_texts(texts)  # first, so that no merge drops the contents meanwhile
        try:
            self.text.apply(self.text.generation, documents)  # if it raises, they are in memory all the same
        finally:
            self._publish()

    def discard(
        self,
        *,
        lexical: Collection[int],
        dense: Collection[int],
        embed_hashes: Collection[bytes],
        text: Collection[bytes] = (),
    ) -> None:
        """Remove wrong chunks and contents from the projections, which lag then, and wrong vectors from the store."""
        if self.space.is_stored:
            self.vectors.forget(self.space.identity, embed_hashes)
        if lexical:
            self.lexical.apply(self.lexical.generation, delete_chunks=list(lexical))
            self.lag.lexical = True
        if dense:
            self.dense.apply(self.dense.generation, add=[], remove=list(dense))
            self.lag.dense = True
        if text:
            self.catalog.forget_read_texts(text)
            self.text.forget(text)
            self.lag.text = True
        self._publish()

    # copying

    @property
    def can_be_copied(self) -> bool:
        """True if a copy would answer without processing files again.

        A text index that lags is no obstacle: after a kill it lacks the newest contents, which only have to be read.
        """
        return not (self.lag.lexical or self.lag.dense or self.recovery.needs_verify)

    async def copy_to(self, directory: Path, root_id: str) -> None:
        """Copy all stores into the new ``directory``, at one generation, as those of another root without stores.

        Segments are shared: neither root ever writes them again. Commits wait meanwhile. The copy of the catalog has no
        stats, see :meth:`Catalog.copy_to`. Raises StoreFullError, StoreDamagedError, FailedError.
        """
        if await anyio.to_thread.run_sync(self._seal_dense):
            await self.write(self._publish)
        await self.write(self._copy_to, directory, root_id)

    def _seal_dense(self) -> bool:
        with self._awake():
            return self.dense.seal_tail()

    def _copy_to(self, directory: Path, root_id: str) -> None:
        if not self.can_be_copied:
            raise FailedError(f"the index in {self.directory} is being brought up to date", hint="try again later")
        with storing("directory of the index"):
            directory.mkdir(mode=0o700)
            (directory / "dense").mkdir(mode=0o700)
        self.catalog.copy_to(directory / CATALOG, root_id)
        self.lexical.copy_to(directory / "lexical")
        self.dense.copy_to(directory / "dense" / self.space.identity)
        self.text.copy_to(directory / "text")
        write_clean_marker(directory, [CATALOG])

    # maintenance

    async def maintain(self, should_stop: Callable[[], bool]) -> bool:
        """Maintain the stores in a quiet time; return False if there will be more to do later.

        Checkpoints the catalog, builds and merges dense and text segments, and removes replaced lexical segments.
        Building a segment can take a minute, so commits continue meanwhile; only the switch to it waits for its turn.
        """
        await self.write(self._maintain_catalog)
        if await anyio.to_thread.run_sync(self._maintain_dense, should_stop):
            await self.write(self._publish)
        if await anyio.to_thread.run_sync(self._maintain_text, should_stop):
            await self.write(self._publish)
        done = await self.write(self.lexical.tidy)
        await self.write(self.recovery.mark_usable)
        return done

    def _live_contents(self) -> set[bytes]:
        with self.catalog.snapshot() as snapshot:
            return {*snapshot.indexed_content_hashes(), *snapshot.skipped_contents()}

    def _maintain_dense(self, should_stop: Callable[[], bool]) -> bool:
        with self._awake():
            return self.dense.maintain(should_stop)

    def _maintain_text(self, should_stop: Callable[[], bool]) -> bool:
        with self._awake():
            return self.text.maintain(self._live_contents, should_stop)

    def _maintain_catalog(self) -> None:
        self.catalog.checkpoint()
        self.catalog.vacuum()
        self.catalog.release_caches()

    async def close_after_writes(self) -> None:
        """Close all stores after everything that was passed to :meth:`write` before."""
        async with self._write_lock:
            await anyio.to_thread.run_sync(self.close)

    def close(self) -> None:
        """Close all stores, also after a failed commit.

        A store that does not close cleanly is logged, and the index is marked for verification.
        """
        with self._use_lock:
            self._closed = True
            AWAKE.forget(self)
            self.current.publish(None)
            projections = [] if self._at_rest else [self.text.close, self.dense.close, self.lexical.close]
            closes = [self.previous_model.dense.close] if self.previous_model else []
            for close in (*closes, *projections, self.catalog.close):
                if not self._close_cleanly(close):
                    self.recovery.mark_unclean()
            self.recovery.close()

    def _close_cleanly(self, close: Callable[[], None]) -> bool:
        """Close a store; if that fails, log it and return False, because the other stores must not stay locked."""
        try:
            close()
        except (CodeindexError, OSError) as error:
            log.warning("store_not_closed_cleanly", directory=str(self.directory), error=str(error))
            return False
        return True


def _damage(checks: Sequence[Callable[[], None]]) -> list[str]:
    """Return the messages of the ``checks`` that raise StoreDamagedError."""
    found = []
    for check in checks:
        try:
            check()
        except StoreDamagedError as error:
            found.append(error.message)
    return found
