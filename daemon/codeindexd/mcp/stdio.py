"""The transport for a host that starts the server: one JSON-RPC message a line on standard input and output.

Requests are answered in any order, so that a slow request delays neither a ping nor its own cancellation.
"""

from __future__ import annotations

import json
import os
import select
import threading
from concurrent.futures import Future, wait
from typing import IO, Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from codeindexd import protocol
from codeindexd.mcp.session import Message, Server, Session, failure, is_id

_MAX_CONCURRENT = 64  # requests; reading pauses while there are so many
_LOOK_FOR_READER_S = 0.2


def serve(server: Server, lines: IO[bytes], out: IO[bytes]) -> None:
    """Answer the messages in ``lines`` on ``out``, until ``lines`` end and all are answered, or the host is gone.

    Raises OSError if ``out`` cannot be written.
    """
    with start_blocking_portal() as portal:
        connection = _Connection(portal, server, out)
        for line in lines:
            if line.strip():
                connection.accept(line)
        connection.finish()
    connection.check()


class _Connection:
    """A session over pipes. Its tasks run in the portal's event loop, and only they write."""

    def __init__(self, portal: BlockingPortal, server: Server, out: IO[bytes]) -> None:
        self._portal = portal
        self._session = portal.call(Session, server)
        self._out = out
        self._slots = threading.BoundedSemaphore(_MAX_CONCURRENT)
        self._tasks: set[Future[None]] = set()
        self._running: dict[str | int | float, Future[None]] = {}
        self._write_error: OSError | None = None

    def accept(self, line: bytes) -> None:
        """Start answering a line, once fewer than 64 requests run. Raises OSError if a reply could not be written."""
        self.check()
        try:
            message = protocol.decode(line)
        except protocol.ProtocolError as error:
            message = error
        if isinstance(message, dict) and message.get("method") == "notifications/cancelled" and "id" not in message:
            return self._cancel(message.get("params"))
        if _is_answer(message):  # must not wait for a slot: requests that hold one may be waiting for it
            self._start(message)
            return None
        self._slots.acquire()
        task = self._start(message)
        if isinstance(message, dict) and is_id(message.get("id")):
            self._running[message["id"]] = task
            task.add_done_callback(lambda _: self._running.pop(message["id"], None))
        task.add_done_callback(lambda _: self._slots.release())
        return None

    def _start(self, message: Any) -> Future[None]:
        task = self._portal.start_task_soon(self._answer, message)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def check(self) -> None:
        """Raise OSError if a reply could not be written."""
        if self._write_error is not None:
            raise self._write_error

    def finish(self) -> None:
        """Wait until all requests are answered; cancel them if nobody reads the answers any longer."""
        while tasks := list(self._tasks):
            if self._write_error is not None or not _has_reader(self._out):
                for task in tasks:
                    task.cancel()
                return
            wait(tasks, _LOOK_FOR_READER_S)

    def _cancel(self, params: Any) -> None:
        """Cancel a running request; it is not answered."""
        request_id = params.get("requestId") if isinstance(params, dict) else None
        if is_id(request_id) and (task := self._running.get(request_id)) is not None:
            task.cancel()

    async def _answer(self, message: Any) -> None:
        if isinstance(message, protocol.ProtocolError):
            reply: Any = failure(None, message.code, message.message)
        elif isinstance(message, list) and message:  # a batch, as in the revision of 2025-03-26
            answers = [await self._session.answer(part, self._write) for part in message]
            reply = [answer for answer in answers if answer is not None]
        else:
            reply = await self._session.answer(message, self._write)
        if reply:
            self._write(reply)

    def _write(self, message: Message) -> None:
        try:
            self._out.write(json.dumps(message).encode("ascii") + b"\n")
            self._out.flush()
        except OSError as error:
            self._write_error = error


def _is_answer(message: Any) -> bool:
    return isinstance(message, dict) and "method" not in message and ("result" in message or "error" in message)


def _has_reader(out: IO[bytes]) -> bool:
    """Return False if ``out`` is a pipe or socket whose other end is closed."""
    try:
        descriptor = out.fileno()
    except (OSError, ValueError):  # not a file of the operating system
        return True
    poll = select.poll()
    poll.register(descriptor, 0)  # errors and hang-ups are always reported
    return not any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)) or os.isatty(descriptor)
