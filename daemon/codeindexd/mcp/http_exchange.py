"""HTTP/1.1 on a stream, as far as the endpoint needs it: bounded requests, and answers with JSON or events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import anyio
import anyio.abc
import h11

MAX_BODY_BYTES: Final = 1 << 20
_MAX_DISCARDED_BYTES: Final = 8 << 20
_MAX_HEAD_BYTES: Final = 64 << 10
_READ_BYTES: Final = 64 << 10
_READ_TIMEOUT_S: Final = 30.0
_IDLE_TIMEOUT_S: Final = 120.0

Headers = Mapping[str, str]


class HttpStatusError(Exception):
    """A request that is answered by a status and no more."""

    def __init__(self, status: HTTPStatus, message: str, headers: Headers | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


@dataclass(frozen=True)
class HttpRequest:
    """A request. The names of ``headers`` are in lower case; ``repeated`` are those that it has twice."""

    method: str
    path: str
    headers: Headers
    repeated: frozenset[str]
    body: bytes


class Exchange:
    """The requests of one connection, one after the other."""

    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        self._stream = stream
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD_BYTES)

    async def request(self) -> HttpRequest | None:
        """Return the next request, None when the connection has ended or was idle for two minutes.

        Raises RefusedError for what is not a request, is too large, or does not arrive within 30 seconds.
        """
        with anyio.move_on_after(_IDLE_TIMEOUT_S) as idle:
            head = await self._event()
        if idle.cancelled_caught or not isinstance(head, h11.Request):
            return None
        body, received = bytearray(), 0
        with anyio.move_on_after(_READ_TIMEOUT_S) as slow:
            while isinstance(event := await self._event(), h11.Data):
                received += len(event.data)
                body += event.data if received <= MAX_BODY_BYTES else b""
                if received > _MAX_DISCARDED_BYTES:
                    break
        if received > MAX_BODY_BYTES:  # read nevertheless, since most clients send all before they read
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            raise HttpStatusError(status, f"a request has at most {MAX_BODY_BYTES} bytes")
        if slow.cancelled_caught:
            raise HttpStatusError(HTTPStatus.REQUEST_TIMEOUT, "the request did not arrive in time")
        names = [name.decode("ascii").lower() for name, _ in head.headers]
        values = [value.decode("latin-1") for _, value in head.headers]
        return HttpRequest(
            head.method.decode("ascii"),
            head.target.decode("latin-1").partition("?")[0],
            dict(zip(names, values, strict=True)),
            frozenset(name for name in names if names.count(name) > 1),
            bytes(body),
        )

    async def _event(self) -> Any:
        while True:
            try:
                event = self._connection.next_event()
            except h11.RemoteProtocolError as error:
                raise HttpStatusError(HTTPStatus.BAD_REQUEST, "not a valid HTTP request") from error
            if event is not h11.NEED_DATA:
                return event
            if self._connection.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            try:
                self._connection.receive_data(await self._stream.receive(_READ_BYTES))
            except anyio.EndOfStream:
                self._connection.receive_data(b"")

    async def wait_until_closed(self) -> None:
        """Return when the other end has closed the connection, or sends too much before it has its answer.

        What it sends is kept for the next request.
        """
        received = 0
        try:
            while received <= MAX_BODY_BYTES:
                data = await self._stream.receive(_READ_BYTES)
                received += len(data)
                self._connection.receive_data(data)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return

    async def answer(self, status: HTTPStatus, body: Any = None, headers: Headers | None = None) -> None:
        """Send a whole answer, with ``body`` as JSON unless it is None."""
        data = b"" if body is None else json.dumps(body).encode("ascii")
        fields = {"content-length": str(len(data)), **(headers or {})}
        if body is not None:
            fields["content-type"] = "application/json"
        await self._send(h11.Response(status_code=status, headers=_fields(fields)))
        if data:
            await self._send(h11.Data(data=data))
        await self._send(h11.EndOfMessage())

    async def begin_events(self, headers: Headers) -> None:
        """Begin an answer that is a stream of server-sent events."""
        fields = {"content-type": "text/event-stream", "cache-control": "no-cache", **headers}
        await self._send(h11.Response(status_code=HTTPStatus.OK, headers=_fields(fields)))

    async def event(self, message: Any) -> None:
        """Send ``message`` as an event, or if it is None, a comment that keeps the connection alive."""
        text = ": alive\n\n" if message is None else f"event: message\ndata: {json.dumps(message)}\n\n"
        await self._send(h11.Data(data=text.encode("ascii")))

    async def end_events(self) -> None:
        """End a stream of events."""
        await self._send(h11.EndOfMessage())

    def is_over(self) -> bool:
        """Prepare for the next request; return True if the connection cannot carry another one."""
        if self._connection.our_state is h11.DONE and self._connection.their_state is h11.DONE:
            self._connection.start_next_cycle()
            return False
        return True

    async def _send(self, event: Any) -> None:
        data = self._connection.send(event)
        if data:
            await self._stream.send(data)


def _fields(fields: Headers) -> list[tuple[str, str]]:
    return list(fields.items())
