"""The daemon, composed: config, lock, stores, roots, socket; then it says READY and catches up."""

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
_SWITCH_INTERVAL_S = 0.0005  # pure-Python threads otherwise hold a query up for tens of milliseconds
_QUERY_THREADS = 40
_OPEN_FILES = 8192
_OWN_FILES = 48  # of a daemon with one root; what is left of the limit is shared equally with the clients
_STATUS_EVERY_S = 2.0
_UPKEEP_EVERY_S = 3600.0
_EXAMINE_AFTER_S = 60.0  # from the start, when people have work for the machine
_MARKED_AT_ONCE = 10_000
_GLANCE_EVERY_S = 60.0  # at the size of the vector store: an hour of indexing can add gigabytes


async def run(config: Config, *, paths: Paths, ready: Callable[[], None] | None = None) -> None:
    """Run the daemon until SIGTERM, SIGINT or a ``shutdown`` request. Raises AlreadyRunningError, ConfigError."""
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
            activation.stopping()
            log.info("stopping")


class Daemon:
    """The parts of one daemon and the order in which they start and stop."""

    def __init__(self, config: Config, paths: Paths) -> None:
        self.config = config
        self.paths = paths
        self.stopping = anyio.Event()
        self._began = time.monotonic()
        self.events = Subscriptions()
        self.roots: RootSupervisor
        self._soon: anyio.abc.TaskGroup
        self._models: Embedders
        self._pool: WorkerPool
        self._vectors: VectorStore
        self._vectors_sure = False

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Daemon]:
        """Everything is up and answers on entry; on exit all of it is down and every store closed."""
        config, paths = self.config, self.paths
        held = {place.name for place in paths.roots.glob("*/dense/*")}
        self._models = await anyio.to_thread.run_sync(
            lambda: Embedders.open(config.embedding, state=paths.state, in_use=held)
        )
        self._vectors_sure = paths.vectors.name in take_clean_marker(paths.cache)
        self._vectors = await anyio.to_thread.run_sync(VectorStore.open_or_mend, paths.vectors)
        count = worker_count(config.workers.count, available_cpus(), config.memory.budget_mb << 20)
        self._pool = WorkerPool(self._worker_settings(), count=count, pipeline=PIPELINE)
        self.roots = RootSupervisor(Registry(paths.roots_file), paths.roots, self._make_root)
        searcher = Searcher(self._models.by_identity, mask_secrets=config.privacy.mask_secrets)
        handlers = Handlers(
            self.roots,
            searcher,
            self.events,
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
            on_close=self.events.unsubscribe,
        )
        try:
            async with anyio.create_task_group() as services:
                self._soon = services
                services.start_soon(self._stop_on_signals)
                await services.start(self._pool.serve)
                await services.start(self.roots.serve)
                async with anyio.create_task_group() as edge:
                    await edge.start(server.serve)
                    log.info("ready", version=__version__, socket=str(paths.socket), roots=len(self.roots.running()))
                    activation.ready(self._headline())
                    if self.roots.running():
                        self._pool.warm_up()
                    services.start_soon(self._report_to_manager)
                    services.start_soon(self._upkeep)
                    yield self
                    edge.cancel_scope.cancel()
                services.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._models.aclose()
                await anyio.to_thread.run_sync(self._vectors.close)
                if self._vectors_sure:
                    write_clean_marker(paths.cache, [paths.vectors.name])

    # parts

    def _worker_settings(self) -> WorkerSettings:
        config = self.config
        return WorkerSettings(
            vectors_db=str(self.paths.vectors),
            identity=self._models.configured.identity,
            embed=config.embedding.model == "bundled",
            max_chunk_bytes=config.index.max_chunk_bytes,
            max_file_bytes=config.index.max_file_bytes,
            mask_secrets=config.privacy.mask_secrets,
            nice=config.workers.nice,
        )

    def _make_root(self, spec: RootSpec, directory: Path) -> Root:
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
            self.paths.create()  # the cache was deleted under us: the root makes its stores anew
        services = RootDependencies(
            pool=self._pool,
            vectors=self._vectors,
            embedder=self._models.configured,
            others=self._models.others,
            fingerprints=fingerprints(self._worker_settings()),
            cookies=self.paths.cookies,
            on_event=self._on_event,
            trim_memory=memory.trim,
        )
        return Root(spec, directory, settings, services)

    def _on_event(self, event: RootEvent) -> None:
        if event.kind is RootEventKind.IDENTITY:
            self._soon.start_soon(self._attempt, "save_roots", self.roots.save)
            return
        if event.state is RootState.FRESH:
            self._soon.start_soon(self._attempt, "absorb_roots", partial(self.roots.absorb, event.spec.id))
        self.events.publish(event)

    async def _attempt(self, what: str, action: Callable[[], Awaitable[None]]) -> None:
        """Something that can be done another time: neither a full disk nor a mistake of ours may end the daemon."""
        try:
            await action()
        except CodeindexError as error:
            log.warning("not done now", what=what, error=error.message, hint=error.hint)
        except Exception as error:  # noqa: BLE001 - logged by its place
            log.error("not done now", what=what, error=place_of(error))  # noqa: TRY400 - a trace may quote what it met

    def _describe_embedder(self) -> dict[str, Any]:
        embedder = self._models.configured
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
                log.info("asked to stop", signal=received.name)
                self.stopping.set()

    def _headline(self) -> str:
        roots = self.roots.running()
        busy = [root for root in roots if root.state is not RootState.FRESH]
        if not busy:
            return f"{len(roots)} roots, all fresh"
        left = sum(root.progress.files_left for root in busy)
        return f"{len(roots)} roots, {len(busy)} {busy[0].state.value}, {left} files to go"

    async def _report_to_manager(self) -> None:
        """Feed the watchdog and the status line; only ever from this loop, so a hung loop is noticed."""
        interval = activation.watchdog_interval_s() or _STATUS_EVERY_S
        said = ""
        while True:
            activation.watchdog()
            if (headline := self._headline()) != said:
                activation.status(headline)
                said = headline
            await anyio.sleep(min(interval, _STATUS_EVERY_S) if activation.enabled() else _UPKEEP_EVERY_S)

    async def _upkeep(self) -> None:
        looked = time.monotonic()
        while True:
            await anyio.sleep(_GLANCE_EVERY_S)
            if time.monotonic() - looked >= _UPKEEP_EVERY_S:
                looked = time.monotonic()
                await self._attempt("forget roots that are gone", self.roots.remove_missing)
                await self._attempt("mark vectors", partial(anyio.to_thread.run_sync, self._mark_vectors))
            await self._attempt("prune vectors", partial(anyio.to_thread.run_sync, self._prune_vectors))
            if time.monotonic() - self._began >= _EXAMINE_AFTER_S:
                if not self._vectors_sure:
                    await self._attempt("examine the vectors", partial(anyio.to_thread.run_sync, self._examine_vectors))
                for root in self.roots.running():
                    await self._attempt("examine an index", partial(self._examine, root))

    def _examine_vectors(self) -> None:
        """Look through the vector store after an unclean end."""
        self._vectors.ensure(closely=True)
        self._vectors_sure = True

    async def _examine(self, root: Root) -> None:
        """Compare a root that did not end cleanly with the disk, as ``verify --repair`` does, and settle the doubt."""
        if not root.needs_verify or root.state is not RootState.FRESH:
            return
        log.info("examining an index after an unclean end", root=str(root.spec.path))
        try:
            found = await verify.verify(root, repair=True, rebuild=self.roots.rebuild)
        except CodeindexError as error:
            if not isinstance(error, StoreDamagedError):
                raise
            log.warning("index rebuilt", root=str(root.spec.path), error=error.message)
            await self.roots.rebuild(root.spec)
        except (ValueError, TypeError, LookupError, AttributeError):  # broken rows, where nobody expects them
            log.exception("index rebuilt", root=str(root.spec.path))
            await self.roots.rebuild(root.spec)
        else:
            if found.get("repaired", True):
                root.mark_verified()

    def _mark_vectors(self) -> None:
        """Whatever a root still holds counts as used today."""
        for hashes in self._vectors_in_use():
            self._vectors.mark_used(self._models.configured.identity, hashes)

    def _prune_vectors(self) -> None:
        budget = int(self.config.disk.budget_gb * (1 << 30))
        dropped = self._vectors.keep_within(budget, self._models.configured.identity, self._vectors_in_use)
        if dropped:
            log.info("vectors pruned", dropped=dropped, budget_gb=self.config.disk.budget_gb)

    def _vectors_in_use(self) -> Iterator[Sequence[bytes]]:
        """The embed hashes of all roots, in parts, so that commits need not wait until all are marked."""
        for root in self.roots.running():
            with root.catalog_snapshot() as snapshot:
                hashes = snapshot.embed_hashes()
                while part := list(itertools.islice(hashes, _MARKED_AT_ONCE)):
                    yield part


def _allow_open_files() -> None:
    """Raise the soft limit of open files as far as it goes: clients, stores and watches share it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_connections() -> int:
    """Clients for which there are open files: without any left a search finds nothing and a root looks missing."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = Limits().connections
    return most if soft == resource.RLIM_INFINITY else max(8, min(most, (soft - _OWN_FILES) // 2))
