"""The server on standard input and output, run as a process over pipes as a host does."""

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

from client.fake_daemon import FakeDaemon
from codeindexd import mcp
from codeindexd.client import AsyncClient
from codeindexd.daemon.server import Connection
from codeindexd.mcp import call_scope
from support.daemons import until
from support.places import DAEMON

pytestmark = pytest.mark.processes


class Host:
    """A host that runs the server."""

    def __init__(self, daemon: FakeDaemon, errors: int | None = None, *options: str) -> None:
        environ = {**os.environ, "CODEINDEXD_SOCKET": str(daemon.socket_path), "PYTHONPATH": str(DAEMON)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "codeindexd.cli.codeindex", "mcp", "--no-start", *(options or ("--root", "/p"))],
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
    assert set(tools) == {
        "search", "grep", "symbol", "outline", "map", "impact", "related", "log", "why", "history", "together",
        "status", "add_root",
    }  # fmt: skip
    for tool in tools.values():
        assert tool["description"]
        assert set(tool["inputSchema"]["required"]) <= set(tool["inputSchema"]["properties"])


def test_an_unknown_version_is_answered_with_the_newest_with_a_handshake(host: Host) -> None:
    assert host.ask("initialize", protocolVersion="1999-01-01")["result"]["protocolVersion"] == "2025-11-25"
    assert host.ask("initialize")["result"]["protocolVersion"] == "2025-11-25"
    assert mcp.VERSIONS[:4] == ("2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26")


def test_every_tool_answers_with_text(host: Host, daemon: FakeDaemon, tmp_path: Path) -> None:
    text, failed = host.call("search", query="check password", language="python", path="src/**")
    assert not failed
    assert text.startswith("src/auth.py:14  check_password  function\n12: def check_password(")
    assert host.call("grep", pattern="user\\.locked", language="!go") == (
        "1 matching line in 1 file:\nsrc/auth.py\n14: if user.locked:",
        False,
    )
    assert daemon.seen[-1][1]["language"] == "!go"
    assert host.call("grep", pattern="nothing")[0] == "No line matches in 1 file that could contain it."
    assert host.call("symbol", name="check_password")[0].startswith("src/auth.py:12  check_password  function\n12: def")
    assert host.call("symbol", name="check_password", of="references")[0] == (
        "1 use in 1 file, defined at src/auth.py:12\n"
        "src/login.py\n30: if check_password(user, given):  (call, in login)"
    )
    assert host.call("symbol", name="check_password", of="callers", depth=2)[0] == (
        "1 caller of check_password, defined at src/auth.py:12\n"
        "src/login.py:30  login  (1 call): if check_password(user, given):\n"
        "  src/login.py:3  main  (0 calls, by name only)"
    )
    assert "src/login.py:28  login  (1 call)\n" in host.call("symbol", name="check_password", of="callees")[0]
    text = host.call("symbol", name="chek", of="references")[0]
    assert text.startswith("No definition of chek is known.")
    assert "Note: no definition has this name; similar are: check_passwords" in text
    assert host.call("outline", path="src/auth.py")[0] == (
        "src/auth.py: 2 definitions\n10  class  class Auth:\n  12  method  def check(self):"
    )
    assert host.call("map")[0] == "src/auth.py:\n  10: class Auth\n  12:   def check(self)"
    assert host.call("impact", path="src/auth.py:12")[0] == (
        "1 place affected, 1 test file\nsrc/login.py\n30: login calls check_password\nTests: tests/test_auth.py"
    )
    assert host.call("why", path="src/auth.py:12")[0] == (
        "src/auth.py:12-13\n"
        "lines 12: 4f6c1de0a9 2020-09-13\n"
        "lines 13: not committed yet\n"
        "4f6c1de0a9 2020-09-13 Ada Lovelace: Check it twice (#12)\nOnce was not enough.\nnames #12\n"
        "earlier changes of Auth.check:\n"
        "4f6c1de0a9 2020-09-13 Ada Lovelace: Check it twice (#12)"
    )
    assert host.call("history", path="src/auth.py")[0] == (
        "1 commit, newest first\n4f6c1de0a9 2020-09-13 Ada Lovelace: Check it twice (#12) (+1 -2)"
    )
    assert host.call("together", name="Auth.check")[0] == (
        "changed in 4 commits; with it changed, with the number of these commits:\n"
        "files:\n2 of 4 (50%)  src/login.py\ntests:\n3 of 4 (75%)  tests/test_auth.py"
    )
    assert "check_password" in host.call("related", path="src/auth.py", line=12)[0]
    assert host.call("status")[0] == "/p: fresh, 120 files, 1,903 chunks"
    assert host.call("add_root", path=str(tmp_path)) == (f"{tmp_path}: fresh, 120 files", False)
    assert host.call("search", query="nothing")[0].startswith("No hits in 120 files.")
    assert host.call("symbol", name="nothing")[0].startswith("No definition of nothing is known.")


def test_names_and_arguments_of_earlier_versions_still_work(host: Host, daemon: FakeDaemon) -> None:
    assert "check_password" in host.call("search_code", query="check password", root="/p", limit=1)[0]
    assert "1 use in 1 file" in host.call("find_symbol", name="check_password", references=True)[0]
    assert not host.call("related_code", path="/p/src/auth.py", line=12)[1]
    assert host.call("index_status", root="/p")[0].startswith("/p: fresh")


def test_answers_say_if_the_index_is_not_fresh(host: Host, daemon: FakeDaemon) -> None:
    daemon.roots["/p"] = "degraded"
    assert "Note: the index is degraded" in host.call("search", query="x")[0]
    text, _ = host.call("status")
    assert "inotify is out of watches (sysctl ...)" in text
    assert "not indexed: src/bad.py: took too long" in text
    daemon.roots["/p"] = "missing"
    assert "a directory that was searched is missing" in host.call("search", query="x")[0]


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("search", {"query": "-path:x"}, "only says what to leave out"),
        ("search", {"query": "x", "roots": ["/elsewhere"]}, 'Call add_root with path="/elsewhere"'),
        ("search", {}, "query is missing"),
        ("search", {"query": 5}, "query cannot be 5"),
        ("search", {"query": "x", "limit": True}, "limit is a whole number from 1 to 50"),
        ("search", {"query": "x", "limit": 0}, "limit is a whole number from 1 to 50"),
        ("search", {"query": "x", "languge": "go"}, "did you mean language?"),
        ("related", {"path": "/elsewhere/a", "line": 1}, "call add_root with path="),
        ("related", {"path": "/a\0b/c", "line": 1}, "cannot be a path"),
        ("search", {"query": "x", "roots": ["/a\ud800b"]}, "cannot be a path"),
        ("search", {"query": "x\ud800", "roots": ["/elsewhere"]}, "is not indexed"),
        ("impact", {}, "impact needs name or path"),
        ("history", {}, "history needs name or path"),
        ("together", {}, "together needs name or path"),
        ("why", {"path": "src/auth.py"}, "why needs a line"),
        ("status", {"roots": ["https://x.org/"]}, "is not a file"),
        ("add_root", {"path": ""}, "cannot be a path"),
        ("add_root", {"path": "/no/such/place"}, "is not a directory"),
    ],
)
def test_an_error_in_a_tool_is_a_result_with_a_hint(
    host: Host, tool: str, arguments: dict[str, object], says: str
) -> None:
    text, failed = host.call(tool, **arguments)
    assert failed
    assert says in text
    assert "codeindex " not in text
    assert not host.call("status")[1]


def test_arguments_may_be_the_text_of_an_object(host: Host) -> None:
    for given in ('{"name": "check_password"}', {"name": "check_password"}):
        assert "src/auth.py:12" in str(host.ask("tools/call", name="symbol", arguments=given)["result"])
    for given in ("check_password", "[1]", 5, ["x"]):
        error = host.ask("tools/call", name="status", arguments=given)["error"]
        assert (error["code"], "arguments must be an object" in error["message"]) == (-32602, True)
    for given in ("", " ", None, {}):
        assert not host.ask("tools/call", name="status", arguments=given)["result"]["isError"]


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
    assert host.ask("nonsense/list")["error"]["code"] == -32601
    assert host.ask("tools/call", name="nope")["error"]["code"] == -32602
    host.send({"jsonrpc": "2.0", "id": 9, "result": {}})
    host.send(b"")
    host.send([{"jsonrpc": "2.0", "id": 1, "method": "ping"}, {"jsonrpc": "2.0", "method": "x"}])
    assert host.read() == [{"jsonrpc": "2.0", "id": 1, "result": {}}]


def test_a_stopped_daemon_is_a_tool_error_until_it_is_back(tmp_path: Path) -> None:
    with FakeDaemon(tmp_path / "s", roots={"/p": "fresh"}) as first:
        host = Host(first)
        assert not host.call("status")[1]
    assert host.call("status")[1]
    with FakeDaemon(tmp_path / "s", roots={"/p": "fresh"}):
        assert not host.call("status")[1]
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
    host.send(tool_call("slow", "search", query="x"))
    until(lambda: events == ["started"])
    assert host.ask("ping")["result"] == {}
    assert not host.call("status")[1]
    for params in ({"requestId": "slow", "reason": "enough"}, {"requestId": "slow"}, {"requestId": []}, {}, None, [1]):
        host.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
    until(lambda: events == ["started", "cancelled"])
    assert host.ask("ping")["result"] == {}  # the cancelled request has no answer before this one


def test_an_unexpected_error_fails_only_its_request(daemon: FakeDaemon) -> None:
    host = Host(daemon, subprocess.PIPE)
    daemon.answers["search"] = {"state": "fresh"}
    error = host.ask("tools/call", name="search", arguments={"query": "x"})["error"]
    assert error["code"] == -32603
    assert error["message"].startswith("internal error: KeyError (")
    assert host.ask("ping")["result"] == {}
    assert host.process.stderr
    with host.process.stderr as errors:
        assert host.end() == 0
        assert errors.read().startswith(b"codeindex mcp: request failed: KeyError (")


def in_process(daemon: FakeDaemon, *messages: object) -> dict[Any, Any]:
    """Serve messages that arrive all at once, and return the replies by id."""
    out = io.BytesIO()
    lines = io.BytesIO(b"".join(json.dumps(message).encode() + b"\n" for message in messages))
    server = mcp.Server(lambda: AsyncClient(daemon.socket_path, start=False), given=["/p"], note=print)
    mcp.serve(server, lines, out)
    replies = [json.loads(line) for line in out.getvalue().splitlines()]
    return {reply["id"]: reply for reply in replies}


def test_all_requests_are_answered_before_the_session_ends(daemon: FakeDaemon) -> None:
    requests = [tool_call(number, "search", query=f"q{number}") for number in range(200)]
    replies = in_process(daemon, *requests)
    assert set(replies) == set(range(200))
    assert not any(reply["result"]["isError"] for reply in replies.values())


def test_adding_a_large_directory_returns_before_it_is_indexed(
    daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_scope, "ADD_TIMEOUT_S", 0.0)
    (reply,) = in_process(daemon, tool_call(1, "add_root", path=str(tmp_path))).values()
    text = reply["result"]["content"][0]["text"]
    assert text.startswith(f"{tmp_path}: indexing, 120 files\nNote: indexing continues")
    (reply,) = in_process(daemon, tool_call(1, "status", roots=str(tmp_path))).values()
    assert ": indexing, 120 files, 1,903 chunks, 60 files left" in reply["result"]["content"][0]["text"]
    (reply,) = in_process(daemon, tool_call(1, "add_root", path=str(tmp_path), wait=False)).values()
    assert "indexing continues" in reply["result"]["content"][0]["text"]


def test_a_host_that_stops_reading_ends_the_session(daemon: FakeDaemon) -> None:
    class Closed(io.BytesIO):
        def write(self, data: Any) -> int:
            raise BrokenPipeError

    server = mcp.Server(lambda: AsyncClient(daemon.socket_path), note=print)
    with pytest.raises(BrokenPipeError):
        mcp.serve(server, io.BytesIO(b'{"id": 1, "method": "ping"}\n'), Closed())


def test_a_host_that_is_gone_leaves_no_request_behind(daemon: FakeDaemon) -> None:
    events = hang(daemon, "search")
    host = Host(daemon)
    host.send(tool_call(1, "search", query="x"))
    until(lambda: events == ["started"])
    assert host.process.stdin
    assert host.process.stdout
    host.process.stdout.close()
    host.process.stdin.close()
    host.process.wait(20)
    until(lambda: events == ["started", "cancelled"])


def test_sixty_calls_at_once(daemon: FakeDaemon) -> None:
    host = Host(daemon)
    for number in range(60):
        host.send(tool_call(number, "search", query=f"q{number}"))
    replies = [host.read() for _ in range(60)]
    assert sorted(reply["id"] for reply in replies) == list(range(60))
    assert not any(reply["result"]["isError"] for reply in replies)
    assert host.end() == 0


def initialized(host: Host, capabilities: dict[str, Any]) -> None:
    host.ask("initialize", protocolVersion="2025-06-18", capabilities=capabilities)
    host.send({"jsonrpc": "2.0", "method": "notifications/initialized"})


def searched(daemon: FakeDaemon) -> Any:
    return [params["roots"] for method, params in daemon.seen if method == "search"][-1]


def test_the_roots_of_the_host_are_asked_for_once_and_again_when_they_change(tmp_path: Path) -> None:
    with FakeDaemon(tmp_path / "s", roots={"/a": "fresh", "/b": "fresh"}) as daemon:
        host = Host(daemon, None, "--root", "/b")
        initialized(host, {"roots": {"listChanged": True}})
        for root in ("/a", "/b"):
            host.send(tool_call(root, "search", query="x"))
            question = host.read()
            assert question["method"] == "roots/list"
            host.send({"jsonrpc": "2.0", "id": question["id"], "result": {"roots": [{"uri": f"file://{root}"}]}})
            assert not host.read()["result"]["isError"]
            assert searched(daemon) == [root]
            assert not host.call("search", query="y")[1]
            host.send({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"})
        assert host.end() == 0


@pytest.mark.parametrize("answer", [{"error": {"code": 1, "message": "no"}}, {"result": {"roots": []}}, {"result": 5}])
def test_without_roots_of_the_host_the_option_decides(host: Host, daemon: FakeDaemon, answer: dict[str, Any]) -> None:
    initialized(host, {"roots": {}})
    host.send(tool_call(1, "search", query="x"))
    host.send({"jsonrpc": "2.0", "id": host.read()["id"], **answer})
    assert not host.read()["result"]["isError"]
    assert searched(daemon) == ["/p"]


def test_a_project_that_is_not_indexed_is_said_so_or_indexed_on_first_use(daemon: FakeDaemon, tmp_path: Path) -> None:
    (tmp_path / "p/.git").mkdir(parents=True)
    host = Host(daemon, None, "--root", str(tmp_path / "p"))
    text, failed = host.call("search", query="x")
    assert failed
    assert text.startswith(f'{tmp_path}/p is not indexed\nCall add_root with path="{tmp_path}/p", then repeat')
    assert host.call("status")[1] is False
    assert host.end() == 0
    host = Host(daemon, None, "--add", "--root", str(tmp_path / "p"))
    assert not host.call("search", query="x")[1]
    assert f"{tmp_path}/p" in daemon.roots
    assert host.end() == 0
