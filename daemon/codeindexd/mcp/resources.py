"""Resources that a host can attach to a conversation: the state of the index, and the outline of a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from codeindexd.errors import UsageError
from codeindexd.mcp import tokens
from codeindexd.mcp.answers import DEFAULT_TOKENS, noted
from codeindexd.mcp.arguments import local_path
from codeindexd.mcp.root_tools import STATUS
from codeindexd.mcp.tool import Call

_STATUS = "codeindex://status"
_FILE = "codeindex://file/"


def described() -> list[Mapping[str, Any]]:
    """Return the resources as ``resources/list`` has them."""
    return [
        {
            "uri": _STATUS,
            "name": "status",
            "title": "Index status",
            "description": "What is indexed, and how fresh it is.",
            "mimeType": "text/plain",
        }
    ]


def described_templates() -> list[Mapping[str, Any]]:
    """Return the templates as ``resources/templates/list`` has them."""
    return [
        {
            "uriTemplate": f"{_FILE}{{+path}}",
            "name": "file",
            "title": "Outline of a file",
            "description": "The definitions in a file with their lines; path is relative to the project, or absolute.",
            "mimeType": "text/plain",
        }
    ]


async def read(call: Call, uri: str) -> str:
    """Return the text of a resource. Raises UsageError if there is none with this URI."""
    if uri == _STATUS:
        return (await STATUS.call(call, {})).text
    if uri.startswith(_FILE):
        return await _outline(call, local_path(unquote(uri.removeprefix(_FILE)), call.project.base or "/"))
    raise UsageError(f"no such resource: {uri}")


async def _outline(call: Call, path: str) -> str:
    """Return a line for each chunk of a file that has a symbol."""
    explained = await call.client.explain(path)
    if not explained["indexed"]:
        raise UsageError(f"{path} is not indexed: {explained['reason']}")
    budget = noted(DEFAULT_TOKENS, [])
    lines = []
    for chunk in explained["chunks"]:
        line = f"{chunk['start_line']}-{chunk['end_line']}: {chunk['symbol']}  {chunk['kind']}"
        if chunk["symbol"] and budget.take(tokens.count(line) + 1):
            lines.append(line)
    return "\n".join([path, *lines])
