"""One root's life: watch, settle, reconcile, work; its state, and the promise of ``sync``."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import structlog

from codeindexd import replay
from codeindexd.config import Index, load_root_config
from codeindexd.embed.base import Embedder
from codeindexd.errors import ConfigError, FailedError, StoreFullError, TimedOutError, WorkerError
from codeindexd.indexer import Indexer, VectorSpace
from codeindexd.model import Entry, NodeKind, RootState
from codeindexd.reconciler import Found, reconcile
from codeindexd.registry import RootSpec
from codeindexd.scan import Scanner
from codeindexd.settle import Settler
from codeindexd.vectorizer import Vectorizer
from codeindexd.vectors import VectorStore
from codeindexd.watch import Watcher
from codeindexd.work import Work
from codeindexd.workers.pool import WorkerPool

log = structlog.get_logger(__name__)
_COOKIE_TIMEOUT_S = 2.0
_LOOK_AGAIN_S = 0.1
_MISSING_POLL_S = 3.0
_UPKEEP_QUIET_S = 10.0
_ROOT_CONFIG = b".codeindex.toml"


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
class Services:
    """What all roots share."""

    pool: WorkerPool
    vectors: VectorStore
    embedder: Embedder
    fingerprints: Callable[[str], bytes]
    cookies: Path
    on_event: Callable[[str, Root], None]


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


@dataclass
class _Progress:
    """Orders hints and reconciliations: what was hinted up to number n is looked at once ``taken`` is n or more."""

    hinted: int = 0
    taken: int = 0
    changed: anyio.Event = field(default_factory=anyio.Event)

    def advance(self, to: int) -> None:
        self.taken = max(self.taken, to)
        self.changed.set()
        self.changed = anyio.Event()


class Root:
    """A directory tree kept equal to its index, from :meth:`serve` until its cancellation."""

    def __init__(self, spec: RootSpec, directory: Path, settings: RootSettings, services: Services) -> None:
        self.spec = spec
        self.directory = directory
        self.settings = settings
        self.problems: dict[str, Problem] = {}
        self.indexer: Indexer
        self.work: Work
        self.scanner = self._make_scanner()
        self._services = services
        self._settler = Settler(settings.debounce_s, settings.deadline_s, settings.max_hints)
        self._progress = _Progress()
        self._wake = anyio.Event()
        self._flush = False
        self._walked = False
        self._walking = False
        self._missing = False
        self._paused = False
        self._directories: set[bytes] = set()
        self._last_walk = 0.0
        self._later: deque[tuple[float, tuple[bytes, ...]]] = deque()
        self._stopping = False

    def _make_scanner(self) -> Scanner:
        """A scanner by the configuration, narrowed by the root's own file; that one may be broken and is then ignored."""
        index = self.settings.index
        try:
            index = index.narrowed(load_root_config(self.spec.path))
            self.problems.pop("config", None)
        except ConfigError as error:
            self.problems["config"] = Problem(error.message, error.hint)
        return Scanner(
            self.spec.path,
            include=index.include,
            exclude=index.exclude,
            hidden=index.hidden,
            gitignore=index.gitignore,
            max_file_bytes=index.max_file_bytes,
        )

    # what others ask

    @property
    def state(self) -> RootState:
        """The state of the root as it is known now."""
        if self._missing:
            return RootState.MISSING
        if self._paused:
            return RootState.PAUSED
        if self.problems:
            return RootState.DEGRADED
        if self._walking or not self._walked:
            return RootState.INDEXING if self.indexer.catalog.generation == 0 else RootState.RECONCILING
        if len(self._settler) or self._later or not self.work.idle:
            return RootState.INDEXING
        return RootState.FRESH

    @property
    def caught_up(self) -> bool:
        """Whether nothing is known to be outstanding, however well the root is watched."""
        return self._walked and not self._walking and self.work.idle and not len(self._settler)

    @property
    def clock(self) -> str:
        """This root's part of a clock: its id and published generation."""
        return f"{self.spec.id}:{self.indexer.current.generation}"

    @property
    def missing_since(self) -> float | None:
        """Seconds since the epoch at which the root was first not found; None while it is there."""
        try:
            return self._missing_mark.stat().st_mtime if self._missing else None
        except OSError:
            return None

    @property
    def _missing_mark(self) -> Path:
        return self.directory / "missing"

    def hint(self, paths: Iterable[bytes]) -> None:
        """Look under ``paths`` soon."""
        self._settler.add(paths, time.monotonic())
        self._progress.hinted += 1
        self._wake.set()

    def hint_from_thread(self, paths: Iterable[bytes]) -> None:
        """The same as :meth:`hint`, for the threads that answer queries."""
        self._loop.call_soon_threadsafe(self.hint, tuple(paths))

    def look_again(self, paths: Iterable[bytes]) -> None:
        """Look under ``paths`` a little later: they changed under our hands, or are too young to trust."""
        self._later.append((time.monotonic() + _LOOK_AGAIN_S, tuple(paths)))
        self._wake.set()

    def pause(self) -> None:
        """Stop indexing; hints are kept."""
        self._paused = True
        self.work.pause()
        self._tell("state")

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        self._paused = False
        self.work.resume()
        self._wake.set()
        self._tell("state")

    async def reindex(self) -> None:
        """Process every file of the root again; vectors that are known are reused."""
        self.work.submit([], await anyio.to_thread.run_sync(self._catalogued_files, None), again=True)
        self.hint([b""])

    async def redo(self, paths: Collection[bytes]) -> None:
        """Process the catalogued files among ``paths`` again, changed or not, and look under all of them."""
        self.work.submit([], await anyio.to_thread.run_sync(self._catalogued_files, paths), again=True)
        self.hint(paths)

    def _catalogued_files(self, paths: Collection[bytes] | None) -> list[Entry]:
        with self.indexer.catalog.snapshot() as snapshot:
            files = snapshot.files() if paths is None else filter(None, map(snapshot.file, paths))
            return [file.entry for file in files if file.entry.kind is NodeKind.FILE]

    async def sync(self, timeout_s: float) -> Synced:
        """Wait until every change made before the call can be searched.

        Raises TimedOutError, and FailedError while the root is paused or missing.
        """
        if self._paused:
            raise FailedError(f"{self.spec.path} is paused", hint="run `codeindex resume` first")
        if self._missing:
            raise FailedError(f"{self.spec.path} is missing", hint="bring the directory back, or remove the root")
        began = time.monotonic()
        how = "walk"
        with anyio.move_on_after(timeout_s) as scope:
            if self._walked and not self._watcher.suspicious and await self._watcher.cookie(_COOKIE_TIMEOUT_S):
                how = "cookie"
            else:
                self.hint([b""])
            await self._reconciled()
            await self.work.drained()
        if self._missing or "scan" in self.problems:
            raise FailedError(f"{self.spec.path} cannot be read", hint="bring the directory back, or remove the root")
        if scope.cancelled_caught:
            raise TimedOutError(
                f"{self.spec.path} was not in sync after {timeout_s:g} s ({len(self.work.pending)} files to go)",
                hint="give --timeout more seconds; `codeindex status` shows the progress",
            )
        return Synced(self.indexer.current.generation, (time.monotonic() - began) * 1000, how)

    async def _reconciled(self) -> None:
        target = self._progress.hinted
        self._flush = True
        self._wake.set()
        while self._progress.taken < target:
            await self._progress.changed.wait()

    # life

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Open the stores, answer (``started``), then watch and catch up until cancelled."""
        self._loop = asyncio.get_running_loop()
        self.indexer = await anyio.to_thread.run_sync(self._open)
        for note in self.indexer.behind.notes:
            log.warning("store rebuilt", root=str(self.spec.path), note=note)
        self.work = Work(
            self.spec.raw,
            self.indexer,
            self._services.pool,
            on_hint=self.look_again,
            on_commit=self._on_commit,
            on_problem=self.set_problem,
        )
        self._vectorizer = Vectorizer(
            self.spec.raw,
            self.indexer,
            self._services.pool,
            self._services.embedder,
            on_hint=self.look_again,
            on_problem=self.set_problem,
        )
        self._watcher = Watcher(
            self.spec.path,
            cookie_dir=self._services.cookies,
            poll_interval_s=self.settings.poll_s,
            poll=self.settings.poll,
            on_hints=self.hint,
            on_degraded=lambda message, hint: self.set_problem("watch", message, hint),
            on_recovered=lambda: self.set_problem("watch", "", ""),
            on_root_changed=self._root_changed,
        )
        try:
            async with anyio.create_task_group() as tasks:
                task_status.started()
                tasks.start_soon(self.work.serve)
                tasks.start_soon(self._vectorizer.serve)
                await tasks.start(self._watcher.serve)
                tasks.start_soon(self.replay)
                tasks.start_soon(self._retry_failures)
                tasks.start_soon(self._upkeep)
                self.hint([b""])
                await self._reconcile_forever()
        finally:
            self._stopping = True
            with anyio.CancelScope(shield=True):
                await self.indexer.write(self.indexer.close)

    def _open(self) -> Indexer:
        embedder = self._services.embedder
        return Indexer(
            self.directory,
            root_id=self.spec.id,
            vectors=self._services.vectors,
            space=VectorSpace(embedder.identity, embedder.dimensions),
        )

    async def replay(self) -> None:
        """Bring projections that lack commits up to the catalog; returns when they are."""
        while self.indexer.behind.lexical or self.indexer.behind.dense:
            self.set_problem("replay", "an index is being brought up to the catalog", "answers may lack some code")
            try:
                await replay.replay(self.spec.raw, self.indexer, self._services.pool, on_hint=self.look_again)
            except (StoreFullError, WorkerError) as error:
                self.set_problem("replay", error.message, error.hint)
                await anyio.sleep(_UPKEEP_QUIET_S)
        self.set_problem("replay", "", "")
        self._vectorizer.wake()

    # reconciling

    async def _reconcile_forever(self) -> None:
        stale = await anyio.to_thread.run_sync(self._stale_files)
        if stale:
            self.work.submit([], stale)
        while True:
            now = time.monotonic()
            while self._later and self._later[0][0] <= now:
                self._settler.add(self._later.popleft()[1], now)
            due = self._settler.next_due()
            if due is None or self._paused or not (self._flush or now >= due):
                self._wake = anyio.Event()
                with anyio.move_on_after(self._patience(due, now)):
                    await self._wake.wait()
                if not self._flush and time.monotonic() - self._last_walk > self.settings.reconcile_s and self._walked:
                    self.hint([b""])
                if due is None and self._flush and not len(self._settler):
                    self._flush = False
                    self._progress.advance(self._progress.hinted)
                continue
            number, self._flush = self._progress.hinted, False
            batch = self._settler.flush(now)
            if batch is not None:
                await self._reconcile(sorted(batch))
            self._progress.advance(number)

    def _patience(self, due: float | None, now: float) -> float:
        """Seconds until something has to be done without being woken."""
        until_walk = max(1.0, self._last_walk + self.settings.reconcile_s - now)
        if self._paused:
            return until_walk
        wanted = [due] if due is not None else []
        wanted += [self._later[0][0]] if self._later else []
        return min([until_walk, *(max(0.0, when - now) for when in wanted)])

    def _stale_files(self) -> list[Entry]:
        """Files whose bytes are the same and whose chunks would now be cut, masked or tokenised differently."""
        catalog = self.indexer.catalog
        return [*catalog.unprocessed(), *catalog.files_with_other_fingerprint(self._services.fingerprints)]

    async def _reconcile(self, below: list[bytes]) -> None:
        whole = below == [b""]
        if not await self._root_is_there():
            return
        self._walking = whole
        began = time.monotonic()
        try:
            found = await anyio.to_thread.run_sync(reconcile, self.scanner, self.indexer.catalog, below)
        except OSError as error:
            self.set_problem("scan", f"cannot read {self.spec.path}: {error.strerror}", "check the permissions")
            return
        finally:
            self._walking = False
        self.set_problem("scan", "", "")
        if any(path == _ROOT_CONFIG for path in found.changed):
            self.scanner = await anyio.to_thread.run_sync(self._make_scanner)
            self.hint([b""])
        self._take_over(found, whole)
        log.debug(
            "reconciled",
            root=str(self.spec.path),
            below=len(below),
            files=len(found.files),
            seconds=round(time.monotonic() - began, 3),
        )
        if whole:
            self._walked = True
            self._last_walk = time.monotonic()
            self._watcher.mark_walked()
            self._tell("state")

    def _take_over(self, found: Found, whole: bool) -> None:
        scan = found.scan
        if whole:
            self._directories = set(scan.directories)
        else:
            self._directories.difference_update(found.gone)
            self._directories.update(scan.directories)
        self._watcher.set_directories(self._directories)
        if scan.errors:
            path, error = scan.errors[0]
            more = f" and {len(scan.errors) - 1} more" if len(scan.errors) > 1 else ""
            self.set_problem("unreadable", f"{os.fsdecode(path)}: {error}{more}", "check the permissions")
        elif whole:
            self.set_problem("unreadable", "", "")
        self.work.submit(found.slices, found.files, found.gone)
        if scan.unsettled:
            self.look_again(scan.unsettled)

    async def _root_is_there(self) -> bool:
        """Whether the root is a directory now; notices when it is another one than it was."""
        try:
            status = await anyio.to_thread.run_sync(self.spec.path.stat)
        except OSError:
            status = None
        if status is None or not await anyio.to_thread.run_sync(self.spec.path.is_dir):
            self._become_missing()
            return False
        if (status.st_dev, status.st_ino) != (self.spec.device, self.spec.inode):
            another_device = status.st_dev != self.spec.device
            if another_device and not await anyio.to_thread.run_sync(lambda: any(self.spec.path.iterdir())):
                self._become_missing()  # an empty mount point, its file system not mounted
                return False
            self.spec = RootSpec(self.spec.id, self.spec.path, status.st_dev, status.st_ino)
            self._services.on_event("identity", self)
            self.hint([b""])
        if self._missing:
            self._missing = False
            self._missing_mark.unlink(missing_ok=True)
            self.hint([b""])
            self._tell("state")
        return True

    def _become_missing(self) -> None:
        if not self._missing:
            log.warning("root is missing", root=str(self.spec.path))
            self._missing = True
            self._missing_mark.touch(exist_ok=True)
            self._tell("state")
        self._settler.add([b""], time.monotonic() + _MISSING_POLL_S)

    def _root_changed(self) -> None:
        self.hint([b""])

    # quiet-time work

    async def _retry_failures(self) -> None:
        while True:
            await anyio.sleep(_UPKEEP_QUIET_S)
            due = await anyio.to_thread.run_sync(self._failures_due)
            if due and not self._paused:
                self.work.submit([], due, again=True)

    def _failures_due(self) -> list[Entry]:
        with self.indexer.catalog.snapshot() as snapshot:
            files = [snapshot.file(failure.path) for failure in self.indexer.catalog.failures_due(time.time_ns())]
        return [file.entry for file in files if file and file.entry.path not in self.work.pending]

    async def _upkeep(self) -> None:
        generation = -1
        while True:
            await anyio.sleep(_UPKEEP_QUIET_S)
            quiet = self.work.idle and not len(self._settler)
            if quiet and self.indexer.current.generation != generation:
                generation = self.indexer.current.generation
                try:
                    await self.indexer.maintain(lambda: self._stopping or not self.work.idle)
                except StoreFullError as error:
                    self.set_problem("store", error.message, error.hint)

    def _on_commit(self) -> None:
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
        if not self._stopping:
            self._services.on_event(event, self)
