"""The Model Context Protocol server, run as a process over pipes as a host does."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from client.fake_daemon import FakeDaemon, place
from codeindexd import mcp
from codeindexd.client import AsyncClient
from codeindexd.daemon.server import Connection
from codeindexd.mcp import tools
from support.daemons import until
from support.places import DAEMON

pytestmark = pytest.mark.processes


class Host:
    """A host that runs the server."""

    def __init__(self, daemon: FakeDaemon, errors: int | None = None) -> None:
        environ = {**os.environ, "CODEINDEXD_SOCKET": str(daemon.socket_path), "PYTHONPATH": str(DAEMON)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "codeindexd.cli.codeindex", "mcp", "--no-start"],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
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
        """Call a tool and return its text, and whether it is an error."""
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


def test_a_complete_session(host: Host) -> None:
    result = host.ask("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "t"})["result"]
    assert result["protocolVersion"] == "2025-06-18"
    assert result["serverInfo"]["name"] == "codeindexd"
    assert "tools" in result["capabilities"]
    host.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert host.ask("ping")["result"] == {}
    tools = {tool["name"]: tool for tool in host.ask("tools/list")["result"]["tools"]}
    assert set(tools) == {"search_code", "grep", "find_symbol", "related_code", "index_status", "add_root"}
    for tool in tools.values():
        assert tool["description"]
        assert set(tool["inputSchema"]["required"]) <= set(tool["inputSchema"]["properties"])


def test_an_unknown_version_is_answered_with_the_newest_supported_one(host: Host) -> None:
    assert host.ask("initialize", protocolVersion="1999-01-01")["result"]["protocolVersion"] == mcp.VERSIONS[0]
    assert host.ask("initialize")["result"]["protocolVersion"] == mcp.VERSIONS[0]


def test_what_was_not_found_or_replaced_is_said(host: Host, daemon: FakeDaemon) -> None:
    daemon.answers["search"] = {
        "query": "x",
        "took_ms": 1.0,
        "clock": "id:7",
        "state": "fresh",
        "dense_coverage": 1.0,
        "hits": [place("/p", copy_count=29)],
        "notes": ["showing results for name: nmae does not occur"],
    }
    text, _ = host.call("search_code", query="nmae")
    assert "and 29 identical copies" in text
    assert text.endswith("Note: showing results for name: nmae does not occur")
    daemon.answers["symbol"] = {
        "symbol": "chec",
        "match": "prefix",
        "definitions": [],
        "similar": [place("/p", name_line=12)],
        "references": [],
        "notes": ["no symbols are known for vue"],
    }
    text, _ = host.call("find_symbol", name="chec")
    assert text.startswith("No definition has this name. Definitions of names that begin with it:")
    assert text.endswith("Note: no symbols are known for vue")


def test_every_tool_answers_with_text(host: Host, daemon: FakeDaemon, tmp_path: Path) -> None:
    text, failed = host.call(
        "search_code", query="check password", root="/p", limit=1000, language="python", path="src/**"
    )
    assert not failed
    assert text.startswith("/p/src/auth.py:12-16 at line 14 (function check_password)\n```python\ndef check_password(")
    assert daemon.seen[-1][1]["limit"] == 50
    text, failed = host.call("grep", pattern="user\\.locked", root="/p", language="!go")
    assert daemon.seen[-1][1]["language"] == "!go"
    assert (text, failed) == ("/p/src/auth.py:14: if user.locked:", False)
    assert host.call("grep", pattern="nothing")[0] == "No line of an indexed file matches."
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
    assert host.call("search_code", query="nothing")[0] == "No hits. Files searched: 240."
    assert host.call("find_symbol", name="nothing")[0] == "No definition is known."


def test_answers_say_if_the_index_is_not_fresh(host: Host, daemon: FakeDaemon) -> None:
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
        ("related_code", {"path": "/a\0b/c", "line": 1}, "'/a\\x00b/c' cannot be a path"),
        ("search_code", {"query": "x", "root": "/a\ud800b"}, "'/a\\ud800b' cannot be a path"),
        ("search_code", {"query": "x\ud800", "root": "/elsewhere"}, "is not indexed"),
        ("index_status", {"root": ""}, "a path is empty"),
        ("add_root", {"path": ""}, "a path is empty"),
        ("add_root", {"path": "/no/such/place"}, "is not a directory"),
    ],
)
def test_an_error_in_a_tool_is_a_result_with_a_hint(
    host: Host, tool: str, arguments: dict[str, object], says: str
) -> None:
    text, failed = host.call(tool, **arguments)
    assert failed
    assert says in text
    assert not host.call("index_status")[1]


def test_malformed_messages_do_not_end_the_session(host: Host) -> None:
    for line, code in (
        (b"{", -32700),
        (b"5", -32600),
        (b"{}", -32600),
        (b'{"id": 1, "method": 5}', -32600),
        (b'{"id": 1e999, "method": "ping"}', -32600),
        (b'{"id": {}, "method": "ping"}', -32600),
        (b'{"id": null, "method": "ping"}', -32600),
        (b'{"id": true, "method": "ping"}', -32600),
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


def test_a_stopped_daemon_is_a_tool_error_until_it_is_back(tmp_path: Path) -> None:
    with FakeDaemon(tmp_path / "s", roots={"/p": "fresh"}) as first:
        host = Host(first)
        assert not host.call("index_status")[1]
    assert host.call("index_status")[1]
    with FakeDaemon(tmp_path / "s", roots={"/p": "fresh"}):
        assert not host.call("index_status")[1]
        assert host.end() == 0


def hang(daemon: FakeDaemon, method: str) -> list[str]:
    """Make ``method`` never answer; return a list that records its requests."""
    events: list[str] = []

    async def answer(params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        events.append("started")
        try:
            await anyio.sleep_forever()
        finally:
            events.append("cancelled")
        return {}

    daemon.answers[method] = answer
    return events


def tool_call(number: object, tool: str, **arguments: object) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": tool, "arguments": arguments}
    }  # fmt: skip


def test_a_slow_tool_delays_nothing_and_can_be_cancelled(host: Host, daemon: FakeDaemon) -> None:
    events = hang(daemon, "search")
    host.send(tool_call("slow", "search_code", query="x"))
    until(lambda: events == ["started"])
    assert host.ask("ping")["result"] == {}
    assert not host.call("index_status")[1]
    for params in ({"requestId": "slow", "reason": "enough"}, {"requestId": "slow"}, {"requestId": []}, {}, None, [1]):
        host.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
    until(lambda: events == ["started", "cancelled"])
    assert host.ask("ping")["result"] == {}  # the cancelled request has no answer before this one


def test_an_unexpected_error_fails_only_its_request(daemon: FakeDaemon) -> None:
    host = Host(daemon, subprocess.PIPE)
    daemon.answers["search"] = {"state": "fresh"}
    error = host.ask("tools/call", name="search_code", arguments={"query": "x"})["error"]
    assert error["code"] == -32603
    assert error["message"].startswith("internal error: KeyError (tools.py:")
    assert host.ask("ping")["result"] == {}
    assert host.process.stderr
    with host.process.stderr as errors:
        assert host.end() == 0
        assert errors.read().startswith(b"codeindex mcp: request failed: KeyError (tools.py:")


def in_process(daemon: FakeDaemon, *messages: object) -> dict[Any, Any]:
    """Serve messages that arrive all at once, and return the replies by id."""
    out = io.BytesIO()
    lines = io.BytesIO(b"".join(json.dumps(message).encode() + b"\n" for message in messages))
    mcp.serve(lambda: AsyncClient(daemon.socket_path, start=False), lines, out, print)
    replies = [json.loads(line) for line in out.getvalue().splitlines()]
    return {reply["id"]: reply for reply in replies}


def test_all_requests_are_answered_before_the_session_ends(daemon: FakeDaemon) -> None:
    requests = [tool_call(number, "search_code", query=f"q{number}") for number in range(200)]
    replies = in_process(daemon, *requests)
    assert set(replies) == set(range(200))
    assert not any(reply["result"]["isError"] for reply in replies.values())


def test_adding_a_large_directory_returns_before_it_is_indexed(
    daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "_ADD_TIMEOUT_S", 0.0)
    (reply,) = in_process(daemon, tool_call(1, "add_root", path=str(tmp_path))).values()
    text = reply["result"]["content"][0]["text"]
    assert text.startswith(f"{tmp_path}: indexing, 120 files\nIndexing continues.")
    (reply,) = in_process(daemon, tool_call(1, "index_status", root=str(tmp_path))).values()
    assert reply["result"]["content"][0]["text"].endswith(": indexing, 120 files, 1903 chunks, 60 files left")
    (reply,) = in_process(daemon, tool_call(1, "add_root", path=str(tmp_path), wait=False)).values()
    assert "Indexing continues." in reply["result"]["content"][0]["text"]


def test_a_host_that_stops_reading_ends_the_session(daemon: FakeDaemon) -> None:
    class Closed(io.BytesIO):
        def write(self, data: Any) -> int:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        mcp.serve(
            lambda: AsyncClient(daemon.socket_path), io.BytesIO(b'{"id": 1, "method": "ping"}\n'), Closed(), print
        )
