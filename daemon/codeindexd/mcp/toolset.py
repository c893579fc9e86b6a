"""All tools, and the names under which earlier versions had them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codeindexd.mcp.graph_tools import IMPACT, MAP, OUTLINE
from codeindexd.mcp.grep_tool import GREP
from codeindexd.mcp.history_tools import LOG
from codeindexd.mcp.root_tools import ADD_ROOT, STATUS
from codeindexd.mcp.search_tools import RELATED, SEARCH
from codeindexd.mcp.symbol_tool import SYMBOL
from codeindexd.mcp.tool import Tool
from codeindexd.mcp.why_tools import HISTORY, TOGETHER, WHY

_ALL = (SEARCH, GREP, SYMBOL, OUTLINE, MAP, IMPACT, RELATED, LOG, WHY, HISTORY, TOGETHER, STATUS, ADD_ROOT)
TOOLS: Mapping[str, Tool] = {tool.name: tool for tool in _ALL}
_FORMER_NAMES = {
    "search_code": "search",
    "find_symbol": "symbol",
    "related_code": "related",
    "index_status": "status",
}


def current_call(name: str, arguments: Mapping[str, Any]) -> tuple[Tool, dict[str, Any]] | None:
    """Return the tool with a name, also with one that it had before, and its arguments by today's names."""
    if name in TOOLS:
        return TOOLS[name], dict(arguments)
    if name not in _FORMER_NAMES:
        return None
    current = dict(arguments)
    if name == "find_symbol" and "references" in current:
        uses = current.pop("references")
        current["of"] = "references" if uses in (True, "true") else "definitions"
    return TOOLS[_FORMER_NAMES[name]], current
