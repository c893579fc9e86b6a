"""The streamable HTTP transport: one endpoint on this machine that several hosts share.

A request is answered with JSON, or with a stream of events if something precedes its answer (progress, a question to
the host). Nothing is sent outside requests, so there is no stream to GET. Only loopback addresses are served; every
request needs the bearer token, and none may come from a web page of another origin.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import anyio.abc

from codeindexd import protocol
from codeindexd.errors import FailedError, UsageError
from codeindexd.mcp.http_exchange import Exchange, HttpRequest, HttpStatusError
from codeindexd.mcp.revisions import (
    HANDSHAKE,
    HEADER_MISMATCH,
    STATELESS,
    UNSUPPORTED_VERSION,
    RpcError,
    terms_in,
    unsupported,
)
from codeindexd.mcp.session import Message, Server, Session, failure, is_id

PATH: Final = "/mcp"
_SESSION_HEADER: Final = "mcp-session-id"
_VERSION_HEADER: Final = "mcp-protocol-version"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_MOST_SESSIONS: Final = 64
_MOST_CONNECTIONS: Final = 256
_ALIVE_S: Final = 15.0
_NAMED_BY: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_STATUS_OF: Final = {
    protocol.PARSE_ERROR: HTTPStatus.BAD_REQUEST,
    protocol.INVALID_REQUEST: HTTPStatus.BAD_REQUEST,
    protocol.INVALID_PARAMS: HTTPStatus.BAD_REQUEST,
    protocol.UNKNOWN_METHOD: HTTPStatus.NOT_FOUND,
    HEADER_MISMATCH: HTTPStatus.BAD_REQUEST,
    UNSUPPORTED_VERSION: HTTPStatus.BAD_REQUEST,
}
"""The statuses of errors since the revision of 2026-07-28."""


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``. Raises UsageError if they are invalid or not of this machine."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"not HOST:PORT: {text}", hint="for example: --http 127.0.0.1:8765")
    if host not in _LOOPBACK:
        raise UsageError(
            f"{host} can be reached from other machines", hint="use 127.0.0.1, and a tunnel from elsewhere"
        )
    return host, int(port)


async def serve(
    server: Server, address: tuple[str, int], token: str | None, ready: Callable[[int], None] = lambda port: None
) -> None:
    """Serve until cancelled. ``token`` is what every request has to present, None: nothing (for tests).

    ``ready`` is called with the port. Raises FailedError if the port is taken.
    """
    host, port = address
    try:
        listener = await anyio.create_tcp_listener(local_host=host, local_port=port)
    except OSError as error:
        raise FailedError(f"cannot listen on {host}:{port}: {error.strerror}", hint="choose another port") from error
    endpoint = _Endpoint(server, token)
    async with listener:
        ready(listener.extra(anyio.abc.SocketAttribute.local_port))  # noqa: S610 - anyio's, not a query's
        await listener.serve(endpoint.handle)


class _Client:
    """A session over HTTP, and its running requests."""

    def __init__(self, server: Server) -> None:
        self.session = Session(server)
        self.running: dict[str | int | float, anyio.CancelScope] = {}

    def cancel(self, params: Any) -> None:
        """Cancel the request that a notification names."""
        request_id = params.get("requestId") if isinstance(params, dict) else None
        if is_id(request_id) and (scope := self.running.get(request_id)) is not None:
            scope.cancel()


class _Endpoint:
    """All sessions, and the rules by which requests are admitted."""

    def __init__(self, server: Server, token: str | None) -> None:
        self._server = server
        self._token = token
        self._clients: OrderedDict[str, _Client] = OrderedDict()  # the one used last is at the end
        self._connections = anyio.CapacityLimiter(_MOST_CONNECTIONS)

    async def handle(self, stream: anyio.abc.ByteStream) -> None:
        """Answer the requests of a connection."""
        gone = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)
        with contextlib.suppress(*gone):
            async with stream, self._connections:
                exchange = Exchange(stream)
                while await self._answer_next(exchange) and not exchange.is_over():
                    pass

    async def _answer_next(self, exchange: Exchange) -> bool:
        """Answer the next request; return False if there is none."""
        try:
            request = await exchange.request()
            if request is None:
                return False
            self._admit(request)
            await self._route(exchange, request)
        except HttpStatusError as refused:
            await exchange.answer(refused.status, {"error": refused.message}, refused.headers)
        except RpcError as error:
            status = _STATUS_OF.get(error.code, HTTPStatus.BAD_REQUEST)
            await exchange.answer(status, failure(None, error.code, error.message, error.data))
        return True

    def _admit(self, request: HttpRequest) -> None:
        """Raise RefusedError for a request from elsewhere, without the token, or to another path."""
        origin = request.headers.get("origin")
        if _hostname(f"//{request.headers.get('host', '')}") not in _LOOPBACK:
            raise HttpStatusError(HTTPStatus.FORBIDDEN, "the Host header names another machine")
        if origin is not None and _hostname(origin) not in _LOOPBACK:
            raise HttpStatusError(HTTPStatus.FORBIDDEN, "requests from web pages of other origins are refused")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if self._token is not None and not (
            scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token.encode())
        ):
            challenge = {"www-authenticate": "Bearer"}
            raise HttpStatusError(HTTPStatus.UNAUTHORIZED, "the bearer token is missing or wrong", challenge)
        if request.path != PATH:
            raise HttpStatusError(HTTPStatus.NOT_FOUND, f"the endpoint is {PATH}")

    async def _route(self, exchange: Exchange, request: HttpRequest) -> None:
        if request.method == "DELETE":
            if self._clients.pop(request.headers.get(_SESSION_HEADER, ""), None) is None:
                raise HttpStatusError(HTTPStatus.NOT_FOUND, "the session has ended, or never began")
            return await exchange.answer(HTTPStatus.NO_CONTENT)
        if request.method != "POST":
            raise HttpStatusError(
                HTTPStatus.METHOD_NOT_ALLOWED, "the endpoint takes only POST and DELETE", {"allow": "POST, DELETE"}
            )
        try:
            message = protocol.decode(request.body)
        except protocol.ProtocolError as error:
            raise RpcError(error.code, error.message) from error
        if not isinstance(message, dict):
            raise RpcError(protocol.INVALID_REQUEST, "the body must be one JSON-RPC message")
        if request.headers.get(_VERSION_HEADER) in STATELESS or _has_terms(message):
            return await self._answer_stateless(exchange, request, message)
        return await self._answer_in_session(exchange, request, message)

    async def _answer_stateless(self, exchange: Exchange, request: HttpRequest, message: Message) -> None:
        if "id" not in message:  # the revision has no notifications from hosts; those of older habits do no harm
            return await exchange.answer(HTTPStatus.ACCEPTED)
        try:
            _check_headers(request, message)
        except RpcError as error:
            reply = failure(message["id"], error.code, error.message, error.data)
            return await exchange.answer(_STATUS_OF[error.code], reply)
        return await self._reply(exchange, message, _Client(self._server), {}, is_stateless=True)

    async def _answer_in_session(self, exchange: Exchange, request: HttpRequest, message: Message) -> None:
        version = request.headers.get(_VERSION_HEADER)
        if version is not None and version not in HANDSHAKE:
            raise unsupported(version)
        if message.get("method") == "initialize":
            identifier, client = self._open()
            return await self._reply(exchange, message, client, {_SESSION_HEADER: identifier})
        identifier = request.headers.get(_SESSION_HEADER, "")
        if not identifier:
            raise HttpStatusError(HTTPStatus.BAD_REQUEST, "a session begins with initialize; then send Mcp-Session-Id")
        if (found := self._clients.get(identifier)) is None:
            raise HttpStatusError(HTTPStatus.NOT_FOUND, "the session has ended; begin a new one with initialize")
        self._clients.move_to_end(identifier)
        if "id" in message and "method" in message:
            return await self._reply(exchange, message, found, {})
        if message.get("method") == "notifications/cancelled":
            found.cancel(message.get("params"))
        else:
            await found.session.answer(message, _drop)
        return await exchange.answer(HTTPStatus.ACCEPTED)

    def _open(self) -> tuple[str, _Client]:
        """Begin a session; the one that was not used for longest, and has no running request, makes room for it."""
        if len(self._clients) >= _MOST_SESSIONS:
            idle = next((name for name, client in self._clients.items() if not client.running), None)
            if idle is None:
                raise HttpStatusError(
                    HTTPStatus.SERVICE_UNAVAILABLE, f"{_MOST_SESSIONS} sessions are busy; try again when one has ended"
                )
            del self._clients[idle]
        identifier, client = secrets.token_urlsafe(24), _Client(self._server)
        self._clients[identifier] = client
        return identifier, client

    async def _reply(
        self,
        exchange: Exchange,
        message: Message,
        client: _Client,
        headers: Mapping[str, str],
        *,
        is_stateless: bool = False,
    ) -> None:
        """Answer a request; cancel it if the other end closes the connection, since nobody would get the answer."""
        outgoing, events = anyio.create_memory_object_stream[Message](256)
        replies: list[Message | None] = []

        def send(event: Message) -> None:
            with contextlib.suppress(anyio.WouldBlock):  # progress that nobody reads is dropped
                outgoing.send_nowait(event)

        async def work() -> None:
            async with outgoing:
                replies.append(await client.session.answer(message, send))

        async def watch(scope: anyio.CancelScope) -> None:
            await exchange.wait_until_closed()
            scope.cancel()

        request_id = message.get("id")
        async with events, anyio.create_task_group() as tasks:
            if is_id(request_id):
                client.running[request_id] = tasks.cancel_scope
            try:
                tasks.start_soon(watch, tasks.cancel_scope)
                tasks.start_soon(work)
                await _forward(exchange, events, replies, headers, is_stateless=is_stateless)
            finally:
                client.running.pop(request_id, None)  # type: ignore[arg-type]
            tasks.cancel_scope.cancel()


async def _forward(
    exchange: Exchange, events: Any, replies: list[Message | None], headers: Mapping[str, str], *, is_stateless: bool
) -> None:
    """Send events as they come, and then the reply; without events, only the reply as JSON."""
    begun = False
    while True:
        event: Message | None = None
        with anyio.move_on_after(_ALIVE_S):
            try:
                event = await events.receive()
            except anyio.EndOfStream:
                break
        if not begun:
            await exchange.begin_events(headers)
            begun = True
        await exchange.event(event)
    reply = replies[0]
    if begun:
        await exchange.event(reply)
        await exchange.end_events()
    else:
        code = reply.get("error", {}).get("code") if reply else None
        status = _STATUS_OF.get(code, HTTPStatus.OK) if is_stateless and code else HTTPStatus.OK
        await exchange.answer(status, reply, headers)


def _drop(message: Message) -> None:
    """Send nothing: what is not a request has no answer to precede."""


def _has_terms(message: Message) -> bool:
    params = message.get("params")
    try:
        return isinstance(params, dict) and terms_in(params) is not None
    except RpcError:
        return True


def _check_headers(request: HttpRequest, message: Message) -> None:
    """Raise RpcError unless the headers say the same as the message, as the revision of 2026-07-28 demands."""
    params = message.get("params")
    terms = terms_in(params if isinstance(params, dict) else {})
    if terms is None:
        raise RpcError(protocol.INVALID_PARAMS, "params._meta must name the protocol version and client capabilities")
    method = message.get("method")
    wanted = {_VERSION_HEADER: terms.version, "mcp-method": method}
    if isinstance(method, str) and (key := _NAMED_BY.get(method)) and isinstance(params, dict) and key in params:
        wanted["mcp-name"] = params[key]
    for name, value in wanted.items():
        if name in request.repeated or _decoded(request.headers.get(name)) != value:
            raise RpcError(HEADER_MISMATCH, f"the header {name} is missing or differs from the message")


def _decoded(value: str | None) -> str | None:
    """Return the value of a header; what is not ASCII is written ``=?base64?...?=``."""
    if value is None or not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    try:
        return base64.b64decode(value[9:-2], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
