"""Resources that a host can attach to a conversation: a map of the project, the outline of a file, the status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from codeindexd.errors import UsageError
from codeindexd.mcp.arguments import local_path
from codeindexd.mcp.graph_tools import MAP, OUTLINE
from codeindexd.mcp.root_tools import STATUS
from codeindexd.mcp.tool import Call

_MAP = "codeindex://map"
_STATUS = "codeindex://status"
_FILE = "codeindex://file/"


def described() -> list[Mapping[str, Any]]:
    """Return the resources as ``resources/list`` has them."""
    return [
        {
            "uri": _MAP,
            "name": "map",
            "title": "Map of the project",
            "description": "The files and definitions that most of the project depends on.",
            "mimeType": "text/plain",
        },
        {
            "uri": _STATUS,
            "name": "status",
            "title": "Index status",
            "description": "What is indexed, and how fresh it is.",
            "mimeType": "text/plain",
        },
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
    if uri == _MAP:
        return (await MAP.call(call, {})).text
    if uri.startswith(_FILE):
        path = local_path(unquote(uri.removeprefix(_FILE)), call.project.base or "/")
        return (await OUTLINE.call(call, {"path": path})).text
    raise UsageError(f"no such resource: {uri}; resources/list names those that exist")
