"""One client's connection: requests in, answers out in any order; a hang-up cancels the requests that run."""

from __future__ import annotations

import itertools
import math
import select
import socket
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, TypeAlias

import anyio
import anyio.abc
import anyio.lowlevel
import structlog
from msgspec import Struct

from codeindexd import protocol
from codeindexd.daemon import encoding
from codeindexd.errors import CodeindexError, FailedError, ShuttingDownError, place_of
from codeindexd.waiting import Broadcast

log = structlog.get_logger(__name__)

Params: TypeAlias = Mapping[str, Any]
Result: TypeAlias = dict[str, Any]
Handler: TypeAlias = "Callable[[Params, Connection], Awaitable[Result]]"
"""Answers the requests of one method, whose parameters are validated and complete."""

_PIECE = 1 << 16
_LINGER_S = 1.0
_LINGER_BYTES = 64 << 20
_HANGUP_POLL_S = 0.25
_numbers = itertools.count(1)
_request: ContextVar[protocol.Request] = ContextVar("request")  # the one that this task answers


class ClientLimits(Struct, frozen=True):
    """Limits on clients.

    At most ``connections`` clients are served. Of each client, at most ``in_flight`` requests run at a time; then
    reading pauses. A client is dropped if it takes no byte of an answer or leaves a request unfinished for ``stall_s``
    seconds, or if more than ``backlog_bytes`` of notifications wait for it: skipping some would make the rest
    misleading.
    """

    connections: int = 1024
    in_flight: int = 8  # each answer can take megabytes, which stay in memory while a client does not read
    stall_s: float = 30.0
    backlog_bytes: int = 1 << 20


class Connection:
    """The connection of one client, whose process is ``pid`` (0 if unknown).

    Handlers only call :meth:`notify` and :meth:`send_part`; the rest is for the server.
    """

    def __init__(
        self, raw: socket.socket, handlers: Mapping[str, Handler], limits: ClientLimits, *, pid: int = 0
    ) -> None:
        raw.setblocking(False)
        self.number = next(_numbers)
        self.pid = pid
        self.last_used = anyio.current_time()
        self._socket = raw
        self._handlers = handlers
        self._limits = limits
        self._in_flight = 0
        self._request_ended = Broadcast()
        self._writing = anyio.Lock(fast_acquire=True)  # no checkpoint: the answer to "shutdown" must still get out
        self._notifications: deque[bytes] = deque()
        self._notification_bytes = 0
        self._pumping = False
        self._subscribed = False
        self._gone = False
        self._close_hooks: list[Callable[[], None]] = []
        self._tasks: anyio.abc.TaskGroup | None = None

    # for handlers

    def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Queue a notification; never blocks and never raises. A client that does not read is dropped."""
        if self._gone or self._tasks is None:
            return
        self._subscribed = True
        line = protocol.notification(method, params)
        self._notifications.append(line)
        self._notification_bytes += len(line)
        if self._notification_bytes > self._limits.backlog_bytes:
            self.drop("notifications_not_read")
        elif not self._pumping:
            self._pumping = True
            self._tasks.start_soon(self._pump)

    @property
    def request_id(self) -> protocol.RequestId:
        """The id of the request that the calling handler answers."""
        return _request.get().id

    async def send_part(self, line: bytes) -> None:
        """Write a part of a streamed answer: one message with its newline.

        Returns when the socket has taken it. There is no time limit: a pager may wait for its user. Does nothing for a
        notification, which has no answer.
        """
        if not _request.get().is_notification:
            await self._send(line, stall_s=math.inf)

    def on_close(self, hook: Callable[[], None]) -> None:
        """Call ``hook`` once when the connection ends, for whatever reason."""
        self._close_hooks.append(hook)

    # for the server

    @property
    def is_busy(self) -> bool:
        """True if the client waits for an answer or for notifications."""
        return self._in_flight > 0 or self._subscribed

    def drop(self, reason: str) -> None:
        """End the connection now, cancelling the requests that run. ``reason`` is a word for the log."""
        if not self._gone:
            self._gone = True
            log.info("client_dropped", client=self.number, pid=self.pid, reason=reason)
            if self._tasks is not None:
                self._tasks.cancel_scope.cancel()

    async def serve(self) -> None:
        """Answer requests until the client disconnects or is dropped. Failing requests do not end the connection."""
        try:
            async with anyio.create_task_group() as self._tasks:
                await self._read()
                await self._wait_until_at_most(0)
                self._tasks.cancel_scope.cancel()
        finally:
            self._gone = True
            for hook in self._close_hooks:
                try:
                    hook()
                except Exception:
                    log.exception("close_hook_failed", client=self.number)
            self._socket.close()

    # reading

    async def _read(self) -> None:
        """Start a task for each request, until the client has sent the last one."""
        buffer = protocol.LineBuffer()
        deadline = math.inf  # when the request that has begun to arrive must be complete
        while not self._gone:
            with anyio.CancelScope(deadline=deadline) as waiting:
                data = await self._receive()
            if waiting.cancelled_caught:
                return self.drop("request_unfinished")
            if not data:
                return None
            self.last_used = anyio.current_time()
            lines = buffer.feed(data)
            for line in lines:
                await self._start(line)
            if buffer.oversized:
                return await self._refuse_oversized()
            if not len(buffer):
                deadline = math.inf
            elif lines or deadline == math.inf:
                deadline = anyio.current_time() + self._limits.stall_s
        return None

    async def _receive(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        while True:
            try:
                return self._socket.recv(_PIECE)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
            except OSError:
                self._gone = True
                return b""

    async def _start(self, line: bytes) -> None:
        await self._wait_until_at_most(self._limits.in_flight - 1)
        try:
            request = protocol.parse_request(line)
        except protocol.ProtocolError as error:
            await self._send(protocol.failure(error.request_id, error))
            return
        self._in_flight += 1
        assert self._tasks is not None
        self._tasks.start_soon(self._answer, request)

    async def _refuse_oversized(self) -> None:
        error = protocol.ProtocolError(
            protocol.INVALID_REQUEST,
            f"the request is longer than {protocol.MAX_REQUEST_BYTES:,} bytes",
            hint="send less at a time, on a new connection",
        )
        await self._send(protocol.failure(None, error))
        await self._wait_until_at_most(0)
        # Closing with unread bytes would reset the connection before the client reads the answer: read on for a moment.
        with anyio.move_on_after(_LINGER_S):
            self._socket.shutdown(socket.SHUT_WR)
            drained = 0
            while drained < _LINGER_BYTES and (data := await self._receive()):
                drained += len(data)
        self._gone = True

    # answering

    async def _answer(self, request: protocol.Request) -> None:
        try:
            line = await self._result(request)
            if not request.is_notification:
                await self._send(line)
        except anyio.get_cancelled_exc_class():
            if not self._gone and not request.is_notification:
                stopping = ShuttingDownError("the daemon is stopping", hint="try again; it is started when needed")
                self._send_what_fits(protocol.failure(request.id, stopping))
            raise
        finally:
            self._in_flight -= 1
            self._request_ended.notify_all()

    async def _result(self, request: protocol.Request) -> bytes:
        """Return the answer to a request, or the error as one: a message with its newline."""
        _request.set(request)
        handler = self._handlers.get(request.method)
        try:
            if handler is None:
                raise protocol.ProtocolError(protocol.UNKNOWN_METHOD, f"{request.method} is not served here")
            return encoding.result(request.id, await handler(request.params, self))
        except CodeindexError as error:
            log.debug("request_refused", method=request.method, error=error.name)  # its message may quote the query
            return protocol.failure(request.id, error)
        except Exception as error:  # noqa: BLE001 - it is answered, and logged without its message
            log.error("request_failed", method=request.method, error=place_of(error))  # noqa: TRY400 - a trace may quote it
            reason = f"internal error: {type(error).__name__}: {error}"
            return protocol.failure(request.id, FailedError(reason, hint="for details: codeindex logs"))

    async def _pump(self) -> None:
        try:
            while self._notifications and not self._gone:
                await self._send(b"")
        finally:
            self._pumping = False

    async def _send(self, data: bytes, *, stall_s: float | None = None) -> None:
        """Write all of ``data``, after all queued notifications."""
        async with self._writing:
            while self._notifications:
                line = self._notifications.popleft()
                await self._write(line, self._limits.stall_s)
                self._notification_bytes -= len(line)
            await self._write(data, self._limits.stall_s if stall_s is None else stall_s)

    async def _write(self, data: bytes, stall_s: float) -> None:
        """Write all of ``data``. Drops the client if it takes nothing for ``stall_s`` seconds."""
        view = memoryview(data)
        while view and not self._gone:
            try:
                view = view[self._socket.send(view[:_PIECE]) :]
            except BlockingIOError:
                with anyio.move_on_after(stall_s) as waiting:
                    await anyio.wait_writable(self._socket)
                if waiting.cancelled_caught:
                    self.drop("answer_not_read")
            except OSError:
                self.drop("connection_closed")

    def _send_what_fits(self, data: bytes) -> None:
        """Write a last line during shutdown, or as much of it as the socket takes at once."""
        if not self._writing.locked():
            try:
                self._socket.send(data)
            except OSError:
                self._gone = True

    # waiting

    async def _wait_until_at_most(self, limit: int) -> None:
        """Wait until at most ``limit`` requests are running, or the client has hung up.

        Nothing is read meanwhile, so a hang-up has to be polled for: no event distinguishes it from a half-closed
        connection (``printf ... | nc -U``).
        """
        while self._in_flight > limit and not self._gone:
            if self._has_hung_up():
                self.drop("hung_up")
                return
            with anyio.move_on_after(_HANGUP_POLL_S):
                await self._request_ended.wait()

    def _has_hung_up(self) -> bool:
        if sys.platform == "darwin":  # its poll() reports a hang-up for half-closed sockets, too
            try:
                self._socket.getpeername()
            except OSError:
                return True
            return False
        poller = select.poll()
        poller.register(self._socket, 0)
        return any(events & (select.POLLHUP | select.POLLERR) for _, events in poller.poll(0))
