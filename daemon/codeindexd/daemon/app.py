"""The daemon as a whole: configuration, lock, stores, roots and socket, started and stopped in order."""

from __future__ import annotations

import contextlib
import resource
import signal
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.to_thread
import structlog

from codeindexd import __version__
from codeindexd.analysis.embedding.create import needs_download
from codeindexd.analysis.embedding.static_embedder import is_as_fast_as_a_lookup
from codeindexd.config import Config
from codeindexd.daemon import activation, memory
from codeindexd.daemon.address_file import AddressFile
from codeindexd.daemon.disk_usage import DiskUsage
from codeindexd.daemon.embedders import Embedders
from codeindexd.daemon.handlers import Handlers
from codeindexd.daemon.history_questions import HistoryQuestions
from codeindexd.daemon.installation import Installation, wait_until_removed
from codeindexd.daemon.lock import Lock
from codeindexd.daemon.logs import LogDestination
from codeindexd.daemon.paths import Paths
from codeindexd.daemon.server import ClientLimits, Server
from codeindexd.daemon.status_line import StatusLine
from codeindexd.daemon.subscriptions import Subscriptions
from codeindexd.daemon.upkeep import Upkeep, attempt
from codeindexd.indexing import PIPELINE
from codeindexd.indexing.fingerprint import fingerprints, history_fingerprint, text_version
from codeindexd.indexing.history_status import HistorySettings
from codeindexd.roots import Root, RootDependencies, RootEvent, RootEventKind, RootSettings
from codeindexd.roots.registry import Registry, RootSpec
from codeindexd.roots.supervisor import RootSupervisor
from codeindexd.search.graph.queries import GraphSearcher
from codeindexd.search.history.log import CommitSearcher
from codeindexd.search.history.retriever import past_files
from codeindexd.search.searcher import Searcher
from codeindexd.storage.durable import take_clean_marker, write_clean_marker
from codeindexd.storage.history.stores import HistoryStores
from codeindexd.storage.sqlite import file_identity
from codeindexd.storage.vectors import VectorStore
from codeindexd.types import RootState
from codeindexd.watch import Backend
from codeindexd.workers.jobs import WorkerSettings
from codeindexd.workers.pool import WorkerPool
from codeindexd.workers.pressure import available_cpus
from codeindexd.workers.sizing import worker_count

log = structlog.get_logger(__name__)
_SWITCH_INTERVAL_S = 0.0005  # pure-Python threads otherwise delay a query by tens of milliseconds
_QUERY_THREADS = 40
_OPEN_FILES = 8192
_OWN_FILES = 48  # open files of a daemon with one root; clients get half of the rest
_STATUS_EVERY_S = 2.0
_DOWNLOAD_S = 3600.0  # the longest that the service manager waits for a model; without one, nobody ends the download
_UNMANAGED_INTERVAL_S = 3600.0  # without a service manager, nobody reads the reports


async def run(config: Config, *, paths: Paths, log_destination: LogDestination) -> None:
    """Run the daemon until SIGTERM, SIGINT or a ``shutdown`` request.

    Raises AlreadyRunningError, ConfigError, EmbedderError, and FailedError for a directory or socket that cannot be
    used.
    """
    memory.configure()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    _allow_open_files()
    anyio.to_thread.current_default_thread_limiter().total_tokens = _QUERY_THREADS
    paths.create()
    with Lock(paths.lock), AddressFile(paths.address_file) as address:
        async with Daemon(config, paths, address, log_destination).running() as daemon:
            await daemon.stopping.wait()
            activation.notify_stopping()
            log.info("stopping")


class Daemon:
    """The parts of one daemon, and the order in which they start and stop."""

    def __init__(self, config: Config, paths: Paths, address: AddressFile, log_destination: LogDestination) -> None:
        self.config = config
        self.paths = paths
        self._backend = _backend(config)
        self.address = address
        self.installation = Installation()
        self._log_destination = log_destination
        self.stopping = anyio.Event()
        self._status_line = StatusLine(lambda: self.roots.running_roots())
        self.subscriptions = Subscriptions()
        self.roots: RootSupervisor
        self._tasks: anyio.abc.TaskGroup
        self._disk_usage: DiskUsage
        self._embedders: Embedders
        self._pool: WorkerPool
        self._vectors: VectorStore
        self._histories: HistoryStores

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Daemon]:
        """Start all parts, so that the daemon answers requests in the block; then stop them and close all stores."""
        vectors_verified = await self._open_stores()
        self._pool = self._make_pool()
        self.roots = RootSupervisor(
            Registry(self.paths.roots_file), self.paths.roots, self._histories, self._create_root
        )
        upkeep = self._make_upkeep(vectors_verified=vectors_verified)
        server = self._make_server(self._make_handlers())
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                self._disk_usage = DiskUsage(self.paths.cache, tasks)
                tasks.start_soon(self._stop_on_signals)
                await tasks.start(self._pool.serve)
                await tasks.start(self.roots.serve)
                async with anyio.create_task_group() as serving:
                    await serving.start(server.serve)
                    self._report_ready()
                    for housekeeping in (self._report_to_manager, upkeep.serve, self._stop_without_installation):
                        tasks.start_soon(housekeeping)
                    yield self
                    serving.cancel_scope.cancel()
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._close_stores(vectors_verified=upkeep.vectors_verified)

    async def _open_stores(self) -> bool:
        """Open the models, and the stores that all roots share; return True if the vector store was closed cleanly."""
        config, paths = self.config, self.paths
        if needs_download(model := config.embedding.model):
            self.address.record_activity(f"downloading the model {model}")
            activation.notify_slow_start(_DOWNLOAD_S)
            log.info("downloading_model", model=model)
        in_use = {place.name for place in paths.roots.glob("*/dense/*")}
        self._embedders = await anyio.to_thread.run_sync(
            lambda: Embedders.open(config.embedding, state=paths.state, in_use=in_use)
        )
        vectors_verified = paths.vectors.name in take_clean_marker(paths.cache)
        self._vectors = await anyio.to_thread.run_sync(VectorStore.open_or_repair, paths.vectors)
        bundled = self._embedders.bundled
        fingerprint = history_fingerprint(bundled.identity if bundled else "", mask_secrets=config.privacy.mask_secrets)
        dimensions = bundled.dimensions if bundled else 1
        self._histories = HistoryStores(paths.histories, fingerprint=fingerprint, dimensions=dimensions)
        return vectors_verified

    async def _close_stores(self, *, vectors_verified: bool) -> None:
        await self._embedders.aclose()
        await anyio.to_thread.run_sync(self._histories.close)
        await anyio.to_thread.run_sync(self._vectors.close)
        if vectors_verified:
            write_clean_marker(self.paths.cache, [self.paths.vectors.name])

    def _report_ready(self) -> None:
        """Tell the log and the service manager that clients can connect, and let workers start if there is work."""
        roots = self.roots.running_roots()
        log.info("ready", version=__version__, socket=str(self.address.socket), roots=len(roots))
        activation.notify_ready(self._status_line.current())
        if roots:
            self._pool.warm_up()

    # parts

    def _make_pool(self) -> WorkerPool:
        config = self.config
        count = worker_count(config.workers.count, available_cpus(), config.memory.budget_mb << 20)
        return WorkerPool(self._worker_settings(), count=count, pipeline=PIPELINE)

    def _make_upkeep(self, *, vectors_verified: bool) -> Upkeep:
        configured = self._embedders.configured
        return Upkeep(
            self.roots,
            self._vectors,
            identity=configured.identity,
            stores_vectors=not is_as_fast_as_a_lookup(configured),
            budget_gb=self.config.disk.budget_gb,
            vectors_verified=vectors_verified,
        )

    def _make_handlers(self) -> Handlers:
        bundled = self._embedders.bundled
        embed = bundled.embed if bundled else None
        mask_secrets = self.config.privacy.mask_secrets
        commits = CommitSearcher(embed)
        searcher = Searcher(
            self._embedders.by_identity,
            mask_secrets=mask_secrets,
            embed_names=embed,
            past_files=partial(past_files, commits),
        )
        graph = GraphSearcher(mask_secrets=mask_secrets)
        return Handlers(
            self.roots,
            searcher,
            self.subscriptions,
            commits=commits,
            graph=graph,
            history_questions=HistoryQuestions(self.roots, graph, self._pool),
            default_limit=self.config.search.default_limit,
            describe=self._describe,
            describe_files=self._describe_files,
            embedder=self._describe_embedder,
            resize=self._pool.resize,
            at_normal_priority=self._pool.at_normal_priority,
            stop=self.stopping.set,
        )

    def _make_server(self, handlers: Handlers) -> Server:
        return Server(
            handlers.table(),
            socket_path=self.paths.socket,
            spare_path=self.paths.spare_socket,
            inherited=activation.inherited_socket(),
            limits=ClientLimits(connections=connection_limit()),
            on_close=self.subscriptions.unsubscribe,
            on_listen=self.address.record_socket,
        )

    def _worker_settings(self) -> WorkerSettings:
        config = self.config
        return WorkerSettings(
            vectors_db=None if is_as_fast_as_a_lookup(self._embedders.configured) else str(self.paths.vectors),
            identity=self._embedders.configured.identity,
            embed=config.embedding.model == "bundled",
            max_chunk_bytes=config.index.max_chunk_bytes,
            max_file_bytes=config.index.max_file_bytes,
            max_notebook_bytes=config.index.max_notebook_bytes,
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
            history=HistorySettings(config.history.enabled, config.history.max_commits, config.history.branches),
            backend=self._backend,
        )
        if file_identity(self.paths.vectors) is None:
            self.paths.create()  # the cache was deleted while the daemon runs, and the root stores its index there
        dependencies = RootDependencies(
            pool=self._pool,
            vectors=self._vectors,
            histories=self._histories,
            embedder=self._embedders.configured,
            others=self._embedders.others,
            fingerprints=fingerprints(self._worker_settings()),
            text_version=text_version(self._worker_settings()),
            cookies=(self.paths.cookies, self.paths.spare_cookies),
            on_event=self._on_event,
            trim_memory=memory.trim,
        )
        return Root(spec, directory, settings, dependencies)

    def _on_event(self, event: RootEvent) -> None:
        if event.kind is RootEventKind.IDENTITY:
            self._tasks.start_soon(attempt, "save_roots", self.roots.save)
            return
        self._status_line.mark_changed()
        if event.state is RootState.FRESH:
            self._tasks.start_soon(attempt, "absorb_roots", partial(self.roots.absorb, event.spec.id))
        self.subscriptions.publish(event)

    def _describe(self) -> dict[str, Any]:
        return {
            "socket": str(self.address.socket or ""),
            "installation": self.installation.state.value,
        }

    async def _describe_files(self) -> dict[str, Any]:
        cache = {"path": str(self.paths.cache), "bytes": await self._disk_usage.size_bytes()}
        return {"log": self._log_destination.to_json(), "cache": cache}

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

    async def _stop_without_installation(self) -> None:
        """Stop once the installation is removed for good: no worker would start. A client can start another daemon."""
        await wait_until_removed(self.installation)
        log.warning("installation_removed", program=sys.executable)
        self.stopping.set()

    async def _report_to_manager(self) -> None:
        """Reset the watchdog and update the status line, from the event loop: if it hangs, the watchdog must notice."""
        interval = activation.watchdog_interval_s() or _STATUS_EVERY_S
        while True:
            activation.notify_alive()
            if (line := self._status_line.update()) is not None:
                activation.notify_status(line)
            await anyio.sleep(min(interval, _STATUS_EVERY_S) if activation.is_enabled() else _UNMANAGED_INTERVAL_S)


def _backend(config: Config) -> Backend:
    backend = Backend(config.watch.backend)
    if config.watch.poll and backend is Backend.AUTO:
        log.warning("deprecated_setting", setting="watch.poll", instead='watch.backend = "poll"')
        return Backend.POLL
    return backend


def _allow_open_files() -> None:
    """Raise the soft limit of open files, which clients, stores and watches share, as far as needed and allowed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connection_limit() -> int:
    """Return how many clients the limit of open files allows.

    Without that bound, clients could use all files, and then searches fail and roots look missing.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = ClientLimits().connections
    return most if soft == resource.RLIM_INFINITY else max(8, min(most, (soft - _OWN_FILES) // 2))
