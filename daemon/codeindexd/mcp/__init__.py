"""A Model Context Protocol server on stdio that offers the daemon's queries as tools."""

from __future__ import annotations

from codeindexd.mcp.server import VERSIONS, serve

__all__ = ["VERSIONS", "serve"]
