"""A Model Context Protocol server on stdio over the running daemon: JSON-RPC lines, tools only.

An agent's host starts ``codeindex mcp`` and keeps it; requests are answered one after the other. What goes wrong in a
tool is a result with ``isError``, so that the model reads it and can act on the hint.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import IO, TYPE_CHECKING, Any

from codeindexd import __version__, protocol
from codeindexd.errors import CodeindexError, UsageError

if TYPE_CHECKING:
    from codeindexd.client.results import Place, SearchResult
    from codeindexd.client.sync import Client

VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")  # newest first
_MAX_LIMIT = 50
_INSTRUCTIONS = (
    "Searches the user's indexed code by meaning and by word. Ask search_code in plain words, or with the filters "
    "lang:python path:src/** -path:tests/** kind:function symbol:Name. Results are verified against the disk. "
    "If a directory is not indexed, add_root indexes it."
)

_ROOT = {"type": "string", "description": "Absolute path of a directory in an indexed root. Default: all roots."}
_LIMIT = {"type": "integer", "minimum": 1, "maximum": _MAX_LIMIT, "description": "Number of results, 10 by default."}
_TOOLS: dict[str, dict[str, Any]] = {
    "search_code": {
        "title": "Search code",
        "description": "Find code by what it does or by the words in it. Returns whole functions, classes or sections "
        "with path and lines, best first, as they are on the disk now.",
        "properties": {
            "query": {
                "type": "string",
                "description": "A question or keywords. Inline filters: lang:python path:src/** -path:tests/** "
                'kind:function symbol:Name "an exact phrase" /regex/',
            },
            "root": _ROOT,
            "limit": _LIMIT,
            "language": {"type": "string", "description": "Only this language, for example python."},
            "path": {"type": "string", "description": "Only paths that match this glob, for example src/**."},
        },
        "required": ["query"],
        "read_only": True,
    },
    "find_symbol": {
        "title": "Find a symbol",
        "description": "Where a function, class, method or type is defined, and on request where it is used.",
        "properties": {
            "name": {"type": "string", "description": "The name, plain or dotted: connect, Client.connect."},
            "root": _ROOT,
            "references": {"type": "boolean", "description": "Also list uses. Default: false."},
        },
        "required": ["name"],
        "read_only": True,
    },
    "related_code": {
        "title": "Find related code",
        "description": "Code that resembles the function or section at a line of a file.",
        "properties": {
            "path": {"type": "string", "description": "Absolute path of the file."},
            "line": {"type": "integer", "minimum": 1, "description": "A line of the code in question, from 1."},
            "limit": _LIMIT,
        },
        "required": ["path", "line"],
        "read_only": True,
    },
    "index_status": {
        "title": "Index status",
        "description": "What is indexed, how fresh it is, and what could not be indexed and why.",
        "properties": {"root": _ROOT},
        "required": [],
        "read_only": True,
    },
    "add_root": {
        "title": "Index a directory",
        "description": "Index a directory and keep its index fresh from now on.",
        "properties": {
            "path": {"type": "string", "description": "Absolute path of the directory, best a repository's top."},
            "wait": {"type": "boolean", "description": "Wait until it can be searched completely. Default: true."},
        },
        "required": ["path"],
        "read_only": False,
    },
}
_TYPES: dict[str, tuple[type, str]] = {
    "string": (str, "a string"),
    "integer": (int, "a whole number"),
    "boolean": (bool, "true or false"),
}


class _RpcError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def serve(client: Client, lines: IO[bytes], out: IO[bytes]) -> None:
    """Answer messages from ``lines`` on ``out`` until they end. Nothing a message holds ends it earlier."""
    server = _Server(client)
    for line in lines:
        if line.strip() and (reply := server.answer(line)) is not None:
            out.write(json.dumps(reply).encode("ascii") + b"\n")
            out.flush()


class _Server:
    """One session with a host."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def answer(self, line: bytes) -> Mapping[str, Any] | list[Mapping[str, Any]] | None:
        """The reply to a line; None when none is due."""
        try:
            message = protocol.decode(line)
        except protocol.ProtocolError as error:
            return _failure(None, error.code, error.message)
        if isinstance(message, list) and message:  # batches: the revision of 2025-03-26 has them
            return [reply for one in message if (reply := self._reply(one)) is not None] or None
        return self._reply(message)

    def _reply(self, message: Any) -> Mapping[str, Any] | None:
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            if isinstance(message, dict) and ("result" in message or "error" in message):
                return None  # an answer; we never ask
            return _failure(None, protocol.INVALID_REQUEST, "not a JSON-RPC request")
        if "id" not in message:
            return None  # a notification; none changes what we do
        params = message.get("params")
        try:
            result = self._result(message["method"], params if isinstance(params, dict) else {})
        except _RpcError as error:
            return _failure(message["id"], error.code, error.message)
        return {"jsonrpc": "2.0", "id": message["id"], "result": result}

    def _result(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        match method:
            case "initialize":
                return _initialize(params)
            case "ping":
                return {}
            case "tools/list":
                return {"tools": [_description(name, tool) for name, tool in _TOOLS.items()]}
            case "tools/call":
                return self._call(params)
        raise _RpcError(protocol.UNKNOWN_METHOD, f"unknown method: {method}")

    def _call(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        name = params.get("name")
        if not isinstance(name, str) or name not in _TOOLS:
            raise _RpcError(protocol.INVALID_PARAMS, f"unknown tool: {name}")
        arguments = params.get("arguments")
        try:
            text = _CALLS[name](self._client, _checked(name, arguments if isinstance(arguments, dict) else {}))
        except CodeindexError as error:
            self._client.close()  # after an error of the connection the next call opens a new one
            message = f"{error.message}\nHint: {error.hint}" if error.hint else error.message
            return {"content": [_text(message)], "isError": True}
        except OSError as error:
            return {"content": [_text(f"{error.filename or 'system'}: {error.strerror or error}")], "isError": True}
        return {"content": [_text(text)], "isError": False}


def _initialize(params: Mapping[str, Any]) -> Mapping[str, Any]:
    asked = params.get("protocolVersion")
    return {
        "protocolVersion": asked if asked in VERSIONS else VERSIONS[0],
        "capabilities": {"tools": {"listChanged": False}},
        "serverInfo": {"name": "codeindexd", "title": "codeindexd", "version": __version__},
        "instructions": _INSTRUCTIONS,
    }


def _description(name: str, tool: Mapping[str, Any]) -> Mapping[str, Any]:
    schema = {"type": "object", "properties": tool["properties"], "required": tool["required"]}
    hints = {
        "readOnlyHint": tool["read_only"],
        "destructiveHint": False,
        "idempotentHint": True,
        "openWorldHint": False,
    }
    return {
        "name": name,
        "title": tool["title"],
        "description": tool["description"],
        "inputSchema": schema,
        "annotations": hints,
    }


def _checked(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a tool that we know, typed. Raises UsageError."""
    tool = _TOOLS[name]
    checked: dict[str, Any] = {}
    for key, schema in tool["properties"].items():
        value = arguments.get(key)
        if value is None:
            if key in tool["required"]:
                raise UsageError(f"{name}: {key} is missing", hint=schema["description"])
            continue
        kind, expected = _TYPES[schema["type"]]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise UsageError(f"{name}: {key} must be {expected}", hint=schema["description"])
        checked[key] = value
    if "limit" in checked:
        checked["limit"] = min(checked["limit"], _MAX_LIMIT)
    return checked


def _text(text: str) -> Mapping[str, str]:
    return {"type": "text", "text": text}


def _failure(request_id: Any, code: int, message: str) -> Mapping[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}}


# -- tools -----------------------------------------------------------------------------------------------------------


def _search_code(client: Client, arguments: dict[str, Any]) -> str:
    result = client.search(
        arguments["query"],
        roots=[arguments["root"]] if "root" in arguments else None,
        limit=arguments.get("limit"),
        language=arguments.get("language"),
        path=arguments.get("path"),
    )
    return _hits(result, "No hits.")


def _hits(result: SearchResult, nothing: str) -> str:
    text = "\n\n".join(map(_place, result["hits"])) or nothing
    if result["state"] != "fresh":
        text += f"\n\nNote: the index is {result['state']}; some code may be missing from it."
    return text


def _find_symbol(client: Client, arguments: dict[str, Any]) -> str:
    roots = [arguments["root"]] if "root" in arguments else None
    result = client.symbol(arguments["name"], roots=roots, references=arguments.get("references", False))
    parts = ["Definitions:", *map(_place, result["definitions"])] if result["definitions"] else ["No definition found."]
    if result["references"]:
        parts += ["Uses:", *map(_place, result["references"])]
    return "\n\n".join(parts)


def _related_code(client: Client, arguments: dict[str, Any]) -> str:
    result = client.related_to(arguments["path"], arguments["line"], limit=arguments.get("limit"))
    return _hits(result, "Nothing resembles it.")


def _index_status(client: Client, arguments: dict[str, Any]) -> str:
    result = client.status(arguments.get("root"))
    lines = []
    for root in result["roots"]:
        lines.append(f"{root['path']}: {root['state']}, {root['files']} files, {root['chunks']} chunks")
        lines += [f"  {problem['message']} ({problem['hint']})" for problem in root.get("problems", [])]
        lines += [f"  {note}" for note in root.get("notes", [])]
        lines += [f"  not indexed: {failure['path']}: {failure['error']}" for failure in root["failures"][:10]]
    return "\n".join(lines) or "Nothing is indexed yet; add_root indexes a directory."


def _add_root(client: Client, arguments: dict[str, Any]) -> str:
    result = client.add(arguments["path"], wait=arguments.get("wait", True))
    lines = [f"{root['path']}: {root['state']}, {root['files']} files" for root in result["roots"]]
    return "\n".join(lines)


def _place(place: Place) -> str:
    symbol = f" {place['symbol']}" if place["symbol"] else ""
    where = f"{place['root'].rstrip('/')}/{place['path']}:{place['start_line']}-{place['end_line']}"
    fence = "````" if "```" in place["snippet"] else "```"
    return f"{where} ({place['kind']}{symbol})\n{fence}{place['language']}\n{place['snippet'].rstrip()}\n{fence}"


_CALLS: Mapping[str, Callable[[Client, dict[str, Any]], str]] = {
    "search_code": _search_code,
    "find_symbol": _find_symbol,
    "related_code": _related_code,
    "index_status": _index_status,
    "add_root": _add_root,
}
