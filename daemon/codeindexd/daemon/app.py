"""The daemon as a whole: configuration, lock, stores, roots and socket, started and stopped in order."""

from __future__ import annotations

import contextlib
import itertools
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.to_thread
import structlog

from codeindexd import __version__
from codeindexd.config import Config
from codeindexd.daemon import activation, memory
from codeindexd.daemon.embedders import Embedders
from codeindexd.daemon.handlers import Handlers
from codeindexd.daemon.lock import Lock
from codeindexd.daemon.paths import Paths
from codeindexd.daemon.server import Limits, Server
from codeindexd.daemon.subscriptions import Subscriptions
from codeindexd.errors import CodeindexError, StoreDamagedError, place_of
from codeindexd.indexing import PIPELINE
from codeindexd.indexing.fingerprint import fingerprints
from codeindexd.roots import Root, RootDependencies, RootEvent, RootEventKind, RootSettings
from codeindexd.roots.registry import Registry, RootSpec
from codeindexd.roots.supervisor import RootSupervisor
from codeindexd.roots.verify import verify
from codeindexd.search.searcher import Searcher
from codeindexd.storage.durable import take_clean_marker, write_clean_marker
from codeindexd.storage.sqlite import file_identity
from codeindexd.storage.vectors import VectorStore
from codeindexd.types import RootState
from codeindexd.workers.jobs import WorkerSettings
from codeindexd.workers.pool import WorkerPool
from codeindexd.workers.pressure import available_cpus
from codeindexd.workers.sizing import worker_count

log = structlog.get_logger(__name__)
_SWITCH_INTERVAL_S = 0.0005  # pure-Python threads otherwise delay a query by tens of milliseconds
_QUERY_THREADS = 40
_OPEN_FILES = 8192
_OWN_FILES = 48  # of a daemon with one root; clients get half of the rest
_STATUS_EVERY_S = 2.0
_UPKEEP_EVERY_S = 60.0  # an hour of indexing can add gigabytes to the vector store
_RARE_UPKEEP_EVERY_S = 3600.0
_VERIFY_AFTER_S = 60.0  # of uptime: at the start people have work for the machine
_MARKED_AT_ONCE = 10_000


async def run(config: Config, *, paths: Paths, ready: Callable[[], None] | None = None) -> None:
    """Run the daemon until SIGTERM, SIGINT or a ``shutdown`` request.

    Raises AlreadyRunningError, ConfigError, FailedError for a directory or socket that cannot be used, EmbedderError.
    """
    memory.configure()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    _allow_open_files()
    anyio.to_thread.current_default_thread_limiter().total_tokens = _QUERY_THREADS
    paths.create()
    with Lock(paths.lock):
        async with Daemon(config, paths).running() as daemon:
            if ready:
                ready()
            await daemon.stopping.wait()
            activation.notify_stopping()
            log.info("stopping")


class Daemon:
    """The parts of one daemon, and the order in which they start and stop."""

    def __init__(self, config: Config, paths: Paths) -> None:
        self.config = config
        self.paths = paths
        self.stopping = anyio.Event()
        self.subscriptions = Subscriptions()
        self.roots: RootSupervisor
        self._started = time.monotonic()
        self._tasks: anyio.abc.TaskGroup
        self._embedders: Embedders
        self._pool: WorkerPool
        self._vectors: VectorStore
        self._vectors_verified = False

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Daemon]:
        """Start everything, so that the daemon answers on entry; on exit stop it and close every store."""
        config, paths = self.config, self.paths
        in_use = {place.name for place in paths.roots.glob("*/dense/*")}
        self._embedders = await anyio.to_thread.run_sync(
            lambda: Embedders.open(config.embedding, state=paths.state, in_use=in_use)
        )
        self._vectors_verified = paths.vectors.name in take_clean_marker(paths.cache)
        self._vectors = await anyio.to_thread.run_sync(VectorStore.open_or_repair, paths.vectors)
        count = worker_count(config.workers.count, available_cpus(), config.memory.budget_mb << 20)
        self._pool = WorkerPool(self._worker_settings(), count=count, pipeline=PIPELINE)
        self.roots = RootSupervisor(Registry(paths.roots_file), paths.roots, self._create_root)
        searcher = Searcher(self._embedders.by_identity, mask_secrets=config.privacy.mask_secrets)
        handlers = Handlers(
            self.roots,
            searcher,
            self.subscriptions,
            default_limit=config.search.default_limit,
            embedder=self._describe_embedder,
            resize=self._pool.resize,
            stop=self.stopping.set,
        )
        server = Server(
            handlers.table(),
            socket_path=paths.socket,
            inherited=activation.inherited_socket(),
            limits=Limits(connections=most_connections()),
            on_close=self.subscriptions.unsubscribe,
        )
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                tasks.start_soon(self._stop_on_signals)
                await tasks.start(self._pool.serve)
                await tasks.start(self.roots.serve)
                async with anyio.create_task_group() as edge:
                    await edge.start(server.serve)
                    log.info("ready", version=__version__, socket=str(paths.socket), roots=len(self.roots.running()))
                    activation.notify_ready(self._headline())
                    if self.roots.running():
                        self._pool.warm_up()
                    tasks.start_soon(self._report_to_manager)
                    tasks.start_soon(self._upkeep)
                    yield self
                    edge.cancel_scope.cancel()
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._embedders.aclose()
                await anyio.to_thread.run_sync(self._vectors.close)
                if self._vectors_verified:
                    write_clean_marker(paths.cache, [paths.vectors.name])

    # parts

    def _worker_settings(self) -> WorkerSettings:
        config = self.config
        return WorkerSettings(
            vectors_db=str(self.paths.vectors),
            identity=self._embedders.configured.identity,
            embed=config.embedding.model == "bundled",
            max_chunk_bytes=config.index.max_chunk_bytes,
            max_file_bytes=config.index.max_file_bytes,
            mask_secrets=config.privacy.mask_secrets,
            nice=config.workers.nice,
        )

    def _create_root(self, spec: RootSpec, directory: Path) -> Root:
        config = self.config
        settings = RootSettings(
            index=config.index,
            debounce_s=config.watch.debounce_ms / 1000,
            deadline_s=config.watch.deadline_ms / 1000,
            max_hints=config.watch.max_hints,
            reconcile_s=config.watch.reconcile_minutes * 60,
            poll=config.watch.poll,
        )
        if file_identity(self.paths.vectors) is None:
            self.paths.create()  # the cache was deleted while the daemon runs: the root needs a place for its stores
        dependencies = RootDependencies(
            pool=self._pool,
            vectors=self._vectors,
            embedder=self._embedders.configured,
            others=self._embedders.others,
            fingerprints=fingerprints(self._worker_settings()),
            cookies=self.paths.cookies,
            on_event=self._on_event,
            trim_memory=memory.trim,
        )
        return Root(spec, directory, settings, dependencies)

    def _on_event(self, event: RootEvent) -> None:
        if event.kind is RootEventKind.IDENTITY:
            self._tasks.start_soon(self._attempt, "save_roots", self.roots.save)
            return
        if event.state is RootState.FRESH:
            self._tasks.start_soon(self._attempt, "absorb_roots", partial(self.roots.absorb, event.spec.id))
        self.subscriptions.publish(event)

    async def _attempt(self, what: str, action: Callable[[], Awaitable[None]]) -> None:
        """Do what can be done another time: neither a full disk nor an unforeseen error may end the daemon."""
        try:
            await action()
        except CodeindexError as error:
            log.warning("housekeeping_failed", what=what, error=error.message, hint=error.hint)
        except Exception as error:  # noqa: BLE001 - it is logged, without its message
            log.error("housekeeping_failed", what=what, error=place_of(error))  # noqa: TRY400 - a trace may quote what the code read

    def _describe_embedder(self) -> dict[str, Any]:
        embedder = self._embedders.configured
        return {
            "model": embedder.model,
            "identity": embedder.identity,
            "dimensions": embedder.dimensions,
            "device": embedder.device,
        }

    # housekeeping

    async def _stop_on_signals(self) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for received in signals:
                log.info("stop_requested", signal=received.name)
                self.stopping.set()

    def _headline(self) -> str:
        roots = self.roots.running()
        busy = [root for root in roots if root.state is not RootState.FRESH]
        if not busy:
            return f"{len(roots)} roots, all fresh"
        left = sum(root.progress.files_left for root in busy)
        return f"{len(roots)} roots, {len(busy)} {busy[0].state.value}, {left} files to go"

    async def _report_to_manager(self) -> None:
        """Feed the watchdog and the status line, only from this event loop, so that a hung loop is noticed."""
        interval = activation.watchdog_interval_s() or _STATUS_EVERY_S
        reported = ""
        while True:
            activation.notify_alive()
            if (headline := self._headline()) != reported:
                activation.notify_status(headline)
                reported = headline
            await anyio.sleep(min(interval, _STATUS_EVERY_S) if activation.is_enabled() else _RARE_UPKEEP_EVERY_S)

    async def _upkeep(self) -> None:
        last_rare = time.monotonic()
        while True:
            await anyio.sleep(_UPKEEP_EVERY_S)
            if time.monotonic() - last_rare >= _RARE_UPKEEP_EVERY_S:
                last_rare = time.monotonic()
                await self._attempt("remove_missing_roots", self.roots.remove_missing)
                await self._attempt("mark_vectors", partial(anyio.to_thread.run_sync, self._mark_vectors))
            await self._attempt("prune_vectors", partial(anyio.to_thread.run_sync, self._prune_vectors))
            if time.monotonic() - self._started >= _VERIFY_AFTER_S:
                if not self._vectors_verified:
                    await self._attempt("verify_vectors", partial(anyio.to_thread.run_sync, self._verify_vectors))
                for root in self.roots.running():
                    await self._attempt("verify_root", partial(self._verify_if_needed, root))

    def _verify_vectors(self) -> None:
        """Verify the checksums of the vector store, after an unclean shutdown."""
        self._vectors.repair_if_damaged(thoroughly=True)
        self._vectors_verified = True

    async def _verify_if_needed(self, root: Root) -> None:
        """Compare a root with the disk after an unclean shutdown, as ``verify --repair`` does."""
        if not root.needs_verify or root.state is not RootState.FRESH:
            return
        log.info("verifying_after_unclean_shutdown", root=str(root.spec.path))
        try:
            found = await verify.verify(root, repair=True, rebuild=self.roots.rebuild)
        except CodeindexError as error:
            if not isinstance(error, StoreDamagedError):
                raise
            log.warning("index_rebuilt", root=str(root.spec.path), error=error.message)
            await self.roots.rebuild(root.spec)
        except (ValueError, TypeError, LookupError, AttributeError):  # broken rows where nothing checks for them
            log.exception("index_rebuilt", root=str(root.spec.path))
            await self.roots.rebuild(root.spec)
        else:
            if found.get("repaired", True):
                root.mark_verified()

    def _mark_vectors(self) -> None:
        """Mark the vectors that any root holds as used today."""
        for hashes in self._vectors_in_use():
            self._vectors.mark_used(self._embedders.configured.identity, hashes)

    def _prune_vectors(self) -> None:
        budget = int(self.config.disk.budget_gb * (1 << 30))
        dropped = self._vectors.keep_within(budget, self._embedders.configured.identity, self._vectors_in_use)
        if dropped:
            log.info("vectors_pruned", dropped=dropped, budget_gb=self.config.disk.budget_gb)

    def _vectors_in_use(self) -> Iterator[Sequence[bytes]]:
        """Yield the embed hashes of all roots, in parts, so that commits need not wait until all are marked."""
        for root in self.roots.running():
            with root.catalog_snapshot() as snapshot:
                hashes = snapshot.embed_hashes()
                while part := list(itertools.islice(hashes, _MARKED_AT_ONCE)):
                    yield part


def _allow_open_files() -> None:
    """Raise the soft limit of open files as far as allowed: clients, stores and watches share it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_connections() -> int:
    """Return how many clients the limit of open files allows: with none left, searches fail and roots look missing."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = Limits().connections
    return most if soft == resource.RLIM_INFINITY else max(8, min(most, (soft - _OWN_FILES) // 2))
