"""A Model Context Protocol server that offers the daemon's queries as tools, on stdio or HTTP."""

from __future__ import annotations

from codeindexd.mcp.revisions import VERSIONS
from codeindexd.mcp.session import Server
from codeindexd.mcp.stdio import serve

__all__ = ["VERSIONS", "Server", "serve"]
