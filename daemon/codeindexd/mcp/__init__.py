"""A Model Context Protocol server on stdio over the running daemon: JSON-RPC lines, tools only."""

from __future__ import annotations

from codeindexd.mcp.server import VERSIONS, serve

__all__ = ["VERSIONS", "serve"]
