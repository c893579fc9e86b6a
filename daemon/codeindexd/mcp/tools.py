"""The tools for agents: their schemas, and their results as text for a model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import anyio

from codeindexd.errors import UsageError

if TYPE_CHECKING:
    from codeindexd.client.aio import AsyncClient
    from codeindexd.client.results import Definition, Hit, Line, Place, SearchResult

_MAX_LIMIT = 50
_MAX_LINE_CHARS = 240
_ADD_TIMEOUT_S = 30.0  # hosts abort a tool call after a minute; a part of the index can be searched by then
_ROOT = {"type": "string", "description": "Absolute path of an indexed directory. Default: all roots."}
_LIMIT = {"type": "integer", "minimum": 1, "maximum": _MAX_LIMIT, "description": "Number of results, 10 by default."}
TOOLS: dict[str, dict[str, Any]] = {
    "search_code": {
        "title": "Search code",
        "description": "Find code by what it does or by the words in it. Returns whole functions, classes or sections "
        "with path and lines, best first, as they are on the disk now.",
        "properties": {
            "query": {
                "type": "string",
                "description": "A question or keywords, optionally with filters: lang:python path:src/** "
                '-path:tests/** kind:function symbol:Name "an exact phrase" /regex/',
            },
            "root": _ROOT,
            "limit": _LIMIT,
            "language": {"type": "string", "description": "Only this language, for example python."},
            "path": {"type": "string", "description": "Only paths that match this glob, for example src/**."},
        },
        "required": ["query"],
        "read_only": True,
    },
    "grep": {
        "title": "Find matching lines",
        "description": "Find every line that matches a regex or a plain text, in all indexed files, complete and as "
        "they are on the disk now. Use it instead of grep: it takes milliseconds. Returns path:line: text.",
        "properties": {
            "pattern": {"type": "string", "description": "A regex in RE2's syntax (no lookaround, no backreferences)."},
            "fixed": {"type": "boolean", "description": "The pattern is plain text. Default: false."},
            "ignore_case": {"type": "boolean", "description": "Match letters of any case. Default: false."},
            "word": {"type": "boolean", "description": "Match whole words only. Default: false."},
            "root": {"type": "string", "description": "Absolute path of a directory or file to search. Default: all."},
            "path": {"type": "string", "description": "Only paths that match this glob; with ! before it, no such."},
            "language": {"type": "string", "description": "Only this language; with ! before it, no such."},
            "limit": {"type": "integer", "minimum": 1, "maximum": _MAX_LIMIT, "description": "Lines, 50 by default."},
        },
        "required": ["pattern"],
        "read_only": True,
    },
    "find_symbol": {
        "title": "Find a symbol",
        "description": "Find where a function, class, method or type is defined, and optionally where it is used.",
        "properties": {
            "name": {"type": "string", "description": "The name, plain or dotted: connect, Client.connect."},
            "root": _ROOT,
            "references": {"type": "boolean", "description": "Also find uses. Default: false."},
        },
        "required": ["name"],
        "read_only": True,
    },
    "related_code": {
        "title": "Find related code",
        "description": "Find code similar to the function or section at a line of a file.",
        "properties": {
            "path": {"type": "string", "description": "Absolute path of the file."},
            "line": {"type": "integer", "minimum": 1, "description": "A line of that code, counted from 1."},
            "limit": _LIMIT,
        },
        "required": ["path", "line"],
        "read_only": True,
    },
    "index_status": {
        "title": "Index status",
        "description": "Show what is indexed, how fresh it is, and what could not be indexed and why.",
        "properties": {"root": _ROOT},
        "required": [],
        "read_only": True,
    },
    "add_root": {
        "title": "Index a directory",
        "description": "Index a directory and keep the index fresh. A large one takes minutes; the part that is "
        "indexed can be searched meanwhile, and index_status shows how much is left.",
        "properties": {
            "path": {
                "type": "string",
                "description": "Absolute path of the directory, preferably the top of a repository.",
            },
            "wait": {
                "type": "boolean",
                "description": "Wait until all of it can be searched, at most 30 seconds. Default: true.",
            },
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


def descriptions() -> Iterator[Mapping[str, Any]]:
    """Yield the descriptions of all tools, as ``tools/list`` returns them."""
    for name, tool in TOOLS.items():
        yield _description(name, tool)


async def call(client: AsyncClient, name: str, arguments: Mapping[str, Any]) -> str:
    """Call the tool ``name`` and return its result. Raises CodeindexError, UsageError for wrong arguments."""
    return await _CALLS[name](client, _checked(name, arguments))


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
    """Return the arguments that the tool has, after checking their types. Raises UsageError."""
    tool = TOOLS[name]
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


# -- tools -----------------------------------------------------------------------------------------------------------


async def _search_code(client: AsyncClient, arguments: dict[str, Any]) -> str:
    result = await client.search(
        arguments["query"],
        roots=[arguments["root"]] if "root" in arguments else None,
        limit=arguments.get("limit"),
        language=arguments.get("language"),
        path=arguments.get("path"),
    )
    return _hits(result, "No hits.")


def _hits(result: SearchResult, nothing: str) -> str:
    """Return the hits as text, ``nothing`` if there are none, with notes on what was not or cannot be searched."""
    text = "\n\n".join(map(_place, result["hits"])) or nothing
    if (searched := result.get("searched")) is not None:
        text += f" Files searched: {searched}."
    notes = [*result.get("notes", [])]
    if result["state"] != "fresh":
        notes.append(f"the index is {result['state']}; some code may be missing from it.")
    return "\n\n".join([text, *(f"Note: {note}" for note in notes)])


async def _grep(client: AsyncClient, arguments: dict[str, Any]) -> str:
    result = await client.grep(
        arguments["pattern"],
        roots=[arguments["root"]] if "root" in arguments else None,
        path=[arguments["path"]] if "path" in arguments else None,
        language=arguments.get("language"),
        fixed=arguments.get("fixed", False),
        ignore_case=arguments.get("ignore_case", False),
        word=arguments.get("word", False),
        limit=arguments.get("limit", _MAX_LIMIT),
    )
    lines = [
        f"{match['root'].rstrip('/')}/{match['path']}:{match['line']}:{_cell(match)} {_cut_around(match)}"
        for match in result["matches"]
    ]
    if not result["total"]:
        lines.append("No line of an indexed file matches.")
    lines += [f"Note: {note}" for note in result.get("notes", [])]
    if result["state"] != "fresh":
        lines.append(f"Note: the index is {result['state']}; some code may be missing from it.")
    return "\n".join(lines)


def _cell(match: Line) -> str:
    return f" cell {match['cell']}:" if "cell" in match else ""


def _cut_around(match: Line) -> str:
    """Return the line without indentation; of a long line, only the part around the first match."""
    text = match["text"]
    if len(text) <= _MAX_LINE_CHARS:
        return text.strip()
    start = len(text.encode()[: match["spans"][0][0]].decode("utf-8", "replace"))
    first = max(0, min(start - _MAX_LINE_CHARS // 4, len(text) - _MAX_LINE_CHARS))
    return f"...{text[first : first + _MAX_LINE_CHARS]}..."


_MATCHES = {
    "last_part": "No definition has this qualified name. Definitions of its last part:",
    "prefix": "No definition has this name. Definitions of names that begin with it:",
    "part": "No definition has this name. Definitions of names that contain it:",
    "spelling": "No definition has this name. Definitions of names that resemble it:",
}


async def _find_symbol(client: AsyncClient, arguments: dict[str, Any]) -> str:
    roots = [arguments["root"]] if "root" in arguments else None
    result = await client.symbol(arguments["name"], roots=roots, references=arguments.get("references", False))
    parts = ["No definition is known."]
    if result["definitions"]:
        parts = ["Definitions:", *map(_place, result["definitions"])]
    elif similar := result.get("similar"):
        parts = [_MATCHES[result["match"]], *map(_place, similar)]
    if result["references"]:
        parts += ["Uses:", *map(_place, result["references"])]
    return "\n\n".join([*parts, *(f"Note: {note}" for note in result.get("notes", []))])


async def _related_code(client: AsyncClient, arguments: dict[str, Any]) -> str:
    result = await client.related_to(arguments["path"], arguments["line"], limit=arguments.get("limit"))
    return _hits(result, "No similar code.")


async def _index_status(client: AsyncClient, arguments: dict[str, Any]) -> str:
    result = await client.status(arguments.get("root"))
    lines = []
    for root in result["roots"]:
        left = f", {root['pending_files']} files left" if root["pending_files"] else ""
        lines.append(f"{root['path']}: {root['state']}, {root['files']} files, {root['chunks']} chunks{left}")
        lines += [f"  {problem['message']} ({problem['hint']})" for problem in root.get("problems", [])]
        lines += [f"  {note}" for note in root.get("notes", [])]
        lines += [f"  not indexed: {failure['path']}: {failure['error']}" for failure in root["failures"][:10]]
    return "\n".join(lines) or "Nothing is indexed yet. Index a directory with add_root."


async def _add_root(client: AsyncClient, arguments: dict[str, Any]) -> str:
    path = arguments["path"]
    result = None
    if arguments.get("wait", True):
        with anyio.move_on_after(_ADD_TIMEOUT_S):
            result = await client.add(path)
    if result is None:
        result = await client.add(path, wait=False)
    lines = [f"{root['path']}: {root['state']}, {root['files']} files" for root in result["roots"]]
    if any(root["state"] in {"indexing", "reconciling"} for root in result["roots"]):
        lines.append(
            "Indexing continues. The part that is indexed can be searched; index_status shows how much is left."
        )
    return "\n".join(lines)


def _place(place: Place | Hit | Definition) -> str:
    """Return the position of a chunk, and its text in a Markdown fence."""
    symbol = f" {place['symbol']}" if place["symbol"] else ""
    where = f"{place['root'].rstrip('/')}/{place['path']}:{place['start_line']}-{place['end_line']}"
    if "cell" in place:
        where += f" cell {place['cell']}"
    if (line := place.get("name_line", place.get("best_line"))) not in (None, place["start_line"]):
        where += f" at line {line}"
    if copies := place.get("copy_count"):
        where += f" and {copies} identical {'copy' if copies == 1 else 'copies'}"
    fence = "````" if "```" in place["snippet"] else "```"
    return f"{where} ({place['kind']}{symbol})\n{fence}{place['language']}\n{place['snippet'].rstrip()}\n{fence}"


_CALLS: Mapping[str, Callable[[AsyncClient, dict[str, Any]], Awaitable[str]]] = {
    "search_code": _search_code,
    "grep": _grep,
    "find_symbol": _find_symbol,
    "related_code": _related_code,
    "index_status": _index_status,
    "add_root": _add_root,
}
