"""The methods of the protocol: an explicit table from method to handler."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from codeindexd import __version__
from codeindexd.daemon import (
    explanation,
    metrics,
    not_searched,
    root_responses,
    search_responses,
)
from codeindexd.daemon.commit_log_handler import CommitLogHandler
from codeindexd.daemon.graph_handlers import GraphHandlers
from codeindexd.daemon.grep_handler import GrepHandler
from codeindexd.daemon.history_questions import HistoryQuestions
from codeindexd.daemon.request_paths import follow_links, path_of, paths_of, real_path
from codeindexd.daemon.server import Connection, Handler, Params, Result
from codeindexd.daemon.status_entries import StatusEntries
from codeindexd.daemon.subscriptions import Subscriptions, VerifyProgress
from codeindexd.daemon.synchronizer import SEARCH_SYNC_TIMEOUT_S, Synchronizer, that_can_be_synced
from codeindexd.errors import FailedError, NotIndexedError, UsageError
from codeindexd.roots import Root, SyncMethod
from codeindexd.roots.supervisor import FailedRoot, RootSupervisor
from codeindexd.roots.verify import verify
from codeindexd.roots.verify.audit import ignore_progress
from codeindexd.search.graph.queries import GraphSearcher
from codeindexd.search.history.log import CommitSearcher
from codeindexd.search.levels import Level
from codeindexd.search.pinning import worst_state
from codeindexd.search.query import filters_of, parse
from codeindexd.search.searcher import Searcher
from codeindexd.storage.catalog import SCHEMA_VERSION
from codeindexd.types import RootState

_HISTORY_BEGINS_S = 2.0
_SYNC_TIMEOUT_S = 60.0


class Handlers:
    """The handlers of all methods. Their parameters arrive validated and complete (:mod:`codeindexd.protocol.methods`).

    ``describe``, ``describe_files`` and ``embedder`` return fields of ``server.info`` and ``status``. ``resize`` sets
    the number of workers, ``at_normal_priority`` raises their priority inside its block, ``stop`` begins the shutdown.
    """

    def __init__(
        self,
        roots: RootSupervisor,
        searcher: Searcher,
        subscriptions: Subscriptions,
        *,
        graph: GraphSearcher,
        history_questions: HistoryQuestions,
        commits: CommitSearcher,
        default_limit: int,
        describe: Callable[[], Result],
        describe_files: Callable[[], Awaitable[Result]],
        embedder: Callable[[], Result],
        resize: Callable[[int], Any],
        at_normal_priority: Callable[[], AbstractContextManager[None]],
        stop: Callable[[], None],
    ) -> None:
        self._roots = roots
        self._searcher = searcher
        self._subscriptions = subscriptions
        self._synchronizer = Synchronizer(roots, subscriptions, at_normal_priority=at_normal_priority)
        self._grep = GrepHandler(roots, searcher, self._synchronizer)
        self._graph = GraphHandlers(roots, graph)
        self._history_questions = history_questions
        self._commit_log = CommitLogHandler(
            roots, commits, sync_all=partial(self._synchronizer.sync_all, timeout_s=SEARCH_SYNC_TIMEOUT_S)
        )
        self._default_limit = default_limit
        self._describe = describe
        self._describe_files = describe_files
        self._embedder = embedder
        self._resize = resize
        self._at_normal_priority = at_normal_priority
        self._stop = stop
        self._status_entries = StatusEntries()
        self._started = time.monotonic()

    def table(self) -> dict[str, Handler]:
        """Return the handler of every method."""
        return {
            "server.info": self.info,
            "shutdown": self.shutdown,
            "metrics": self.metrics,
            "roots.add": self.add,
            "roots.remove": self.remove,
            "roots.list": self.list_roots,
            "search": self.search,
            "grep": self._grep.grep,
            "related": self.related,
            "symbol": self.symbol,
            **self._graph.table(),
            **self._history_questions.table(),
            **self._commit_log.table(),
            "sync": self.sync,
            "status": self.status,
            "verify": self.verify,
            "explain": self.explain,
            "reindex": self.reindex,
            "pause": self.pause,
            "resume": self.resume,
            "subscribe": self.subscribe,
            "unsubscribe": self.unsubscribe,
        }

    # the daemon

    async def info(self, params: Params, connection: Connection) -> Result:
        """Return the daemon's version, process, socket and installation."""
        return {
            "version": __version__,
            "schema": SCHEMA_VERSION,
            "pid": os.getpid(),
            "uptime_s": round(time.monotonic() - self._started, 3),
            **self._describe(),
        }

    async def shutdown(self, params: Params, connection: Connection) -> Result:
        """Begin a clean shutdown of the daemon."""
        self._stop()
        return {"stopping": True}

    async def metrics(self, params: Params, connection: Connection) -> Result:
        """Return the metrics as OpenMetrics text."""
        text = await anyio.to_thread.run_sync(
            metrics.render, self._roots.running_roots(), time.monotonic() - self._started
        )
        return {"content_type": metrics.CONTENT_TYPE, "text": text}

    # roots

    async def add(self, params: Params, connection: Connection) -> Result:
        """Index a directory; with ``wait``, answer once it is fresh or cannot become fresh.

        ``workers`` first changes the number of bulk workers of the daemon.
        """
        if params["workers"] is not None:
            await self._resize(params["workers"])
        with self._at_normal_priority() if params["wait"] else nullcontext():
            root, admission = await self._roots.add(path_of(params["path"]), force=params["force"])
            if params["wait"]:
                with self._following(params, connection, [root]):
                    root = await self._wait_until_fresh(root.spec.path)
                with anyio.move_on_after(_HISTORY_BEGINS_S):  # so that the client can say how long it is
                    await root.history.sync()
        entry = await anyio.to_thread.run_sync(root_responses.roots_entry, root)
        return {"roots": [entry], "already_covered": admission.covered}

    def _following(self, params: Params, connection: Connection, roots: Sequence[Root]) -> AbstractContextManager[None]:
        """Notify ``connection`` of the progress of ``roots`` inside the block, if the request asks for it."""
        if not params["progress"]:
            return nullcontext()
        return self._subscriptions.following(connection, [root.spec.id for root in roots])

    async def _wait_until_fresh(self, path: Path) -> Root:
        """Wait until the root that indexes ``path`` is fresh or cannot become fresh, and return it."""
        while True:
            root = await self._roots.root_indexing(path)
            if root.state in (RootState.FRESH, RootState.MISSING, RootState.PAUSED):
                return root
            if root.state is RootState.DEGRADED:
                if root.is_caught_up:
                    return root
                self._subscriptions.repeat_progress(root)  # nothing may happen until its user does something
            await self._subscriptions.wait(root.spec.id)

    async def remove(self, params: Params, connection: Connection) -> Result:
        """Remove a root and delete its index."""
        path = path_of(params["path"])
        spec = self._roots.spec_containing(path)
        if spec.path not in (path, real_path(path)):
            raise UsageError(
                f"{path} is inside the root {spec.path}",
                hint=f"remove the whole root: codeindex remove {shlex.quote(str(spec.path))}",
            )
        await self._roots.remove(spec.id)
        return {"removed": [{"path": str(spec.path), "id": spec.id}]}

    async def list_roots(self, params: Params, connection: Connection) -> Result:
        """Return all roots."""
        running, failed = self._roots.all_roots()
        entries = await anyio.to_thread.run_sync(lambda: [root_responses.roots_entry(root) for root in running])
        return {"roots": entries + [root_responses.failed_entry(root) for root in failed]}

    async def reindex(self, params: Params, connection: Connection) -> Result:
        """Process every file of a root again; with ``wait``, answer once that is done."""
        root = await self._roots.root_indexing(path_of(params["path"]))
        if missing := root.missing_problem:
            raise FailedError(missing.message, hint=missing.hint)
        with self._at_normal_priority() if params["wait"] else nullcontext():
            await root.reindex()
            if params["wait"]:
                with self._following(params, connection, [root]):
                    root = await self._wait_until_fresh(root.spec.path)
        return {"roots": [root_responses.roots_entry(root)]}

    async def pause(self, params: Params, connection: Connection) -> Result:
        """Stop indexing a root until ``resume``."""
        root = await self._roots.root_indexing(path_of(params["path"]))
        await root.pause()
        return {"roots": [root_responses.roots_entry(root)]}

    async def resume(self, params: Params, connection: Connection) -> Result:
        """Continue to index a root."""
        root = await self._roots.root_indexing(path_of(params["path"]))
        await root.resume()
        return {"roots": [root_responses.roots_entry(root)]}

    # queries

    async def search(self, params: Params, connection: Connection) -> Result:
        """Return ranked chunks, each verified against the disk."""
        parsed = parse(
            params["query"],
            language=params["language"] or "",
            paths=params["path"] or (),
            kind=params["kind"] or "",
        )
        roots = await self._roots.roots_indexing(paths_of(params["roots"]))
        if params["sync"]:
            await self._synchronizer.sync_before_search(roots, named=bool(params["roots"]))
        chosen = {root.spec.id for root in roots}
        others = [root for root in self._roots.running_roots() if root.spec.id not in chosen]
        limit = params["limit"] or self._default_limit
        found = await self._searcher.search(roots, parsed, limit, level=_level(params["level"]), others=others)
        unavailable = not_searched.unavailable_roots(self._roots, roots, named=bool(params["roots"]))
        result = search_responses.answer(params["query"], found, explain=params["explain"], unavailable=unavailable)
        if params["last_commit"]:
            await self._commit_log.add_last_commits(roots, result)
        return result

    async def related(self, params: Params, connection: Connection) -> Result:
        """Return chunks that are similar to the one at a line of a file."""
        root = await self._roots.root_indexing(path_of(params["root"]))
        path = os.fsencode(params["path"])
        try:
            found = await self._searcher.related(root, path, params["line"], params["limit"] or self._default_limit)
        except NotIndexedError:
            # raises the more precise error if its directory is left out
            await self._roots.root_indexing(root.spec.path / os.fsdecode(path))
            raise
        return search_responses.answer(f"{os.fsdecode(path)}:{params['line']}", found)

    async def symbol(self, params: Params, connection: Connection) -> Result:
        """Return the definitions of a name, and its uses if requested."""
        if not params["name"].strip():
            raise UsageError("symbol: name is empty", hint="give the name of a definition, or a part of it")
        filters = filters_of(language=params["language"] or "", paths=params["path"] or (), kind=params["kind"] or "")
        roots = await self._roots.roots_indexing(paths_of(params["roots"]))
        state = worst_state(roots)  # as it was when the search began
        found = await self._searcher.symbol(
            roots, params["name"], references=params["references"], filters=filters, limit=params["limit"]
        )
        return search_responses.symbol_answer(params["name"], found, state)

    # freshness

    async def sync(self, params: Params, connection: Connection) -> Result:
        """Wait until every change made before the call, or the generations of ``clock``, can be searched."""
        timeout_s = _SYNC_TIMEOUT_S if params["timeout_s"] is None else params["timeout_s"]
        began = time.monotonic()
        if params["clock"]:
            clock, how = await self._synchronizer.wait_for_clock(params["clock"], timeout_s), SyncMethod.COOKIE
        else:
            clock, how = await self._sync_selected(params, connection, timeout_s)
        return {"clock": clock, "took_ms": round((time.monotonic() - began) * 1000, 2), "how": how.value}

    async def _sync_selected(self, params: Params, connection: Connection, timeout_s: float) -> tuple[str, SyncMethod]:
        """Sync the roots that a request selects; return their clock, and how they were synced."""
        roots, failed = await self._selected_roots(params)
        if failed:
            raise failed[0].error
        with self._following(params, connection, roots):
            synced = await self._synchronizer.sync_all(
                roots if params["path"] else that_can_be_synced(roots), timeout_s
            )
        is_walk = any(result.how is SyncMethod.WALK for result in synced)
        return ",".join(root.clock for root in roots), SyncMethod.WALK if is_walk else SyncMethod.COOKIE

    async def status(self, params: Params, connection: Connection) -> Result:
        """Return the health of the daemon and of one or all roots."""
        roots, failed = await self._selected_roots(params)
        running: list[Any] = await anyio.to_thread.run_sync(self._status_entries.entries_of, roots)
        if not params["path"]:
            self._status_entries.keep_only(roots)
        return {
            **await self.info(params, connection),
            "rss_bytes": metrics.resident_bytes(),
            **await self._describe_files(),
            "roots": running + [root_responses.failed_status(root) for root in failed],
            "embedder": {
                **self._embedder(),
                "pending": sum(root.pending_vectors for root in roots),
            },
        }

    async def verify(self, params: Params, connection: Connection) -> Result:
        """Compare the index with the disk, chunk by chunk, and repair it if requested."""
        roots, failed = await self._selected_roots(params)
        repair, rebuild = bool(params["repair"]), self._roots.rebuild
        audits = []
        for root in roots:
            if not params["path"] and (obstacle := root.obstacle_to_sync):
                audits.append(verify.not_verified(root, obstacle.message))
                continue
            report = VerifyProgress(connection, root).report if params["progress"] else ignore_progress
            with self._following(params, connection, [root]):
                audits.append(await verify.verify(root, repair=repair, rebuild=rebuild, on_progress=report))
        audits += [await verify.verify_failed(root, repair=repair, rebuild=rebuild) for root in failed]
        return {
            "ok": all(not audit["differences"] or audit.get("repaired", False) for audit in audits),
            "roots": audits,
        }

    async def _selected_roots(self, params: Params) -> tuple[list[Root], list[FailedRoot]]:
        """Return the running and the failed roots that ``params["path"]`` selects, or all roots."""
        return await self._roots.selected_roots(path_of(params["path"]) if params["path"] else None)

    async def explain(self, params: Params, connection: Connection) -> Result:
        """Return why a path is or is not indexed."""
        path = path_of(params["path"])
        root = await self._roots.root_to_explain(path)
        result = await anyio.to_thread.run_sync(explanation.explain, root, path)
        if result["reason"] == "symlink" and (target := await follow_links(self._roots, path)) != path:
            command = f"codeindex explain {shlex.quote(str(target))}"
            result["hint"] = f"it leads to {target}, which a root covers: {command}"
        return result

    # notifications

    async def subscribe(self, params: Params, connection: Connection) -> Result:
        """Send ``progress``, ``generation`` and ``state`` notifications of roots on this connection."""
        roots = await self._roots.roots_indexing(paths_of(params["roots"])) if params["roots"] else None
        self._subscriptions.subscribe(connection, [root.spec.id for root in roots] if roots else None)
        return {"clock": ",".join(root.clock for root in roots or self._roots.running_roots())}

    async def unsubscribe(self, params: Params, connection: Connection) -> Result:
        """Send no more notifications on this connection."""
        self._subscriptions.unsubscribe(connection)
        return {}


def _level(name: str) -> Level:
    try:
        return Level(name)
    except ValueError:
        known = ", ".join(level.value for level in Level)
        raise UsageError(f"search: no such level: {name}", hint=f"use one of: {known}") from None
