"""A session with a host: answers its requests, whatever transport carries them.

An error in a tool is a result with ``isError``, so that the model reads it and can act on it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeGuard

import anyio

from codeindexd import protocol
from codeindexd.errors import CodeindexError, UsageError, place_of
from codeindexd.mcp import prompts, resources, tool_errors
from codeindexd.mcp.answers import Answer
from codeindexd.mcp.arguments import local_path
from codeindexd.mcp.revisions import (
    CAPABILITIES,
    RESOURCE_NOT_FOUND,
    SERVER_INFO,
    VERSIONS,
    RequestTerms,
    RpcError,
    agreed,
    completed,
    terms_in,
)
from codeindexd.mcp.scope import Project
from codeindexd.mcp.tool import Call
from codeindexd.mcp.toolset import TOOLS, current_call

if TYPE_CHECKING:
    from codeindexd.client.aio import AsyncClient

Message = Mapping[str, Any]
Send = Callable[[Message], None]
"""Sends the host a notification or a request that belongs to the request being answered."""

_INTERNAL_ERROR = -32603
_ROOTS_TIMEOUT_S = 3.0
_ROOTS_KEY = "roots"
_INSTRUCTIONS = (
    "An index of the user's code, as fresh as the disk. Use it instead of grep and of reading whole files: search "
    "finds code by what it does or by words, symbol finds definitions and uses of a name, grep finds every line. "
    "Answers are short and verified: open the file at the line they name. They cover the project you work on; pass "
    "roots for others."
)


class Server:
    """What all sessions of a process share.

    ``connect`` returns a new client of the daemon for each call. ``given`` are directories to search if a host names
    none, ``may_add`` permits indexing the project on first use, ``note`` is called with internal errors, and ``record``
    with the name of a tool, its answer and the directory that the paths in it are relative to.
    """

    def __init__(
        self,
        connect: Callable[[], AsyncClient],
        *,
        given: Sequence[str] = (),
        may_add: bool = False,
        note: Callable[[str], None],
        record: Callable[[str, Answer, str], None] = lambda tool, answer, base: None,
    ) -> None:
        self.connect = connect
        self.given = tuple(given)
        self.may_add = may_add
        self.note = note
        self.record = record


class Session:
    """The state of a connection: the revision and the roots that host and server have agreed on."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._terms = RequestTerms(VERSIONS[-1], {})
        self._roots: tuple[str, ...] | None = None
        self._roots_lock = anyio.Lock()
        self._ids = itertools.count(1)
        self._asked: dict[str, _Question] = {}

    async def answer(self, message: Any, send: Send) -> Message | None:
        """Return the reply to a message, None if it needs none. Failures are replies, too.

        ``send`` takes the messages that precede the reply.
        """
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            if isinstance(message, dict) and ("result" in message or "error" in message):
                self._take_answer(message)
                return None
            return failure(None, protocol.INVALID_REQUEST, "not a JSON-RPC request")
        if "id" not in message:
            self._take_notification(message["method"])
            return None
        if not is_id(message["id"]):
            return failure(None, protocol.INVALID_REQUEST, "id must be a string or a number")
        params = message.get("params")
        try:
            result = await self._result(message["method"], params if isinstance(params, dict) else {}, send)
        except RpcError as error:
            return failure(message["id"], error.code, error.message, error.data)
        except Exception as error:  # noqa: BLE001 - must fail one request, not the session
            self._server.note(f"codeindex mcp: request failed: {place_of(error)}")
            return failure(message["id"], _INTERNAL_ERROR, f"internal error: {place_of(error)}")
        return {"jsonrpc": "2.0", "id": message["id"], "result": result}

    async def _result(self, method: str, params: Message, send: Send) -> Message:
        terms = terms_in(params)
        if method == "initialize":
            return self._initialize(params)
        if method == "ping":
            return {}
        if terms is None and method == "server/discover":
            raise RpcError(protocol.INVALID_PARAMS, "server/discover needs a protocol version in params._meta")
        terms = terms or self._terms
        result = await self._dispatch(method, params, terms, send)
        if result.get("resultType") == "input_required":
            return result
        return completed(method, terms, result)

    async def _dispatch(self, method: str, params: Message, terms: RequestTerms, send: Send) -> Message:
        match method:
            case "server/discover":
                versions = {"supportedVersions": list(VERSIONS)}
                return {**versions, "capabilities": CAPABILITIES, "instructions": _INSTRUCTIONS}
            case "tools/list":
                return {"tools": [tool.described() for tool in TOOLS.values()]}
            case "tools/call":
                return await self._call(params, terms, send)
            case "prompts/list":
                return {"prompts": prompts.described()}
            case "prompts/get":
                return _prompt(params)
            case "resources/list":
                return {"resources": resources.described()}
            case "resources/templates/list":
                return {"resourceTemplates": resources.described_templates()}
            case "resources/read":
                return await self._read(params, terms, send)
        raise RpcError(protocol.UNKNOWN_METHOD, f"unknown method: {method}")

    def _initialize(self, params: Message) -> Message:
        version = agreed(params.get("protocolVersion"))
        capabilities = params.get("capabilities")
        self._terms = RequestTerms(version, capabilities if isinstance(capabilities, dict) else {})
        self._roots = None
        return {
            "protocolVersion": version,
            "capabilities": CAPABILITIES,
            "serverInfo": SERVER_INFO,
            "instructions": _INSTRUCTIONS,
        }

    # tools and resources

    async def _call(self, params: Message, terms: RequestTerms, send: Send) -> Message:
        name, arguments = params.get("name"), _arguments(params.get("arguments"))
        found = current_call(name, arguments) if isinstance(name, str) else None
        if found is None:
            raise RpcError(protocol.INVALID_PARAMS, f"unknown tool: {name}; the tools are: {', '.join(TOOLS)}")
        tool, arguments = found
        directories = await self._directories(params, terms, send)
        if directories is None:
            return _ask_for_roots()
        try:
            # a client per call: closing it also cancels the requests that the call left running in the daemon
            async with self._server.connect() as client:
                call = Call(client, Project(directories, self._server.may_add), _progress(params, send))
                answer = await tool.call(call, arguments)
                self._server.record(tool.name, answer, call.project.base or "/")
        except (CodeindexError, OSError) as error:
            answer = Answer(tool_errors.describe(error), {}, is_error=True)
        return _tool_result(answer, terms)

    async def _read(self, params: Message, terms: RequestTerms, send: Send) -> Message:
        uri = params.get("uri")
        if not isinstance(uri, str):
            raise RpcError(protocol.INVALID_PARAMS, "uri is missing")
        directories = await self._directories(params, terms, send)
        if directories is None:
            return _ask_for_roots()
        try:
            async with self._server.connect() as client:
                text = await resources.read(Call(client, Project(directories), _progress({}, send)), uri)
        except UsageError as error:
            code = protocol.INVALID_PARAMS if terms.is_stateless else RESOURCE_NOT_FOUND
            raise RpcError(code, error.message, {"uri": uri}) from error
        except (CodeindexError, OSError) as error:
            raise RpcError(_INTERNAL_ERROR, tool_errors.describe(error)) from error
        return {"contents": [{"uri": uri, "mimeType": "text/plain", "text": text}]}

    # the host's roots

    async def _directories(self, params: Message, terms: RequestTerms, send: Send) -> tuple[str, ...] | None:
        """Return the directories of the project, None if the host has to be asked for them first."""
        if not terms.has_roots:
            return self._server.given
        if terms.is_stateless:
            responses = params.get("inputResponses")
            if not isinstance(responses, dict) or _ROOTS_KEY not in responses:
                return None
            return _paths(responses[_ROOTS_KEY]) or self._server.given
        async with self._roots_lock:
            if self._roots is None:
                self._roots = _paths(await self._ask("roots/list", send))
            return self._roots or self._server.given

    async def _ask(self, method: str, send: Send) -> Any:
        """Send the host a request and return its result, None if it does not answer within 3 seconds."""
        question = _Question()
        request_id = f"codeindexd-{next(self._ids)}"
        self._asked[request_id] = question
        try:
            send({"jsonrpc": "2.0", "id": request_id, "method": method})
            with anyio.move_on_after(_ROOTS_TIMEOUT_S):
                await question.answered.wait()
        finally:
            del self._asked[request_id]
        return question.result

    def _take_answer(self, message: Message) -> None:
        question = self._asked.get(message["id"]) if isinstance(message.get("id"), str) else None
        if question is not None:
            question.result = message.get("result")
            question.answered.set()

    def _take_notification(self, method: str) -> None:
        if method == "notifications/roots/list_changed":
            self._roots = None


class _Question:
    """A request to the host, and its result once it is answered."""

    def __init__(self) -> None:
        self.answered = anyio.Event()
        self.result: Any = None


def _paths(result: Any) -> tuple[str, ...]:
    """Return the directories in a host's list of roots; other things than files are left out."""
    roots = result.get("roots") if isinstance(result, dict) else None
    paths = []
    for root in roots if isinstance(roots, list) else []:
        uri = root.get("uri") if isinstance(root, dict) else None
        try:
            paths += [local_path(uri, "/")] if isinstance(uri, str) else []
        except UsageError:
            continue
    return tuple(paths)


def _ask_for_roots() -> Message:
    return {"resultType": "input_required", "inputRequests": {_ROOTS_KEY: {"method": "roots/list"}}}


def _tool_result(answer: Answer, terms: RequestTerms) -> Message:
    result: dict[str, Any] = {"content": [{"type": "text", "text": answer.text}], "isError": answer.is_error}
    if terms.has_structured_content and not answer.is_error:
        result["structuredContent"] = answer.structured
    return result


def _progress(params: Message, send: Send) -> Callable[[float, float | None, str], None]:
    """Return a function that reports progress to the host, if it asked for it, and never a lower value than before."""
    meta = params.get("_meta")
    token = meta.get("progressToken") if isinstance(meta, dict) else None
    highest = -1.0

    def report(done: float, total: float | None, message: str) -> None:
        nonlocal highest
        if token is None or done <= highest:
            return
        highest = done
        fields = {"progressToken": token, "progress": done, "message": message}
        if total is not None:
            fields["total"] = total
        send({"jsonrpc": "2.0", "method": "notifications/progress", "params": fields})

    return report


def _arguments(given: Any) -> Message:
    """Return the arguments of a call; some hosts pass them as JSON text. Raises RpcError if they are no object."""
    if isinstance(given, str):
        with contextlib.suppress(ValueError):
            given = json.loads(given) if given.strip() else None
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise RpcError(protocol.INVALID_PARAMS, f"arguments must be an object, got {json.dumps(given)[:80]}")
    return given


def _prompt(params: Message) -> Message:
    name, arguments = params.get("name"), params.get("arguments")
    try:
        return prompts.get(name if isinstance(name, str) else "", arguments if isinstance(arguments, dict) else {})
    except UsageError as error:
        raise RpcError(protocol.INVALID_PARAMS, error.message) from error


def is_id(value: Any) -> TypeGuard[str | int | float]:
    """Return True if a reply can repeat ``value`` as its id; infinity (the value of 1e999) is not valid JSON."""
    if isinstance(value, float):
        return isfinite(value)
    return isinstance(value, str | int) and not isinstance(value, bool)


def failure(request_id: Any, code: int, message: str, data: Any = None) -> dict[str, Any]:
    """Return a JSON-RPC error."""
    error = {"code": code, "message": message} if data is None else {"code": code, "message": message, "data": data}
    return {"jsonrpc": "2.0", "id": request_id, "error": error}
