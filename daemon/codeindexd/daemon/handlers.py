"""The methods of the protocol: an explicit table from method to handler."""

from __future__ import annotations

import math
import os
import shlex
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from msgspec.structs import replace

from codeindexd import __version__
from codeindexd.daemon import (
    encoding,
    explanation,
    graph_responses,
    grep_responses,
    metrics,
    not_searched,
    root_responses,
    search_responses,
)
from codeindexd.daemon.history_handlers import HistoryHandlers
from codeindexd.daemon.history_questions import HistoryQuestions
from codeindexd.daemon.request_paths import path_below, path_of, paths_of
from codeindexd.daemon.server import Connection, Handler
from codeindexd.daemon.status_entries import StatusEntries
from codeindexd.daemon.subscriptions import Subscriptions, VerifyProgress
from codeindexd.errors import FailedError, InvalidQueryError, NotIndexedError, TimedOutError, UsageError
from codeindexd.protocol.methods import MAX_LINES
from codeindexd.roots import Root, SyncMethod, SyncResult
from codeindexd.roots.supervisor import FailedRoot, RootSupervisor
from codeindexd.roots.verify import verify
from codeindexd.roots.verify.audit import ignore_progress
from codeindexd.scan.git_changes import Changes, changed_files
from codeindexd.search.graph.queries import Asked, GraphSearcher, Place
from codeindexd.search.grep import GrepRequest
from codeindexd.search.grep_stream import Found, GrepStream
from codeindexd.search.history.log import CommitSearcher
from codeindexd.search.levels import Level
from codeindexd.search.line_matcher import LineMatcher
from codeindexd.search.pinning import worst_state
from codeindexd.search.query import filters_of, language_filter, parse, split_globs
from codeindexd.search.searcher import Searcher
from codeindexd.storage.catalog import SCHEMA_VERSION
from codeindexd.types import RootState
from codeindexd.waiting import run_all

Params = Mapping[str, Any]
Result = dict[str, Any]
_GREP_LIMIT = 1000  # lines, and
_GREP_BUDGET_S = 10.0  # seconds, of an answer that is not streamed
_HISTORY_BEGINS_S = 2.0
_SYNC_TIMEOUT_S = 60.0
_SEARCH_SYNC_TIMEOUT_S = 30.0
_RAISE_PRIORITY_AFTER_S = 0.5


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
        self._graph = graph
        self._history_questions = history_questions
        self._history = HistoryHandlers(
            roots, commits, sync_all=partial(self._sync_all, timeout_s=_SEARCH_SYNC_TIMEOUT_S)
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
            "grep": self.grep,
            "related": self.related,
            "symbol": self.symbol,
            "refs": self.refs,
            "callers": self.callers,
            "callees": self.callees,
            "impact": self.impact,
            "outline": self.outline,
            "map": self.map,
            **self._history_questions.table(),
            **self._history.table(),
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
            if root.state is RootState.DEGRADED and root.is_caught_up:
                return root
            await self._subscriptions.wait(root.spec.id)

    async def remove(self, params: Params, connection: Connection) -> Result:
        """Remove a root and delete its index."""
        path = path_of(params["path"])
        spec = self._roots.spec_containing(path)
        if spec.path not in (path, _real(path)):
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
        root.pause()
        return {"roots": [root_responses.roots_entry(root)]}

    async def resume(self, params: Params, connection: Connection) -> Result:
        """Continue to index a root."""
        root = await self._roots.root_indexing(path_of(params["path"]))
        root.resume()
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
            await self._sync_all(_to_sync(params["roots"], roots), _SEARCH_SYNC_TIMEOUT_S)
        chosen = {root.spec.id for root in roots}
        others = [root for root in self._roots.running_roots() if root.spec.id not in chosen]
        limit = params["limit"] or self._default_limit
        found = await self._searcher.search(roots, parsed, limit, level=_level(params["level"]), others=others)
        unavailable = self._unavailable(params, roots)
        result = search_responses.answer(params["query"], found, explain=params["explain"], unavailable=unavailable)
        if params["last_commit"]:
            await self._history.add_last_commits(roots, result)
        return result

    async def grep(self, params: Params, connection: Connection) -> Result:
        """Return the lines that match a pattern, read from the disk; with ``stream``, send them as they are found."""
        if not params["stream"] and (params["limit"] or 0) > MAX_LINES:
            raise UsageError(
                f"grep: limit must be 1 to {MAX_LINES}", hint="with stream, an answer may have any number of lines"
            )
        if params["fixed"] and "\n" in params["pattern"]:
            raise InvalidQueryError(
                "the text has a line end, but lines are searched one by one", hint="look for one line, without its end"
            )
        matcher = LineMatcher(
            params["pattern"], fixed=params["fixed"], ignore_case=params["ignore_case"], word=params["word"]
        )
        include, exclude = split_globs(params["path"] or [])
        language, languages_left_out = language_filter(params["language"] or "")
        request = GrepRequest(
            matcher,
            include=include,
            exclude=exclude,
            language=language or None,
            languages_left_out=languages_left_out,
            before=params["before"] or params["context"],
            after=params["after"] or params["context"],
            max_count=params["max_count"],
            limit=0 if grep_responses.is_counted(params) else params["limit"] or _GREP_LIMIT,
            names_only=params["files_only"],
            every_match=params["every_match"],
            budget_s=params["budget_s"] or _GREP_BUDGET_S,
        )
        paths = [await self._followed(path) for path in paths_of(params["roots"]) or []]
        roots = await self._roots.roots_indexing(paths)
        places = [(await self._roots.root_indexing(path), path) for path in paths]
        await anyio.to_thread.run_sync(not_searched.check_existence, places)
        if params["sync"]:
            await self._sync_all(_to_sync(params["roots"], roots), _SEARCH_SYNC_TIMEOUT_S)
        below = _paths_by_root(places)
        requests = [(root, replace(request, below=below.get(root.spec.id, []))) for root in roots]
        # before the search, which may take long enough for a root to be removed
        unsearched = await anyio.to_thread.run_sync(not_searched.places_not_searched, places)
        if params["stream"]:
            stream = await self._stream(params, requests, connection)
            unavailable = self._unavailable(params, roots)
            return grep_responses.grep_end(params, stream, unavailable=unavailable, unsearched=unsearched)
        found = await self._searcher.grep(requests)
        limit, unavailable = params["limit"] or _GREP_LIMIT, self._unavailable(params, roots)
        return grep_responses.grep_answer(params, found, limit=limit, unavailable=unavailable, unsearched=unsearched)

    async def _followed(self, path: Path) -> Path:
        """Return the place that a link at or above ``path`` leads to if a root indexes that, else ``path``.

        Links are not indexed, but who names one means what it leads to.
        """
        target = await anyio.to_thread.run_sync(_real, path)
        if target != path and await self._is_in_root(target):
            return target
        return path

    async def _is_in_root(self, path: Path) -> bool:
        """Return True if a root indexes the directory ``path``, or the directory of the file ``path``."""
        try:
            await self._roots.spec_indexing(path)
        except NotIndexedError:
            return False
        return True

    def _unavailable(self, params: Params, roots: Sequence[Root]) -> list[str]:
        """Return why nothing is found in roots: in those of ``roots`` that are missing, and in those that failed.

        Roots that failed count only if the question names none.
        """
        failed = [] if params["roots"] else self._roots.all_roots()[1]
        missing = [problem.message for root in roots if (problem := root.missing_problem)]
        return missing + [one.error.message for one in failed]

    async def _stream(
        self, params: Params, requests: Sequence[tuple[Root, GrepRequest]], connection: Connection
    ) -> GrepStream:
        """Send what ``grep`` finds in parts, and return the search once all of it is sent."""
        counted, request_id = grep_responses.is_counted(params), connection.request_id

        def encode(found: Sequence[Found]) -> bytes:
            part = {"request": request_id, **grep_responses.grep_entries(found, counted=counted)}
            return encoding.notification("grep", part)

        stream = self._searcher.grep_stream(
            requests, counted=counted, limit=params["limit"], budget_s=params["budget_s"] or math.inf
        )
        await stream.run(encode, connection.send_part)
        return stream

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

    # the code graph

    async def refs(self, params: Params, connection: Connection) -> Result:
        """Return the references to a definition."""
        roots, asked = await self._asked(params)
        found = await self._graph.refs(roots, asked, params["limit"], possible=params["possible"])
        return graph_responses.refs(_text_of(params), found)

    async def callers(self, params: Params, connection: Connection) -> Result:
        """Return the callers of a definition as a tree."""
        roots, asked = await self._asked(params)
        found = await self._graph.callers(roots, asked, params["depth"], params["limit"])
        return graph_responses.callers(_text_of(params), found)

    async def callees(self, params: Params, connection: Connection) -> Result:
        """Return what a definition calls as a tree."""
        roots, asked = await self._asked(params)
        found = await self._graph.callees(roots, asked, params["depth"], params["limit"])
        return graph_responses.callees(_text_of(params), found)

    async def impact(self, params: Params, connection: Connection) -> Result:
        """Return what a change of a definition, a file or a directory reaches, or with ``changed`` all changes."""
        notes: list[str] = []
        asked: list[Asked]
        roots: Sequence[Root]
        if params["changed"]:
            root = await self._roots.root_indexing(path_of(params["path"] or _first(params["roots"])))
            changes = await anyio.to_thread.run_sync(_changes, root)
            roots, asked = [root], [Place(root, path) for path in changes.paths]
            notes = changes.notes
        else:
            roots, one = await self._asked(params)
            asked = [one]
        found = await self._graph.impact(roots, asked, params["depth"], params["limit"])
        found.notes += notes
        return graph_responses.impact("changed" if params["changed"] else _text_of(params), found)

    async def outline(self, params: Params, connection: Connection) -> Result:
        """Return the definitions of a file as a tree."""
        return graph_responses.outline(await self._graph.outline(await self._place(params["path"])))

    async def map(self, params: Params, connection: Connection) -> Result:
        """Return the most central definitions below a path."""
        place = await self._place(params["path"])
        return graph_responses.code_map(await self._graph.map(place, params["tokens"]), place.path)

    async def _asked(self, params: Params) -> tuple[Sequence[Root], Asked]:
        """Return the roots to search, and the definition or place that a question about the graph names."""
        if params["path"]:
            place = await self._place(params["path"], params["line"])
            return await self._roots.roots_indexing([path_of(params["path"])]), place
        if not (params["name"] or "").strip():
            raise UsageError("name and path are missing", hint="give the name of a definition, or a path and a line")
        return await self._roots.roots_indexing(paths_of(params["roots"])), params["name"]

    async def _place(self, path: Any, line: int | None = None) -> Place:
        root = await self._roots.root_indexing(path_of(path))
        return Place(root, path_below(root, path_of(path)), line)

    # freshness

    async def sync(self, params: Params, connection: Connection) -> Result:
        """Wait until every change made before the call, or the generations of ``clock``, can be searched."""
        timeout_s = _SYNC_TIMEOUT_S if params["timeout_s"] is None else params["timeout_s"]
        if params["clock"]:
            return await self._sync_to(params["clock"], timeout_s)
        roots, failed = await self._selected_roots(params)
        if failed:
            raise failed[0].error
        began = time.monotonic()
        with self._following(params, connection, roots):
            synced = await self._sync_all(_to_sync(params["path"], roots), timeout_s)
        return {
            "clock": ",".join(root.clock for root in roots),
            "took_ms": round((time.monotonic() - began) * 1000, 2),
            "how": "walk" if any(result.how is SyncMethod.WALK for result in synced) else "cookie",
        }

    async def _sync_all(self, roots: Sequence[Root], timeout_s: float) -> list[SyncResult]:
        """Sync all roots concurrently, and return the results in the same order.

        If that takes long, the workers get normal priority. Not from the start, because that replaces worker processes,
        and nearly every sync needs no worker.
        """
        done = anyio.Event()

        async def sync() -> list[SyncResult]:
            try:
                return await run_all(partial(root.sync, timeout_s) for root in roots)
            finally:
                done.set()

        async def raise_priority() -> list[SyncResult]:
            with anyio.move_on_after(_RAISE_PRIORITY_AFTER_S):
                await done.wait()
            if not done.is_set():
                with self._at_normal_priority():
                    await done.wait()
            return []

        synced, _ = await run_all([sync, raise_priority])
        return synced

    async def _sync_to(self, clock: str, timeout_s: float) -> Result:
        """Wait until each root in ``clock`` has reached its generation. Raises FailedError and TimedOutError."""
        began = time.monotonic()
        wanted = _parse_clock(clock)
        roots = {root.spec.id: root for root in self._roots.running_roots()}
        if missing := wanted.keys() - roots.keys():
            raise FailedError(
                f"the clock names a root that was removed or is not running: {min(missing)}",
                hint="get a new clock: codeindex sync",
            )
        with anyio.move_on_after(timeout_s) as scope:
            for identity, generation in wanted.items():
                while roots[identity].generation < generation:
                    await self._subscriptions.wait(identity)
        if scope.cancelled_caught:
            raise TimedOutError(f"the clock {clock} was not reached in {timeout_s:g} s", hint="use a longer timeout")
        reached = ",".join(roots[identity].clock for identity in wanted)
        return {"clock": reached, "took_ms": round((time.monotonic() - began) * 1000, 2), "how": "cookie"}

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
        if result["reason"] == "symlink" and (target := await self._followed(path)) != path:
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


def _to_sync(named: object, roots: Sequence[Root]) -> Sequence[Root]:
    """Return which of ``roots`` a request waits for: if it has not ``named`` any, only those that can be synced.

    One that is missing or paused must not fail a request about all roots; the answer says that it is.
    """
    return roots if named else [root for root in roots if root.obstacle_to_sync is None]


def _level(name: str) -> Level:
    try:
        return Level(name)
    except ValueError:
        known = ", ".join(level.value for level in Level)
        raise UsageError(f"search: no such level: {name}", hint=f"use one of: {known}") from None


def _real(path: Path) -> Path:
    """Resolve symlinks; a path with a symlink loop is returned unresolved (``Path.resolve`` would raise)."""
    return Path(os.path.realpath(path))


def _changes(root: Root) -> Changes:
    """Return the indexed files of a root that differ from git's index. Blocking. Raises UsageError without one."""
    with root.catalog_snapshot() as snapshot:
        entries = [file.entry for file in snapshot.indexed_files()]
    found = changed_files(root.spec.raw, entries)
    if found is None:
        raise UsageError(
            f"{root.spec.path} is in no git repository with an index",
            hint="name the files instead: codeindex impact PATH",
        )
    return found


def _text_of(params: Params) -> str:
    """Return the definition or the place that a question about the graph names, as text."""
    if not params["path"]:
        return str(params["name"])
    return f"{params['path']}:{params['line']}" if params["line"] else str(params["path"])


def _first(roots: Sequence[Any] | None) -> Any:
    if not roots:
        raise UsageError("impact: changed needs a root", hint="give its path, or roots with one path")
    return roots[0]


def _paths_by_root(places: Sequence[tuple[Root, Path]]) -> dict[str, list[bytes]]:
    """Return paths relative to their roots, by root id; an empty list means the whole root."""
    found: dict[str, list[bytes]] = {}
    for root, path in places:
        found.setdefault(root.spec.id, []).append(path_below(root, path))
    return {identity: [] if b"" in below else below for identity, below in found.items()}


def _parse_clock(clock: str) -> dict[str, int]:
    """Return the generations in a clock by root id. Raises UsageError."""
    try:
        return {identity: int(number) for identity, _, number in (part.partition(":") for part in clock.split(","))}
    except ValueError:
        raise UsageError(
            f"invalid clock: {clock!r}", hint="pass a clock from an answer, or get a new one: codeindex sync"
        ) from None
