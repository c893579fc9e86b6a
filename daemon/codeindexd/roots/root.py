"""One root: a directory tree whose index is kept up to date."""

from __future__ import annotations

import asyncio
import os
import shlex
import stat
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import structlog
from msgspec.structs import replace

from codeindexd.errors import FailedError, PathRefusedError
from codeindexd.indexing.history import HistoryIndexer
from codeindexd.indexing.nested_histories import NestedHistories
from codeindexd.indexing.problems import ProblemKey, RootProblem, RootProblems
from codeindexd.indexing.progress import Progress
from codeindexd.roots import maintenance
from codeindexd.roots.adoption import Adoption, Borrower, Lender, adopt, was_moved_to
from codeindexd.roots.central_files import CentralFiles
from codeindexd.roots.debounce import Debouncer
from codeindexd.roots.events import RootEvent, RootEventKind
from codeindexd.roots.hints import Hints
from codeindexd.roots.kept_pause import KeptPause
from codeindexd.roots.parts import RootParts, create_parts
from codeindexd.roots.presence import Presence
from codeindexd.roots.registry import RootSpec
from codeindexd.roots.root_config import RootConfigFile
from codeindexd.roots.root_status import RootStatus, StatusKey
from codeindexd.roots.settings import RootDependencies, RootSettings
from codeindexd.roots.shutdown import Shutdown
from codeindexd.roots.skipped_texts import SkippedTexts
from codeindexd.roots.sync import SyncResult
from codeindexd.roots.unreadable import UnreadablePaths
from codeindexd.roots.verify.target import AuditTarget, WrongEntries
from codeindexd.scan.ignore.builtin import Verdict
from codeindexd.scan.relpath import ROOT, parent_of
from codeindexd.storage.catalog import CatalogSnapshot
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.storage.snapshot import Snapshot
from codeindexd.types import Entry, Failure, RootState
from codeindexd.waiting import Broadcast, run_all

log = structlog.get_logger(__name__)
_RESCAN_S = 0.1  # after a file changed while it was read, or was modified too recently


class Root:
    """A directory tree whose index is kept up to date from :meth:`serve` until its cancellation.

    Methods must be called in the event loop, except for those that are marked as blocking.
    """

    def __init__(self, spec: RootSpec, directory: Path, settings: RootSettings, dependencies: RootDependencies) -> None:
        """Prepare a root whose stores are in ``directory``; :meth:`serve` opens them."""
        self._directory = directory
        self._settings = settings
        self._dependencies = dependencies
        self._problems = RootProblems(self._on_problem)
        self._unreadable = UnreadablePaths()
        self._config_file = RootConfigFile(spec.path, settings.index)
        debouncer = Debouncer(settings.debounce_s, settings.deadline_s, settings.max_hints)
        self._hints = Hints(debouncer, later_s=_RESCAN_S)
        self._presence = Presence(spec, directory / "missing")
        self._shutdown = Shutdown()
        self._kept_pause = KeptPause(directory / "paused")
        self._paused = False
        self._committed = Broadcast()
        self._reported = Broadcast()
        self.history = HistoryIndexer(
            spec.id,
            spec.path,
            dependencies.pool,
            dependencies.histories,
            settings.history,
            is_ready=lambda: self.is_caught_up,
            on_state=self._reported,
            on_progress=self._on_history,
        )
        self._nested = NestedHistories(
            spec.id,
            spec.path,
            self.history,
            dependencies.pool,
            dependencies.histories,
            settings.history,
            find=self._find_nested_repositories,
            generation=lambda: self._parts.index.catalog.generation,
            is_ready=lambda: self.is_caught_up,
            on_state=self._reported,
            on_progress=self._on_history,
        )
        self._reported_state: RootState | None = None
        self._adoption: Adoption | None = None
        self._parts: RootParts
        self._central: CentralFiles
        self._skipped_texts: SkippedTexts

    # queries about the root

    @property
    def spec(self) -> RootSpec:
        """The id and path of the root, and the identity of its directory."""
        return self._presence.spec

    @property
    def state(self) -> RootState:
        """The state of the root, as far as it is known now."""
        if self._presence.is_missing:
            return RootState.MISSING
        if self._paused:
            return RootState.PAUSED
        if self._problems:
            return RootState.DEGRADED
        if self._parts.scans.is_walking or not self._parts.scans.has_walked:
            return RootState.INDEXING if self._parts.scans.is_first_walk else RootState.RECONCILING
        if self._hints.are_outstanding or self._parts.ingest.has_changes or self._central.is_first_outstanding:
            return RootState.INDEXING
        return RootState.FRESH

    @property
    def generation(self) -> int:
        """The generation that queries run on."""
        return self._parts.index.current.generation

    @property
    def clock(self) -> str:
        """This root's part of a clock: its id and the generation that queries run on."""
        return self.spec.clock(self.generation)

    @property
    def is_caught_up(self) -> bool:
        """True if no work is known to be outstanding; changes that sent no event may be missed."""
        return self._parts.scans.has_walked and not self._hints.are_outstanding and self._parts.ingest.is_idle

    @property
    def missing_since(self) -> float | None:
        """When the directory was first found missing, in seconds since the epoch; None if it exists."""
        return self._presence.missing_since

    @property
    def problems(self) -> tuple[RootProblem, ...]:
        """What is wrong with the root at present: first that it is missing, if it is."""
        missing = self.missing_problem
        return (*([missing] if missing else []), *self._problems)

    @property
    def missing_problem(self) -> RootProblem | None:
        """What a user is told if the root is missing; None if it exists."""
        return self._presence.problem

    @property
    def obstacle_to_sync(self) -> RootProblem | None:
        """Why :meth:`sync` would fail, whatever happens on the disk: the root is paused or missing; otherwise None."""
        return self._pause or self.missing_problem

    @property
    def _pause(self) -> RootProblem | None:
        """What a user is told if the root is paused; None if it is not."""
        if not self._paused:
            return None
        command = f"codeindex resume {shlex.quote(str(self.spec.path))}"
        return RootProblem(f"{self.spec.path} is paused", f"resume it first: {command}")

    @property
    def progress(self) -> Progress:
        """The progress of indexing."""
        progress = self._parts.ingest.progress
        return replace(progress, is_scanning=True) if self._parts.scans.is_first_walk else progress

    @property
    def pending_vectors(self) -> int:
        """The number of chunks that have no vector yet."""
        return len(self._parts.index.pending_vectors)

    def status(self) -> RootStatus:
        """Return the status of the root. Blocking: reads the catalog. Raises StoreFullError, StoreDamagedError."""
        return RootStatus(
            state=self.state,
            clock=self.clock,
            generation=self.generation,
            root_hash=self._parts.index.catalog.root_hash,
            counts=self._parts.index.catalog.counts(),
            pending_vectors=self.pending_vectors,
            problems=self.problems,
            notes=tuple(self._parts.index.lag.notes),
            progress=self.progress,
            stages=dict(self._parts.ingest.stages),
            queue_lengths=self._parts.ingest.queue_lengths(),
            chunks_embedded=self._parts.ingest.chunks_embedded + self._parts.embedder.chunks_embedded,
            history=self.history.status(),
            nested_histories=self._nested.statuses(),
            busy=tuple(self._parts.busy.busy()),
            adoption=self._adoption,
        )

    def status_key(self) -> StatusKey | None:
        """Return a key for the present :meth:`status`; None while the status changes with time. Reads no file."""
        parts = self._parts
        if not parts.ingest.is_idle or parts.busy.busy():
            return None
        catalog = parts.index.catalog
        return StatusKey(
            path=self.spec.raw,
            state=self.state,
            is_caught_up=self.is_caught_up,
            generations=(self.generation, catalog.generation),
            counts=catalog.counts(),
            pending_vectors=self.pending_vectors,
            problems=self.problems,
            notes=len(parts.index.lag.notes),
            work_done=parts.ingest.work_done,
            history=self.history.status(),
            nested_histories=self._nested.statuses(),
        )

    def failures(self, limit: int = -1) -> list[Failure]:
        """Return the files that could not be processed, at most ``limit`` (-1 for all).

        Blocking. Raises the errors of :meth:`status`.
        """
        return self._parts.index.catalog.failures(limit=limit)

    def exclusion_of(self, path: bytes) -> Verdict | None:
        """Return why ``path`` (relative to the root) is left out, or None. Blocking: reads the disk.

        Raises PathRefusedError if the root cannot be opened, and OSError if an ignore file cannot be read now.
        """
        return self._config_file.scanner.explain(path)

    def indexes(self, path: bytes) -> bool:
        """Return True if the rules of the root index the directory ``path`` (relative to it). Blocking: reads the disk.

        For a path that is not a directory, the nearest directory above it counts. True if the disk cannot be read, for
        example while the root is missing.
        """
        while path and not os.path.isdir(os.path.join(self.spec.raw, path)):  # noqa: PTH112, PTH118 - bytes
            path = parent_of(path)
        try:
            return self.exclusion_of(path) is None
        except (PathRefusedError, OSError):
            return True

    def was_moved_to(self, path: Path) -> bool:
        """Return True if the root is missing, and its directory is ``path`` now. Blocking: reads the disk.

        Raises as :meth:`status`.
        """
        if not self._presence.is_missing:
            return False
        try:
            status = path.lstat()
        except OSError:
            return False
        if not stat.S_ISDIR(status.st_mode) or (status.st_dev, status.st_ino) != (self.spec.device, self.spec.inode):
            return False
        with self.catalog_snapshot() as snapshot:
            return was_moved_to(path, snapshot)

    def catalog_snapshot(self) -> CatalogSnapshot:
        """Return a snapshot of the catalog's last commit; the caller must close it."""
        return self._parts.index.catalog.snapshot()

    @property
    def is_at_rest(self) -> bool:
        """True if the stores that queries need are closed."""
        return self._parts.index.current.is_at_rest

    def wake(self) -> None:
        """Open the stores that queries need if they rest. Blocking. Raises what opening them does."""
        self._parts.index.current.wake()

    def pin_snapshot(self) -> AbstractContextManager[Snapshot | None]:
        """Return a context manager that keeps the snapshot of queries open and provides it; None before the first."""
        return self._parts.index.current.pin()

    @property
    def query_model(self) -> str:
        """The identity of the model whose vectors answer queries; "" before the first snapshot."""
        return self._parts.index.current.identity

    # histories

    @property
    def histories(self) -> list[HistoryIndexer]:
        """The histories of the root and of the repositories inside it. Any thread may ask."""
        return [self.history, *self._nested.by_directory().values()]

    @property
    def histories_left_out(self) -> int:
        """The number of repositories inside the root whose histories are not indexed, because they are too many."""
        return self._nested.left_out

    def history_of(self, path: bytes) -> tuple[HistoryIndexer, bytes]:
        """Return the history that has a path of the root, and the path below its directory. Any thread may call."""
        found = self._nested.at(path)
        if found is None:
            return self.history, path
        directory, history = found
        return history, path[len(directory) + 1 :]

    def histories_at(self, directory: bytes) -> list[HistoryIndexer]:
        """Return the histories that a question about a directory of the root means. Any thread may call.

        That of the repository that has it, or if there is none, those of the repositories below it.
        """
        history, _ = self.history_of(directory)
        if history is self.history and not history.is_available:
            return self._nested.below(directory) or [history]
        return [history]

    def _find_nested_repositories(self) -> list[bytes]:
        """Return the directories below the root that have a repository of their own. Blocking."""
        with self.catalog_snapshot() as snapshot:
            return [directory for directory in snapshot.directories_with(b".git") if directory]

    # requests

    def hint(self, paths: Iterable[bytes]) -> None:
        """Scan below ``paths`` soon."""
        self._hints.add(paths)

    def hint_from_thread(self, paths: Iterable[bytes]) -> None:
        """Scan below ``paths`` soon. Any thread may call."""
        self._loop.call_soon_threadsafe(self.hint, tuple(paths))

    def note_unread_texts(self) -> None:
        """Schedule the reading of skipped files whose text is not known. Any thread may call."""
        self._loop.call_soon_threadsafe(self._skipped_texts.note_unread)

    async def pause(self) -> None:
        """Stop indexing until :meth:`resume`, also after the daemon was started again; hints are kept."""
        self._hold()
        await anyio.to_thread.run_sync(self._kept_pause.set)
        self._report(RootEventKind.STATE)

    def _hold(self) -> None:
        self._paused = True
        self._hints.hold()
        self._parts.ingest.pause()
        self.history.pause()
        self._nested.pause()

    async def resume(self) -> None:
        """Continue after :meth:`pause`."""
        await anyio.to_thread.run_sync(self._kept_pause.clear)
        self._paused = False
        self._parts.ingest.resume()
        self.history.resume()
        self._nested.resume()
        self._hints.release()
        self._report(RootEventKind.STATE)

    async def reindex(self) -> None:
        """Process every file of the root again; known vectors are reused."""
        self._reprocess(await anyio.to_thread.run_sync(maintenance.files_of, self._parts.index.catalog))
        self.hint([ROOT])

    async def sync(self, timeout_s: float) -> SyncResult:
        """Wait until every change made before the call can be searched.

        Raises TimedOutError, and FailedError if the root is paused or missing, cannot be read, or stops meanwhile.
        """
        if pause := self._pause:
            raise FailedError(pause.message, hint=pause.hint)
        began = anyio.current_time()
        how = await self._parts.sync.run(timeout_s)
        with anyio.move_on_after(max(0.0, timeout_s - (anyio.current_time() - began))):
            await self._central.wait_for_first()
            await run_all([self.history.sync, self._nested.sync])
        return SyncResult(self.generation, (anyio.current_time() - began) * 1000, how)

    # recovery and verification

    @property
    def needs_verify(self) -> bool:
        """True if the stores may differ from the disk since an unclean shutdown."""
        return self._parts.index.recovery.needs_verify

    def mark_verified(self) -> None:
        """Record that the stores were compared with the disk."""
        self._parts.index.recovery.mark_verified()

    def add_note(self, note: str) -> None:
        """Add ``note`` to the status until the root stops."""
        self._parts.index.lag.notes.append(note)

    @property
    def audit_target(self) -> AuditTarget:
        """The disk and the stores that an audit compares."""
        return AuditTarget(
            path=self.spec.raw,
            scanner=self._config_file.scanner,
            index=self._parts.index,
            pool=self._dependencies.pool,
            embedder=self._dependencies.embedder,
        )

    async def repair(self, wrong: WrongEntries) -> None:
        """Discard wrong entries of the stores and restore them from the catalog and the disk."""
        discard = partial(
            self._parts.index.discard,
            lexical=wrong.lexical,
            dense=wrong.dense,
            embed_hashes=wrong.embed_hashes,
            text=wrong.text,
        )
        await self._parts.index.write(discard)
        self._parts.index.lag.lexical |= wrong.lexical_lags
        self._parts.index.lag.dense |= wrong.dense_lags
        self._parts.index.lag.text |= wrong.text_lags
        await self._parts.catch_up.run()
        self._reprocess(await anyio.to_thread.run_sync(maintenance.files_of, self._parts.index.catalog, wrong.paths))
        self.hint(wrong.paths)

    # adopting an index

    async def adopt(self, others: Sequence[Root]) -> None:
        """Adopt the index of the most similar of the running roots ``others``. Call it before :meth:`serve`.

        For a root without stores. If none is similar enough, or anything fails, all files are indexed as usual.
        """
        borrower = Borrower(
            self.spec.path,
            self.spec.id,
            self._directory,
            self._config_file.scanner,
            lambda directory: self._dependencies.open_index(directory, self.spec.id),
        )
        self._adoption = await adopt(borrower, [lender for other in others if (lender := other._lender())])

    def _lender(self) -> Lender | None:
        """Return this root as a lender; None if too much of its index is missing or being brought up to date."""
        index, outstanding = self._parts.index, len(self._parts.ingest.queue)
        is_whole = index.can_be_copied and outstanding * 10 <= index.catalog.counts().files
        return Lender(self.spec.path, index) if is_whole else None

    # running

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Open the stores, then watch and index until cancelled.

        ``task_status`` is set once queries are answered from the last commit. Raises as :class:`IndexWriter` if the
        stores cannot be opened.
        """
        self._loop = asyncio.get_running_loop()
        open_index = self._dependencies.open_index
        index = await anyio.to_thread.run_sync(open_index, self._directory, self.spec.id)
        try:
            await self._set_up(index)
            if await anyio.to_thread.run_sync(lambda: self._kept_pause.is_set):
                self._hold()
            index.on_lag = lambda: self._loop.call_soon_threadsafe(self._parts.catch_up.trigger)
            async with anyio.create_task_group() as tasks:
                task_status.started()
                tasks.start_soon(self._shutdown.begin_on_cancellation)
                tasks.start_soon(self._parts.ingest.serve)
                tasks.start_soon(self._parts.embedder.serve)
                await tasks.start(self._parts.watcher.serve)
                tasks.start_soon(self._parts.catch_up.serve)
                tasks.start_soon(self._central.serve)
                tasks.start_soon(self._skipped_texts.serve)
                tasks.start_soon(self.history.serve)
                tasks.start_soon(self._nested.serve)
                self._start_maintenance(tasks)
                self.hint([ROOT])
                await self._submit_stale_files()
                await self._parts.scans.run()
        finally:
            self._shutdown.begin()
            with anyio.CancelScope(shield=True):
                await index.close_after_writes()

    async def _set_up(self, index: IndexWriter) -> None:
        """Create the parts of the root, ready to be served."""
        for note in index.lag.notes:
            log.warning("store_rebuilt", root=str(self.spec.path), note=note)
        rules = await anyio.to_thread.run_sync(lambda: self._config_file.scanner.rule_files)
        self._parts = create_parts(
            index,
            self._settings,
            self._dependencies,
            rules,
            presence=self._presence,
            config_file=self._config_file,
            hints=self._hints,
            unreadable=self._unreadable,
            problems=self._problems,
            shutdown=self._shutdown,
            report=self._report,
            report_state_change=self._report_state_change,
        )
        self._central = CentralFiles(
            index,
            self._dependencies.pool,
            is_caught_up=lambda: self.is_caught_up,
            on_first=self._report_state_change,
        )
        self._skipped_texts = SkippedTexts(
            self.spec.raw,
            index,
            self._dependencies.pool,
            is_caught_up=lambda: self.is_caught_up and not (self._paused or self._central.is_first_outstanding),
        )
        await self._parts.scans.prepare()
        self._problems.replace(ProblemKey.CONFIG, self._config_file.problem)

    def _start_maintenance(self, tasks: anyio.abc.TaskGroup) -> None:
        parts = self._parts
        rescan_unreadable = partial(
            maintenance.rescan_unreadable, self._unreadable, on_hint=self.hint, is_paused=lambda: self._paused
        )
        retry_failures = partial(
            maintenance.retry_failures,
            parts.index.catalog,
            parts.ingest,
            is_paused=lambda: self._paused,
            committed=self._committed,
        )
        keep_stores_tidy = partial(
            maintenance.keep_stores_tidy,
            parts.index,
            self._problems,
            is_caught_up=lambda: self.is_caught_up,
            should_stop=lambda: self._shutdown.begun or not parts.ingest.is_idle,
            trim_memory=self._dependencies.trim_memory,
            committed=self._committed,
        )
        for service in (rescan_unreadable, retry_failures, keep_stores_tidy):
            tasks.start_soon(service)

    async def _submit_stale_files(self) -> None:
        fingerprints = self._dependencies.fingerprints
        stale = await anyio.to_thread.run_sync(maintenance.stale_files, self._parts.index.catalog, fingerprints)
        self._parts.ingest.submit([], stale)

    def _reprocess(self, files: Collection[Entry]) -> None:
        self._parts.ingest.submit([], list(files), force=True)

    # callbacks of the parts

    def _on_problem(self, key: ProblemKey, problem: RootProblem | None) -> None:
        if problem is not None:
            log.warning("root_degraded", root=str(self.spec.path), cause=key.value, problem=problem.message)
        else:
            log.info("root_recovered", root=str(self.spec.path), cause=key.value)
        self._report(RootEventKind.STATE)

    def _on_history(self) -> None:
        self._report(RootEventKind.HISTORY)

    def _report(self, kind: RootEventKind) -> None:
        if self._shutdown.begun:
            return
        if kind is RootEventKind.GENERATION:
            self._committed.notify_all()
            self._central.note_change()
            self._skipped_texts.note_unread()
        self._reported.notify_all()
        state = self.state
        if kind is not RootEventKind.IDENTITY:
            self._reported_state = state
        self._dependencies.on_event(RootEvent(kind, self.spec, state, self.clock, self.progress))

    def _report_state_change(self) -> None:
        if self.state is not self._reported_state:
            self._report(RootEventKind.STATE)
