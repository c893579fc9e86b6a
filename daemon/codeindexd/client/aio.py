"""The client for asyncio and trio: one connection, any number of concurrent requests, answered in any order."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.abc
import anyio.to_thread

from codeindexd import protocol
from codeindexd.client import core
from codeindexd.client.async_grep_stream import AsyncGrepStream
from codeindexd.client.async_methods import AsyncMethods
from codeindexd.client.core import PathLike
from codeindexd.client.sync import Client
from codeindexd.errors import CodeindexError, NoDaemonError, leaf_errors

if TYPE_CHECKING:
    from typing import Self

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from codeindexd.client import results


_MAX_QUEUED_LINES = 16
_WHERE_IT_IS_OPEN = "make requests inside its `async with`"


class _PendingCall:
    """A request without an answer yet; once ``done``, it has a ``message`` or an ``error``."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.message: Any = None
        self.error: CodeindexError | None = None


class AsyncClient(AsyncMethods):
    """A connection to the daemon of this user, open inside ``async with``. It takes the same parameters as ``Client``.

    If a call is cancelled, its answer is dropped and the connection stays open. All methods raise the errors of
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
        self._given_path = socket_path
        self._start = start
        self._timeout_s = timeout_s
        self._note = note
        self._stream: anyio.abc.ByteStream
        self._tasks: anyio.abc.TaskGroup
        self._outgoing: MemoryObjectSendStream[bytes]
        self._lines: MemoryObjectReceiveStream[bytes]
        self._pending: dict[int, _PendingCall] = {}
        self._notifications: deque[results.Notification] = deque(maxlen=core.MAX_KEPT_NOTIFICATIONS)
        self._notified = anyio.Event()
        self._progress_listeners: list[Callable[[results.Progress], None]] = []
        self._end_error: CodeindexError | None = NoDaemonError("the client is not open", hint=_WHERE_IT_IS_OPEN)
        self._last_id = 0

    async def __aenter__(self) -> Self:
        if self._start or not self._given_path:
            await anyio.to_thread.run_sync(self._find_daemon)
        self._stream = await self._connect()
        self._end_error = None
        self._outgoing, self._lines = anyio.create_memory_object_stream[bytes](_MAX_QUEUED_LINES)
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
            if error is not None and _adds_only_cancellations(group, error):
                return None  # the error of the body is raised as it is, without the group that the tasks put around it
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await self._stream.aclose()
            self._end(NoDaemonError("the client is closed", hint=_WHERE_IT_IS_OPEN))
            self._outgoing.close()

    async def _connect(self) -> anyio.abc.ByteStream:
        try:
            stream = await anyio.connect_unix(self.socket_path)
        except OSError as error:
            raise core.no_daemon(self.socket_path, error.strerror or str(error)) from error
        try:
            raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)  # noqa: S610 - anyio's, not a query's
            protocol.check_peer(raw, self.socket_path)
        except BaseException:
            await anyio.aclose_forcefully(stream)
            raise
        return stream

    def _find_daemon(self) -> None:
        """Set ``socket_path`` to the daemon's socket, after starting a daemon if none answers and that is allowed."""
        with Client(
            self._given_path, start=self._start, environ=self._environ, timeout_s=self._timeout_s, note=self._note
        ) as client:
            client.info()
            self.socket_path = client.socket_path

    async def notifications(self) -> AsyncIterator[results.Notification]:
        """Yield notifications as they arrive. Of unread notifications, the latest 1,000 are kept.

        Raises NoDaemonError when the connection ends.
        """
        while True:
            while self._notifications:
                yield self._notifications.popleft()
            if self._end_error is not None:
                raise self._end_error
            await self._notified.wait()

    # transport

    async def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Send a request and return its result."""
        if self._end_error is not None:
            raise self._end_error
        self._last_id += 1
        request_id, pending = self._last_id, _PendingCall()
        line = core.request_line(request_id, method, params)
        self._pending[request_id] = pending
        try:
            with anyio.fail_after(self._timeout_s):
                await self._outgoing.send(line)
                await pending.done.wait()
        except TimeoutError as error:
            raise core.no_answer() from error
        except anyio.BrokenResourceError:
            pass  # the connection ended while the request was being sent: `_end` has recorded why
        finally:
            del self._pending[request_id]
        if pending.error is not None:
            raise pending.error
        return core.result_of(pending.message)

    async def _call_with_progress(
        self, method: str, params: Mapping[str, Any], on_progress: Callable[[results.Progress], None]
    ) -> Any:
        """Return the result of a call, passing its progress to ``on_progress``, whose errors end the call."""
        failures: list[Exception] = []
        result: Any = None
        with anyio.CancelScope() as calling:

            def listen(progress: results.Progress) -> None:
                try:
                    if not failures:
                        on_progress(progress)
                except Exception as error:  # noqa: BLE001 - from the caller's function: raised in the caller's task, not in the reader's
                    failures.append(error)
                    calling.cancel()

            self._progress_listeners.append(listen)
            try:
                result = await self.call(method, params)
            finally:
                self._progress_listeners.remove(listen)
                if self._end_error is None:
                    with anyio.move_on_after(1, shield=True):
                        await self.unsubscribe()
        if failures:
            raise failures[0]
        return result

    def _grep_stream(self, params: Mapping[str, Any]) -> AsyncGrepStream:
        return AsyncGrepStream(self._connect, params, self._timeout_s)

    async def _write(self) -> None:
        """Send queued requests, in a task of its own: a cancelled caller must not leave half a request on the wire."""
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # the reader records the reason
            async for line in self._lines:
                await self._stream.send(line)

    async def _read(self) -> None:
        buffer = protocol.LineBuffer(limit=None)
        try:
            while True:
                for line in buffer.feed(await self._stream.receive(1 << 18)):
                    self._dispatch(protocol.decode(line))
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._end(core.connection_closed())
        except CodeindexError as error:
            self._end(error)

    def _dispatch(self, message: Any) -> None:
        if not isinstance(message, dict):
            raise core.not_an_answer()
        if "method" in message:
            self._notify({"method": str(message["method"]), "params": message.get("params") or {}})
        elif message.get("id") is None:
            self._end(protocol.error_from_json(message.get("error")))  # an error of the connection, not of a request
        elif (pending := self._pending.get(message["id"])) is not None:
            pending.message = message
            pending.done.set()

    def _notify(self, notification: results.Notification) -> None:
        if notification["method"] == "progress":
            for listen in self._progress_listeners:
                listen(cast("results.Progress", notification["params"]))
        self._notifications.append(notification)
        self._notified.set()
        self._notified = anyio.Event()

    def _end(self, error: CodeindexError) -> None:
        """Fail all pending and later calls with ``error``, unless the connection ended already."""
        self._end_error = self._end_error or error
        for pending in self._pending.values():
            pending.error = self._end_error
            pending.done.set()
        self._lines.close()  # wakes callers whose requests are queued
        self._notified.set()


def _adds_only_cancellations(group: BaseException, error: BaseException) -> bool:
    """Return True if ``group`` consists of ``error``, which is not a cancellation, and cancellations."""
    cancelled = anyio.get_cancelled_exc_class()
    own = list(leaf_errors(error))
    rest = [leaf for leaf in leaf_errors(group) if all(leaf is not known for known in own)]
    return not any(isinstance(leaf, cancelled) for leaf in own) and all(isinstance(leaf, cancelled) for leaf in rest)
