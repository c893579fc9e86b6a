"""The client for asyncio and trio: one connection, any number of requests at a time, answered as they are ready."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.abc
import anyio.to_thread

from codeindexd import protocol
from codeindexd.client import core
from codeindexd.client.core import PathLike
from codeindexd.client.sync import Client
from codeindexd.errors import CodeindexError, FailedError, NoDaemonError, TimedOutError, leaf_errors

if TYPE_CHECKING:
    from typing import Self

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from codeindexd.client import results


_LINES_WAITING = 16


class _Waiting:
    """Somebody who waits for an answer."""

    def __init__(self) -> None:
        self.ready = anyio.Event()
        self.message: Any = None
        self.error: CodeindexError | None = None


class AsyncClient:
    """A connection to the daemon of this user, from ``async with`` until its end. Parameters are those of ``Client``.

    A cancelled call forgets its answer; the connection goes on. All methods raise the errors of
    ``codeindexd.errors``.
    """

    def __init__(
        self,
        socket_path: PathLike | None = None,
        *,
        start: bool = True,
        timeout_s: float | None = None,
        environ: Mapping[str, str] | None = None,
        note: Callable[[str], None] | None = None,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self.socket_path = os.fsdecode(socket_path) if socket_path else protocol.socket_path(self._environ)
        self._start = start
        self._timeout_s = timeout_s
        self._note = note
        self._stream: anyio.abc.ByteStream
        self._tasks: anyio.abc.TaskGroup
        self._outgoing: MemoryObjectSendStream[bytes]
        self._lines: MemoryObjectReceiveStream[bytes]
        self._waiting: dict[int, _Waiting] = {}
        self._notifications: deque[results.Notification] = deque(maxlen=core.KEPT_NOTIFICATIONS)
        self._noted = anyio.Event()
        self._progress: list[Callable[[results.Progress], None]] = []
        self._ended: CodeindexError | None = None
        self._last_id = 0

    async def __aenter__(self) -> Self:
        if self._start:
            await anyio.to_thread.run_sync(self._make_sure_of_a_daemon)
        try:
            self._stream = await anyio.connect_unix(self.socket_path)
        except OSError as error:
            raise core.no_daemon(self.socket_path, error.strerror or str(error)) from error
        try:
            raw = self._stream.extra(anyio.abc.SocketAttribute.raw_socket)  # noqa: S610 - anyio's, not a query's
            protocol.trust(raw, self.socket_path)
        except BaseException:
            await anyio.aclose_forcefully(self._stream)
            raise
        self._ended = None
        self._outgoing, self._lines = anyio.create_memory_object_stream[bytes](_LINES_WAITING)
        self._tasks = await anyio.create_task_group().__aenter__()
        self._tasks.start_soon(self._read)
        self._tasks.start_soon(self._write)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._tasks.cancel_scope.cancel()
        try:
            return await self._tasks.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            if error is not None and _holds_only(group, error):
                return None  # what the body raised goes on as it is, without the group that the tasks put around it
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await self._stream.aclose()
            self._end(NoDaemonError("the client is closed", hint="Ask inside of its `async with`."))
            self._outgoing.close()

    def _make_sure_of_a_daemon(self) -> None:
        with Client(self.socket_path, environ=self._environ, timeout_s=self._timeout_s, note=self._note) as client:
            client.info()

    # roots

    async def add(
        self,
        path: PathLike,
        *,
        wait: bool = True,
        force: bool = False,
        workers: int | None = None,
        on_progress: Callable[[results.Progress], None] | None = None,
    ) -> results.RootsResult:
        """Index ``path`` and keep it fresh. Waits until it is unless ``wait`` is False; ``on_progress`` hears how far
        it is, several times a second. ``workers``: processes to use, 0 = one file after the other."""
        params = {"path": core.absolute(path), "force": force, "workers": workers}
        if not wait or on_progress is None:
            return cast("results.RootsResult", await self.call("roots.add", {**params, "wait": wait}))
        begun = await self.call("roots.add", params)
        await self.subscribe([root["path"] for root in begun["roots"]])
        failures: list[Exception] = []
        added: Any = None
        with anyio.CancelScope() as adding:

            def hear(progress: results.Progress) -> None:
                try:
                    if not failures:
                        on_progress(progress)
                except Exception as error:  # noqa: BLE001 - the caller's own: raised in their task, not in the reader's
                    failures.append(error)
                    adding.cancel()

            self._progress.append(hear)
            try:
                added = await self.call("roots.add", {**params, "wait": True})
            finally:
                self._progress.remove(hear)
                if self._ended is None:
                    with anyio.move_on_after(1, shield=True):
                        await self.unsubscribe()
        if failures:
            raise failures[0]
        return cast("results.RootsResult", added)

    async def remove(self, path: PathLike) -> results.RemoveResult:
        """Forget a root and delete its index."""
        return cast("results.RemoveResult", await self.call("roots.remove", {"path": core.absolute(path)}))

    async def roots(self) -> results.RootsResult:
        """All roots."""
        return cast("results.RootsResult", await self.call("roots.list", {}))

    async def reindex(self, path: PathLike) -> results.RootsResult:
        """Process every file of a root again; vectors are reused."""
        return cast("results.RootsResult", await self.call("reindex", {"path": core.absolute(path)}))

    async def pause(self, path: PathLike) -> results.RootsResult:
        """Stop indexing a root."""
        return cast("results.RootsResult", await self.call("pause", {"path": core.absolute(path)}))

    async def resume(self, path: PathLike) -> results.RootsResult:
        """Go on indexing a root."""
        return cast("results.RootsResult", await self.call("resume", {"path": core.absolute(path)}))

    # questions

    async def search(
        self,
        query: str,
        *,
        roots: Iterable[PathLike] | None = None,
        limit: int | None = None,
        language: str | None = None,
        path: str | None = None,
        kind: str | None = None,
        sync: bool = False,
        explain: bool = False,
    ) -> results.SearchResult:
        """The chunks that answer ``query`` best, from the roots around ``roots`` (None: all).

        ``path`` is a glob. With ``sync`` every change made before the call is in the answer.
        """
        params = {
            "query": query,
            "roots": core.absolute_all(roots),
            "limit": limit,
            "language": language,
            "path": path,
            "kind": kind,
            "sync": sync,
            "explain": explain,
        }
        return cast("results.SearchResult", await self.call("search", params))

    async def related(
        self, root: PathLike, path: PathLike, line: int, *, limit: int | None = None
    ) -> results.SearchResult:
        """Code like that at ``line`` of ``path``, which is relative to ``root``."""
        params = {"root": core.absolute(root), "path": core.relative_name(path), "line": line, "limit": limit}
        return cast("results.SearchResult", await self.call("related", params))

    async def related_to(self, path: PathLike, line: int, *, limit: int | None = None) -> results.SearchResult:
        """The same for a path of its own: the root around it is looked up. Raises NotIndexedError."""
        root, name = core.split_at_root(path, [root["path"] for root in (await self.roots())["roots"]])
        return await self.related(root, name, line, limit=limit)

    async def symbol(
        self, name: str, *, roots: Iterable[PathLike] | None = None, references: bool = False
    ) -> results.SymbolResult:
        """Where ``name`` is defined, with ``references`` also where it is used."""
        params = {"name": name, "roots": core.absolute_all(roots), "references": references}
        return cast("results.SymbolResult", await self.call("symbol", params))

    # freshness and health

    async def sync(
        self, path: PathLike | None = None, *, clock: str | None = None, timeout_s: float | None = None
    ) -> results.SyncResult:
        """Return once every change made before the call (or all up to ``clock``) can be searched.

        Raises TimedOutError after ``timeout_s``.
        """
        params = {"path": core.absolute_or_none(path), "clock": clock, "timeout_s": timeout_s}
        return cast("results.SyncResult", await self.call("sync", params))

    async def status(self, path: PathLike | None = None) -> results.StatusResult:
        """Health of one or all roots and of the daemon."""
        return cast("results.StatusResult", await self.call("status", {"path": core.absolute_or_none(path)}))

    async def verify(self, path: PathLike | None = None, *, repair: bool = False) -> results.VerifyResult:
        """Hold the index of one or all roots against the disk."""
        params = {"path": core.absolute_or_none(path), "repair": repair}
        return cast("results.VerifyResult", await self.call("verify", params))

    async def explain(self, path: PathLike) -> results.ExplainResult:
        """Why ``path`` is or is not indexed."""
        return cast("results.ExplainResult", await self.call("explain", {"path": core.absolute(path)}))

    # the daemon

    async def info(self) -> results.ServerInfo:
        """Which daemon answers."""
        return cast("results.ServerInfo", await self.call("server.info", {}))

    async def metrics(self) -> results.MetricsResult:
        """Figures as OpenMetrics text."""
        return cast("results.MetricsResult", await self.call("metrics", {}))

    async def shutdown(self) -> None:
        """Have the daemon stop."""
        await self.call("shutdown", {})

    # notifications

    async def subscribe(self, roots: Iterable[PathLike] | None = None) -> str:
        """Be told of progress, generations and states of ``roots`` (None: all), see ``notifications``.

        Returns the clock at which this begins.
        """
        return str((await self.call("subscribe", {"roots": core.absolute_all(roots)})).get("clock", ""))

    async def unsubscribe(self) -> None:
        """Be told no more."""
        await self.call("unsubscribe", {})

    async def notifications(self) -> AsyncIterator[results.Notification]:
        """What the subscription brings, as it comes; of those that wait, the latest 1,000 are kept.

        Raises NoDaemonError when the connection ends.
        """
        while True:
            while self._notifications:
                yield self._notifications.popleft()
            if self._ended is not None:
                raise self._ended
            await self._noted.wait()

    # the wire

    async def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Send a request and return its result."""
        if self._ended is not None:
            raise self._ended
        self._last_id += 1
        request_id, waiting = self._last_id, _Waiting()
        line = protocol.request(request_id, method, params)
        if len(line) > protocol.MAX_REQUEST_BYTES:
            raise FailedError(f"the request is longer than {protocol.MAX_REQUEST_BYTES} bytes", hint="Ask for less.")
        self._waiting[request_id] = waiting
        try:
            with anyio.fail_after(self._timeout_s):
                await self._outgoing.send(line)
                await waiting.ready.wait()
        except TimeoutError as error:
            raise TimedOutError("the daemon does not answer", hint="It may be stuck: see its log.") from error
        except anyio.BrokenResourceError:
            pass  # the connection ended while others were being sent: `_end` has said why
        finally:
            del self._waiting[request_id]
        if waiting.error is not None:
            raise waiting.error
        return core.answered(waiting.message)

    async def _write(self) -> None:
        """A task of its own: half a request would spoil all later ones, so a cancelled caller must not stop it."""
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # the reader tells why
            async for line in self._lines:
                await self._stream.send(line)

    async def _read(self) -> None:
        buffer = protocol.LineBuffer(limit=None)
        try:
            while True:
                for line in buffer.feed(await self._stream.receive(1 << 18)):
                    self._take(protocol.decode(line))
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._end(core.closed())
        except CodeindexError as error:
            self._end(error)

    def _take(self, message: Any) -> None:
        if not isinstance(message, dict):
            raise FailedError("the daemon sent something that is no answer", hint="Is another program on this socket?")
        if "method" in message:
            self._heard({"method": str(message["method"]), "params": message.get("params") or {}})
        elif message.get("id") is None:
            self._end(protocol.error_from_json(message.get("error")))  # it speaks of the connection, not of a request
        elif (waiting := self._waiting.get(message["id"])) is not None:
            waiting.message = message
            waiting.ready.set()

    def _heard(self, note: results.Notification) -> None:
        if note["method"] == "progress":
            for hear in self._progress:
                hear(cast("results.Progress", note["params"]))
        self._notifications.append(note)
        self._noted.set()
        self._noted = anyio.Event()

    def _end(self, error: CodeindexError) -> None:
        self._ended = self._ended or error
        for waiting in self._waiting.values():
            waiting.error = self._ended
            waiting.ready.set()
        self._lines.close()  # wakes those whose requests wait for room to be sent
        self._noted.set()


def _holds_only(group: BaseException, error: BaseException) -> bool:
    """Whether ``group`` is what ``error`` is, which is no cancellation, and nothing else but cancellations."""
    cancelled = anyio.get_cancelled_exc_class()
    own = list(leaf_errors(error))
    rest = [leaf for leaf in leaf_errors(group) if all(leaf is not one for one in own)]
    return not any(isinstance(leaf, cancelled) for leaf in own) and all(isinstance(leaf, cancelled) for leaf in rest)
