"""A Model Context Protocol session over lines of JSON-RPC.

Requests are answered in any order, so that a slow request delays neither a ping nor its own cancellation. An error in a
tool is a result with ``isError``, so that the model reads it and can act on the hint.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from math import isfinite
from typing import IO, TYPE_CHECKING, Any, TypeGuard

from anyio.from_thread import BlockingPortal, start_blocking_portal

from codeindexd import __version__, protocol
from codeindexd.errors import CodeindexError, place_of
from codeindexd.mcp import tools

if TYPE_CHECKING:
    from codeindexd.client.aio import AsyncClient

VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")  # newest first
_INTERNAL_ERROR = -32603
_MAX_CONCURRENT = 64  # requests; reading pauses while there are so many
_INSTRUCTIONS = (
    "Searches the user's indexed code by meaning and by word. Query search_code in plain words, optionally with the "
    "filters lang:python path:src/** -path:tests/** kind:function symbol:Name. Results are verified against the disk. "
    "If a directory is not indexed, index it with add_root."
)

Reply = Mapping[str, Any]


class _RpcError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def serve(connect: Callable[[], AsyncClient], lines: IO[bytes], out: IO[bytes], note: Callable[[str], None]) -> None:
    """Answer the messages in ``lines`` on ``out``, until ``lines`` end and all are answered.

    ``connect`` returns a new client for each tool call; ``note`` is called with internal errors, which do not end the
    session. Raises OSError if ``out`` cannot be written.
    """
    with start_blocking_portal() as portal:
        server = _Server(portal, connect, out, note)
        for line in lines:
            if line.strip():
                server.accept(line)
    server.check()


class _Server:
    """A session with a host. Its tasks run in the portal's event loop, and only they write replies."""

    def __init__(
        self, portal: BlockingPortal, connect: Callable[[], AsyncClient], out: IO[bytes], note: Callable[[str], None]
    ) -> None:
        self._portal = portal
        self._connect = connect
        self._out = out
        self._note = note
        self._slots = threading.BoundedSemaphore(_MAX_CONCURRENT)
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
        self._slots.acquire()
        task = self._portal.start_task_soon(self._answer, message)
        if isinstance(message, dict) and _is_id(message.get("id")):
            self._running[message["id"]] = task
            task.add_done_callback(lambda _: self._running.pop(message["id"], None))
        task.add_done_callback(lambda _: self._slots.release())
        return None

    def check(self) -> None:
        """Raise OSError if a reply could not be written."""
        if self._write_error is not None:
            raise self._write_error

    def _cancel(self, params: Any) -> None:
        """Cancel a running request; it is not answered."""
        request_id = params.get("requestId") if isinstance(params, dict) else None
        if _is_id(request_id) and (task := self._running.get(request_id)) is not None:
            task.cancel()

    async def _answer(self, message: Any) -> None:
        if isinstance(message, protocol.ProtocolError):
            reply: Any = _failure(None, message.code, message.message)
        elif isinstance(message, list) and message:  # a batch, as in the revision of 2025-03-26
            reply = [answer for part in message if (answer := await self._reply(part)) is not None]
        else:
            reply = await self._reply(message)
        if not reply:
            return
        try:
            self._out.write(json.dumps(reply).encode("ascii") + b"\n")
            self._out.flush()
        except OSError as error:
            self._write_error = error

    async def _reply(self, message: Any) -> Reply | None:
        """Return the reply to a message, None if it needs none."""
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            if isinstance(message, dict) and ("result" in message or "error" in message):
                return None  # an answer; we send no requests
            return _failure(None, protocol.INVALID_REQUEST, "not a JSON-RPC request")
        if "id" not in message:
            return None  # a notification; none needs an action
        if not _is_id(message["id"]):
            return _failure(None, protocol.INVALID_REQUEST, "id must be a string or a number")
        params = message.get("params")
        try:
            result = await self._result(message["method"], params if isinstance(params, dict) else {})
        except _RpcError as error:
            return _failure(message["id"], error.code, error.message)
        except Exception as error:  # noqa: BLE001 - must fail one request, not the session
            self._note(f"codeindex mcp: request failed: {place_of(error)}")
            return _failure(message["id"], _INTERNAL_ERROR, f"internal error: {place_of(error)}")
        return {"jsonrpc": "2.0", "id": message["id"], "result": result}

    async def _result(self, method: str, params: Mapping[str, Any]) -> Reply:
        match method:
            case "initialize":
                return _initialize(params)
            case "ping":
                return {}
            case "tools/list":
                return {"tools": list(tools.descriptions())}
            case "tools/call":
                return await self._call(params)
        raise _RpcError(protocol.UNKNOWN_METHOD, f"unknown method: {method}")

    async def _call(self, params: Mapping[str, Any]) -> Reply:
        name = params.get("name")
        if not isinstance(name, str) or name not in tools.TOOLS:
            raise _RpcError(protocol.INVALID_PARAMS, f"unknown tool: {name}")
        arguments = params.get("arguments")
        try:
            # a client per call: closing it also cancels the requests that the call left running in the daemon
            async with self._connect() as client:
                text = await tools.call(client, name, arguments if isinstance(arguments, dict) else {})
        except CodeindexError as error:
            message = f"{error.message}\nHint: {error.hint}" if error.hint else error.message
            return {"content": [_text(message)], "isError": True}
        except OSError as error:
            return {"content": [_text(f"{error.filename or 'system'}: {error.strerror or error}")], "isError": True}
        return {"content": [_text(text)], "isError": False}


def _is_id(value: Any) -> TypeGuard[str | int | float]:
    """Return True if a reply can repeat ``value`` as its id; infinity (the value of 1e999) is not valid JSON."""
    if isinstance(value, float):
        return isfinite(value)
    return isinstance(value, str | int) and not isinstance(value, bool)


def _initialize(params: Mapping[str, Any]) -> Reply:
    requested = params.get("protocolVersion")
    return {
        "protocolVersion": requested if requested in VERSIONS else VERSIONS[0],
        "capabilities": {"tools": {"listChanged": False}},
        "serverInfo": {"name": "codeindexd", "title": "codeindexd", "version": __version__},
        "instructions": _INSTRUCTIONS,
    }


def _text(text: str) -> Mapping[str, str]:
    return {"type": "text", "text": text}


def _failure(request_id: Any, code: int, message: str) -> Reply:
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}}
