"""The Model Context Protocol server, driven as a process over pipes as a host does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codeindexd import mcp
from support.daemons import SOURCE
from support.fake_daemon import FakeDaemon


class Host:
    """The other end of the pipes."""

    def __init__(self, daemon: FakeDaemon) -> None:
        environ = {**os.environ, "CODEINDEXD_SOCKET": str(daemon.socket_path), "PYTHONPATH": str(SOURCE)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "codeindexd.cli.main", "mcp", "--no-start"],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._last = 0

    def send(self, message: object) -> None:
        assert self.process.stdin
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def read(self) -> Any:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def ask(self, method: str, **params: object) -> Any:
        self._last += 1
        self.send({"jsonrpc": "2.0", "id": self._last, "method": method, "params": params})
        reply = self.read()
        assert reply["id"] == self._last
        return reply

    def call(self, tool: str, **arguments: object) -> tuple[str, bool]:
        """(text, whether it is an error)."""
        result = self.ask("tools/call", name=tool, arguments=arguments)["result"]
        return result["content"][0]["text"], result["isError"]

    def end(self) -> int:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        rest = self.process.stdout.read()
        self.process.stdout.close()
        assert rest == b""
        return self.process.wait(20)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path / "s", roots={"/p": "fresh"}) as running:
        yield running


@pytest.fixture
def host(daemon: FakeDaemon) -> Iterator[Host]:
    host = Host(daemon)
    yield host
    assert host.end() == 0


def test_a_session_from_the_first_message_to_the_last(host: Host) -> None:
    result = host.ask("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "t"})["result"]
    assert result["protocolVersion"] == "2025-06-18"
    assert result["serverInfo"]["name"] == "codeindexd"
    assert "tools" in result["capabilities"]
    host.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert host.ask("ping")["result"] == {}
    tools = {tool["name"]: tool for tool in host.ask("tools/list")["result"]["tools"]}
    assert set(tools) == {"search_code", "find_symbol", "related_code", "index_status", "add_root"}
    for tool in tools.values():
        assert tool["description"]
        assert set(tool["inputSchema"]["required"]) <= set(tool["inputSchema"]["properties"])


def test_an_unknown_version_is_answered_with_the_newest_we_speak(host: Host) -> None:
    assert host.ask("initialize", protocolVersion="1999-01-01")["result"]["protocolVersion"] == mcp.VERSIONS[0]
    assert host.ask("initialize")["result"]["protocolVersion"] == mcp.VERSIONS[0]


def test_every_tool_answers_in_text(host: Host, daemon: FakeDaemon, tmp_path: Path) -> None:
    text, failed = host.call(
        "search_code", query="check password", root="/p", limit=1000, language="python", path="src/**"
    )
    assert not failed
    assert text.startswith("/p/src/auth.py:12-16 (function check_password)\n```python\ndef check_password(")
    assert daemon.seen[-1][1]["limit"] == 50
    text, failed = host.call("find_symbol", name="check_password", references=True)
    assert "Definitions:" in text
    assert "Uses:" in text
    assert not failed
    text, failed = host.call("related_code", path="/p/src/auth.py", line=12)
    assert "check_password" in text
    text, failed = host.call("index_status")
    assert text == "/p: fresh, 120 files, 1903 chunks"
    text, failed = host.call("add_root", path=str(tmp_path))
    assert (text, failed) == (f"{tmp_path}: fresh, 120 files", False)
    assert host.call("search_code", query="nothing")[0] == "No hits."
    assert host.call("find_symbol", name="nothing")[0] == "No definition found."


def test_what_is_not_fresh_is_said(host: Host, daemon: FakeDaemon) -> None:
    daemon.roots["/p"] = "degraded"
    assert "Note: the index is degraded" in host.call("search_code", query="x")[0]
    text, _ = host.call("index_status")
    assert "inotify is out of watches (sysctl ...)" in text
    assert "not indexed: src/bad.py: took too long" in text


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("search_code", {"query": "-path:x"}, "only says what to leave out"),
        ("search_code", {"query": "x", "root": "/elsewhere"}, "Hint: index it: codeindex add /elsewhere"),
        ("search_code", {}, "query is missing"),
        ("search_code", {"query": 5}, "query must be a string"),
        ("search_code", {"query": "x", "limit": True}, "limit must be a whole number"),
        ("search_code", {"query": "x", "limit": 0}, "limit must be 1 to 1000"),
        ("related_code", {"path": "/elsewhere/a", "line": 1}, "is not indexed"),
        ("add_root", {"path": "/no/such/place"}, "is not a directory"),
    ],
)
def test_what_goes_wrong_in_a_tool_is_a_result_the_model_can_read(
    host: Host, tool: str, arguments: dict[str, object], says: str
) -> None:
    text, failed = host.call(tool, **arguments)
    assert failed
    assert says in text
    assert not host.call("index_status")[1]


def test_what_is_no_request_is_answered_and_the_session_goes_on(host: Host) -> None:
    for line, code in (
        (b"{", -32700),
        (b"5", -32600),
        (b"{}", -32600),
        (b'{"id": 1, "method": 5}', -32600),
        (b"[]", -32600),
    ):
        host.send(line)
        assert host.read()["error"]["code"] == code
    assert host.ask("resources/list")["error"]["code"] == -32601
    assert host.ask("tools/call", name="nope")["error"]["code"] == -32602
    host.send({"jsonrpc": "2.0", "id": 9, "result": {}})
    host.send(b"")
    host.send([{"jsonrpc": "2.0", "id": 1, "method": "ping"}, {"jsonrpc": "2.0", "method": "x"}])
    assert host.read() == [{"jsonrpc": "2.0", "id": 1, "result": {}}]


def test_a_daemon_that_went_away_is_an_error_of_the_tool_and_its_return_is_noticed(tmp_path: Path) -> None:
    with FakeDaemon(tmp_path / "s", roots={"/p": "fresh"}) as first:
        host = Host(first)
        assert not host.call("index_status")[1]
    assert host.call("index_status")[1]
    with FakeDaemon(tmp_path / "s", roots={"/p": "fresh"}):
        assert not host.call("index_status")[1]
        assert host.end() == 0
