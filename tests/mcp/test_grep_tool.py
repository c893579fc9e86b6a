"""The tool ``grep``: lines with their context, each once, and what it says about lines that do not fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from client.fake_daemon import FakeDaemon
from codeindexd.client import AsyncClient
from codeindexd.mcp.answers import Answer
from codeindexd.mcp.scope import Project
from codeindexd.mcp.tool import Call
from codeindexd.mcp.toolset import TOOLS
from codeindexd.protocol.methods import HOW_TO_NARROW

FILE = ["def f():", "    a = 1", "    b = 2", "    a = 3", "", "    return a"]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path_factory.mktemp("s") / "s", roots={"/p": "fresh"}) as running:
        yield running


def match(line: int, context: int = 0, path: str = "a.py") -> dict[str, Any]:
    """Return a matching line of FILE, as the daemon does."""
    text = FILE[line - 1]
    around = {"before": FILE[max(0, line - 1 - context) : line - 1], "after": FILE[line : line + context]}
    return {
        "root": "/p", "path": path, "line": line, "column": 1, "text": text, "spans": [[text.index("a"), 5]], **around
    }  # fmt: skip


def ask(daemon: FakeDaemon, matches: list[dict[str, Any]], total: int = 0, **arguments: Any) -> Answer:
    daemon.answers["grep"] = {
        "matches": matches, "files": 2, "total": total or len(matches), "searched": 2, "state": "fresh",
        "notes": [f"9 more lines match; raise the limit, or {HOW_TO_NARROW}", "1 file left out: binary"],
    }  # fmt: skip

    async def main() -> Answer:
        async with AsyncClient(daemon.socket_path, start=False) as client:
            call = Call(client, Project(("/p",)), lambda *_: None)
            return await TOOLS["grep"].call(call, {"pattern": "a", **arguments})

    return anyio.run(main)


def test_context_keeps_its_indentation_and_no_line_is_shown_twice(daemon: FakeDaemon) -> None:
    text = ask(daemon, [match(2, 2), match(4, 2), match(6, 2), match(2, 1, "b.py")], context=2).text
    assert text.splitlines()[1:-1] == [
        "a.py",
        "1- def f():",
        "2:     a = 1",
        "3-     b = 2",
        "4:     a = 3",
        "5- ",
        "6:     return a",
        "b.py",
        "1- def f():",
        "2:     a = 1",
        "3-     b = 2",
    ]


def test_lines_without_context_have_no_indentation(daemon: FakeDaemon) -> None:
    assert ask(daemon, [match(2), match(4)]).text.splitlines()[1:-1] == ["a.py", "2: a = 1", "4: a = 3"]


def test_lines_that_do_not_fit_are_said_once(daemon: FakeDaemon) -> None:
    text = ask(daemon, [match(2)] * 3, total=12).text
    assert "(9 more in 1 other file; narrow with path=..., or repeat with page=2)" in text
    assert "limit" not in text  # which the tool does not have
    assert "Note: 1 file left out: binary" in text
