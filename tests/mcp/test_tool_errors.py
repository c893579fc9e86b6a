"""Errors as a model reads them."""

from __future__ import annotations

import pytest

from codeindexd.cli import commands
from codeindexd.errors import UsageError
from codeindexd.mcp.tool_errors import describe

GRAPH = {"refs", "callers", "callees", "impact", "outline", "map", "related", "symbol", "search", "grep"}
HISTORY = {"log", "why", "history", "together"}


@pytest.mark.parametrize("command", sorted(GRAPH | HISTORY))
def test_what_a_tool_can_do_is_not_left_to_the_user(command: str) -> None:
    assert command in commands.COMMANDS
    text = describe(UsageError("src is a directory", hint=f"for its outline: codeindex {command} PATH"))
    assert "call " in text
    assert "terminal" not in text
