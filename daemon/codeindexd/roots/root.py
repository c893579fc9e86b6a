"""One root's life: watch, settle, reconcile, work; its state, and the promise of ``sync``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import structlog

from codeindexd.errors import FailedError, PathRefusedError, StoreFullError, TimedOutError
from codeindexd.indexing.embed_pending import PendingEmbedder
from codeindexd.indexing.ingest import Ingest
from codeindexd.roots import maintenance
from codeindexd.roots.debounce import Debouncer
from codeindexd.roots.hardlinks import LinkedFiles
from codeindexd.roots.hints import Hints
from codeindexd.roots.presence import Found, Presence
from codeindexd.roots.reconcile import Reconciled, reconcile
from codeindexd.roots.registry import RootSpec
from codeindexd.roots.root_config import ROOT_CONFIG, RootConfigFile
from codeindexd.roots.settings import Problem, RootDependencies, RootSettings, Synced
from codeindexd.roots.shutdown import Shutdown
from codeindexd.roots.unreadable import Unreadable
from codeindexd.scan import Scan, Scanner
from codeindexd.scan.relpath import is_covered
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.types import RootState
from codeindexd.watch import Watcher

log = structlog.get_logger(__name__)
_COOKIE_TIMEOUT_S = 2.0
_LOOK_AGAIN_S = 0.1
_SEARCH_EVERY_S = 3.0


class Root:
    """A directory tree kept equal to its index, from :meth:`serve` until its cancellation."""

    def __init__(self, spec: RootSpec, directory: Path, settings: RootSettings, services: RootDependencies) -> None:
        self.directory = directory
        self.settings = settings
        self.services = services
        self.problems: dict[str, Problem] = {}
        self.unreadable = Unreadable()
        self.indexer: IndexWriter
        self.work: Ingest
        self._config_file = RootConfigFile(spec.path, settings.index)
        if self._config_file.problem:
            self.problems["config"] = self._config_file.problem
        settler = Debouncer(settings.debounce_s, settings.deadline_s, settings.max_hints)
        self._hints = Hints(settler, later_s=_LOOK_AGAIN_S)
        self._presence = Presence(spec, directory / "missing")
        self._walked = False
        self._walking = False
        self._paused = False
        self._fell_behind = anyio.Event()
        self._brought_up = anyio.Event()
        self._directories: set[bytes] = set()
        self._linked = LinkedFiles()
        self._last_walk = 0.0
        self._failed_looks = 0
        self._next_search = 0.0  # for a root that is missing or cannot be looked at
        self._told: RootState | None = None
        self._ending = Shutdown()

    # what others ask

    @property
    def spec(self) -> RootSpec:
        """Id, path and identity of the directory."""
        return self._presence.spec

    @property
    def scanner(self) -> Scanner:
        """What looks at the disk, by the present rules."""
        return self._config_file.scanner

    @property
    def state(self) -> RootState:
        """The state of the root as it is known now."""
        if self._presence.missing:
            return RootState.MISSING
        if self._paused:
            return RootState.PAUSED
        if self.problems:
            return RootState.DEGRADED
        if self._walking or not self._walked:
            return RootState.INDEXING if self.indexer.catalog.generation == 0 else RootState.RECONCILING
        if self._hints.outstanding or not self.work.idle:
            return RootState.INDEXING
        return RootState.FRESH

    @property
    def caught_up(self) -> bool:
        """Whether nothing is known to be outstanding, however well the root is watched."""
        return self._walked and not self._hints.outstanding and self.work.idle

    @property
    def paused(self) -> bool:
        """Whether indexing was stopped by the user."""
        return self._paused

    @property
    def stopping(self) -> bool:
        """Whether the root is about to close its stores."""
        return self._ending.begun

    @property
    def clock(self) -> str:
        """This root's part of a clock: its id and published generation."""
        return self.spec.clock(self.indexer.current.generation)

    @property
    def chunks_embedded(self) -> int:
        """How many chunks a model was run on since the daemon started; looked-up vectors do not count."""
        return self.work.chunks_embedded + self._vectorizer.chunks_embedded

    @property
    def missing_since(self) -> float | None:
        """Seconds since the epoch at which the root was first not found; None while it is there."""
        return self._presence.missing_since

    def hint(self, paths: Iterable[bytes]) -> None:
        """Look under ``paths`` soon."""
        self._hints.add(paths)

    def hint_from_thread(self, paths: Iterable[bytes]) -> None:
        """The same as :meth:`hint`, for the threads that answer queries."""
        self._loop.call_soon_threadsafe(self.hint, tuple(paths))

    def look_again(self, paths: Iterable[bytes]) -> None:
        """Look under ``paths`` a little later: they changed under our hands, or are too young to trust."""
        self._hints.add_later(paths)

    def pause(self) -> None:
        """Stop indexing; hints are kept."""
        self._paused = True
        self._hints.hold()
        self.work.pause()
        self._tell("state")

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        self._paused = False
        self.work.resume()
        self._hints.release()
        self._tell("state")

    async def reindex(self) -> None:
        """Process every file of the root again; vectors that are known are reused."""
        self.work.submit([], await anyio.to_thread.run_sync(maintenance.files_of, self.indexer.catalog), again=True)
        self.hint([b""])

    async def redo(self, paths: Collection[bytes]) -> None:
        """Process the catalogued files among ``paths`` again, changed or not, and look under all of them."""
        self.work.submit(
            [], await anyio.to_thread.run_sync(maintenance.files_of, self.indexer.catalog, paths), again=True
        )
        self.hint(paths)

    async def sync(self, timeout_s: float) -> Synced:
        """Wait until every change made before the call can be searched.

        Raises TimedOutError, and FailedError while the root is paused or missing, or when it ends meanwhile.
        """
        if self._paused:
            raise FailedError(f"{self.spec.path} is paused", hint="run `codeindex resume` first")
        began, failed = time.monotonic(), self._failed_looks
        how = "walk"
        with self._ending.limit(timeout_s, str(self.spec.path)) as scope:
            sound = self._walked and not self._presence.missing and "scan" not in self.problems
            watched = sound and not self._watcher.suspicious
            if watched and await self._watcher.cookie(_COOKIE_TIMEOUT_S):
                how = "cookie"
            else:
                self.hint([b""])
            self.work.try_now()
            await self._hints.flushed()
            if unheard := {*self._linked.paths, *self.unreadable.paths}:  # known for certain now that all was looked at
                self.hint(unheard)
                await self._hints.flushed()
            await self.work.drained()
            while self.indexer.behind.lexical:
                await self._brought_up.wait()
        if self._presence.missing:
            raise FailedError(f"{self.spec.path} cannot be read", hint="bring the directory back, or remove the root")
        if self._failed_looks > failed or "scan" in self.problems:
            passed = Problem(f"{self.spec.path} could not be looked at for a moment", "try again")
            problem = self.problems.get("scan", passed)
            raise FailedError(problem.message, hint=problem.hint)
        if scope.cancelled_caught:
            raise TimedOutError(
                f"{self.spec.path} was not in sync after {timeout_s:g} s ({len(self.work.pending)} files to go)",
                hint="give --timeout more seconds; `codeindex status` shows the progress",
            )
        return Synced(self.indexer.current.generation, (time.monotonic() - began) * 1000, how)

    # life

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Open the stores, answer (``started``), then watch and catch up until cancelled."""
        self._loop = asyncio.get_running_loop()
        self.indexer = await anyio.to_thread.run_sync(self.services.open_index, self.directory, self.spec.id)
        try:
            await self._set_up()
            async with anyio.create_task_group() as tasks:
                task_status.started()
                tasks.start_soon(self._ending.note)
                tasks.start_soon(self.work.serve)
                tasks.start_soon(self._vectorizer.serve)
                await tasks.start(self._watcher.serve)
                tasks.start_soon(self._keep_projections)
                tasks.start_soon(maintenance.retry_unreadable, self)
                tasks.start_soon(maintenance.retry_failures, self)
                tasks.start_soon(maintenance.keep_tidy, self)
                self.hint([b""])
                await self._reconcile_forever()
        finally:
            self._ending.begin()
            with anyio.CancelScope(shield=True):
                await self.indexer.write(self.indexer.close)

    async def _set_up(self) -> None:
        for note in self.indexer.behind.notes:
            log.warning("store rebuilt", root=str(self.spec.path), note=note)
        self.work = Ingest(
            self.spec.raw,
            self.indexer,
            self.services.pool,
            on_hint=self.look_again,
            on_commit=self._on_commit,
            on_problem=self.set_problem,
        )
        self._vectorizer = PendingEmbedder(
            self.spec.raw,
            self.indexer,
            self.services.pool,
            self.services.embedder,
            on_hint=self.look_again,
            on_problem=self.set_problem,
        )
        self._watcher = Watcher(
            self.spec.path,
            cookie_dir=self.services.cookies,
            poll_interval_s=self.settings.poll_s,
            poll=self.settings.poll,
            on_hints=self.hint,
            on_degraded=lambda message, hint: self.set_problem("watch", message, hint),
            on_recovered=lambda: self.set_problem("watch", "", ""),
            on_root_changed=lambda: self.hint([b""]),
            rules=await anyio.to_thread.run_sync(lambda: self.scanner.rule_files),
        )
        self._directories = set(await anyio.to_thread.run_sync(self.indexer.catalog.tree().directories))
        self._watcher.set_directories(self._directories)

    async def replay(self) -> None:
        """Bring projections that lack commits up to the catalog; returns when they are."""
        await maintenance.bring_up(self, self.services.pool)
        self._vectorizer.wake()
        self._brought_up.set()
        self._brought_up = anyio.Event()

    async def _keep_projections(self) -> None:
        while True:
            self._fell_behind = anyio.Event()
            await self.replay()
            await self._fell_behind.wait()

    # reconciling

    async def _reconcile_forever(self) -> None:
        self.work.submit(
            [],
            await anyio.to_thread.run_sync(maintenance.stale_files, self.indexer.catalog, self.services.fingerprints),
        )
        while True:
            taken = await self._hints.batch(self._until_walk())
            if taken is None:
                self.hint([b""])
                continue
            number, batch = taken
            await self._reconcile(self._linked.widened(batch))
            self._hints.done(number)
            if self.state is not self._told:
                self._tell("state")

    def _until_walk(self) -> float:
        """Seconds until everything is looked at again, whatever events said."""
        return max(1.0, self._last_walk + self.settings.reconcile_s - time.monotonic())

    async def _reconcile(self, below: Sequence[bytes]) -> None:
        whole = b"" in below
        if not await self._root_is_there():
            return
        self._walking = whole
        began = time.monotonic()
        in_flight = await self.work.compared_with()
        try:
            found = await anyio.to_thread.run_sync(reconcile, self.scanner, self.indexer.catalog, below, in_flight)
        except (OSError, PathRefusedError, StoreFullError) as error:
            hint = getattr(error, "hint", "check the directory's permissions")
            self.set_problem("scan", f"cannot look at {self.spec.path}: {error}", hint)
            self._failed_looks += 1
            self._search_later()
            return
        finally:
            self._walking = False
        if whole:  # nobody remembers what else could not be looked at
            self.set_problem("scan", "", "")
        if await self._follow_config(found.scan) or self._linked.take(found.scan):
            await self._reconcile([b""])
            return
        self._take_over(found, whole)
        if found.overtaken:
            await self.work.committed()
            await self._reconcile(sorted(found.overtaken))
        seconds = round(time.monotonic() - began, 3)
        log.debug("reconciled", root=str(self.spec.path), below=len(below), files=len(found.files), seconds=seconds)
        if whole:
            self._walked = True
            self._last_walk = time.monotonic()
            self._watcher.mark_walked()
            self._tell("state")

    async def _follow_config(self, scan: Scan) -> bool:
        """Whether the root's own configuration is another one now, and with it the scanner."""
        if not is_covered(ROOT_CONFIG, scan.below):
            return False
        changed = await anyio.to_thread.run_sync(self._config_file.follow)
        problem = self._config_file.problem or Problem("", "")
        self.set_problem("config", problem.message, problem.hint)
        return changed

    def _take_over(self, found: Reconciled, whole: bool) -> None:
        scan = found.scan
        if whole:
            self._directories = set(scan.directories)
        else:
            self._directories.difference_update(found.gone)
            self._directories.update(scan.directories)
        self._watcher.set_directories(self._directories, scan.rule_files, whole=whole)
        self.unreadable.looked(scan.below, scan.errors)
        self.set_problem("unreadable", *self.unreadable.problem)
        self.work.submit(found.slices, found.files, found.gone)
        if scan.unsettled:
            self.look_again(scan.unsettled)

    async def _root_is_there(self) -> bool:
        """Whether there is something to scan; a root that is missing is looked for again soon."""
        before = self.state
        found = await anyio.to_thread.run_sync(self._presence.look)
        if found is Found.MISSING:
            self._search_later()
        elif found is not Found.SAME:
            self.hint([b""])
        if found is Found.ANOTHER:
            self.services.on_event("identity", self)
        if self.state is not before:
            self._tell("state")
        return found is not Found.MISSING

    def _search_later(self) -> None:
        """Look at everything in a few seconds, once, however many hints bring us here."""
        now = time.monotonic()
        if now >= self._next_search:
            self._next_search = now + _SEARCH_EVERY_S
            self._hints.add_later([b""], _SEARCH_EVERY_S)

    def _on_commit(self) -> None:
        if self.indexer.behind.lexical or self.indexer.behind.dense:
            self._fell_behind.set()
        if self.indexer.pending_vectors:
            self._vectorizer.wake()
        self._tell("generation")

    def set_problem(self, key: str, message: str, hint: str) -> None:
        """Note a problem under ``key``, or with an empty message that it is over."""
        before = self.problems.get(key)
        if message:
            self.problems[key] = Problem(message, hint)
            if before is None or before.message != message:
                log.warning("degraded", root=str(self.spec.path), what=key, problem=message)
                self._tell("state")
        elif before is not None:
            del self.problems[key]
            log.info("recovered", root=str(self.spec.path), what=key)
            self._tell("state")

    def _tell(self, event: str) -> None:
        if not self._ending.begun:
            self._told = self.state
            self.services.on_event(event, self)
