"""The HTTP transport: who is admitted, sessions, limits."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from client.fake_daemon import FakeDaemon
from codeindexd.client import AsyncClient
from codeindexd.errors import FailedError, UsageError
from codeindexd.mcp import Server, http_server
from support.daemons import until
from support.mcp_http import listening

INITIALIZE = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
STATELESS = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path / "s", roots={"/p": "fresh"}) as running:
        yield running


@pytest.fixture
def host(daemon: FakeDaemon) -> Iterator[httpx.Client]:
    server = Server(lambda: AsyncClient(daemon.socket_path, start=False), given=["/p"], note=print)
    headers = {"authorization": "Bearer secret", "accept": "application/json, text/event-stream"}
    with listening(server, "secret") as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers) as one:
        yield one


def begin(host: httpx.Client) -> dict[str, str]:
    """Begin a session; return the header that continues it."""
    answer = host.post("/mcp", json=INITIALIZE)
    assert answer.json()["result"]["protocolVersion"] == "2025-11-25"
    return {"mcp-session-id": answer.headers["mcp-session-id"]}


def call(number: int | str, tool: str, **arguments: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "Basic secret"}, 401),
        ({"authorization": ""}, 401),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "evil.example"}, 403),
        ({"origin": "http://localhost:3000"}, 200),
        ({"host": "localhost"}, 200),
        ({}, 200),
    ],
)
def test_only_hosts_on_this_machine_with_the_token_are_admitted(
    host: httpx.Client, headers: dict[str, str], status: int
) -> None:
    answer = host.post("/mcp", json=INITIALIZE, headers=headers)
    assert answer.status_code == status
    assert ("www-authenticate" in answer.headers) == (status == 401)


def test_a_session_begins_continues_and_ends(host: httpx.Client) -> None:
    session = begin(host)
    assert host.post("/mcp", json=PING, headers=session).json() == {"jsonrpc": "2.0", "id": 1, "result": {}}
    notification = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert host.post("/mcp", json=notification, headers=session).status_code == 202
    assert host.post("/mcp", json=PING).status_code == 400
    assert host.delete("/mcp", headers=session).status_code == 204
    assert host.post("/mcp", json=PING, headers=session).status_code == 404
    assert host.delete("/mcp", headers=session).status_code == 404


def test_what_is_not_served(host: httpx.Client) -> None:
    assert host.get("/mcp").status_code == 405
    assert host.get("/mcp").headers["allow"] == "POST, DELETE"
    assert host.post("/elsewhere", json=PING).status_code == 404
    assert host.post("/mcp", content=b"{").json()["error"]["code"] == -32700
    assert host.post("/mcp", json=[PING]).status_code == 400
    assert host.post("/mcp", json=PING, headers={"mcp-protocol-version": "1999-01-01"}).status_code == 400
    assert host.post("/mcp", content=b"x" * (2 << 20)).status_code == 413
    assert host.post("/mcp", json=INITIALIZE).status_code == 200


def test_old_sessions_make_room_for_new_ones(host: httpx.Client) -> None:
    first = begin(host)
    last = first
    for _ in range(64):
        last = begin(host)
    assert host.post("/mcp", json=PING, headers=first).status_code == 404
    assert host.post("/mcp", json=PING, headers=last).status_code == 200


def test_requests_without_a_session_say_their_revision(host: httpx.Client) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "status", "_meta": STATELESS}}
    headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "status"}
    result = host.post("/mcp", json=message, headers=headers).json()["result"]
    assert result["resultType"] == "complete"
    assert result["content"][0]["text"].startswith("/p: fresh")
    for name in headers:
        wrong = {**headers, name: "other"} if name != "mcp-protocol-version" else {**headers, name: ""}
        answer = host.post("/mcp", json=message, headers=wrong)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020)
    future = {**STATELESS, "io.modelcontextprotocol/protocolVersion": "2030-01-01"}
    answer = host.post("/mcp", json={**message, "params": {"_meta": future}}, headers=headers)
    assert answer.json()["error"]["code"] == -32022
    assert answer.json()["error"]["data"]["supported"] == ["2026-07-28"]
    unknown = {**message, "method": "nonsense"}
    answer = host.post("/mcp", json=unknown, headers={**headers, "mcp-method": "nonsense"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, -32601)


def test_progress_comes_as_events_before_the_answer(host: httpx.Client, tmp_path: Path) -> None:
    message = call(7, "add_root", path=str(tmp_path))
    message["params"]["_meta"] = {"progressToken": "t"}
    answer = host.post("/mcp", json=message, headers=begin(host))
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.text.count('"notifications/progress"') == 2
    assert answer.text.index("notifications/progress") < answer.text.index('"id": 7')


def hang(daemon: FakeDaemon) -> list[str]:
    """Make ``search`` never answer; return a list that records its requests."""
    events: list[str] = []

    async def answer(params: Any, connection: Any) -> Any:
        events.append("started")
        try:
            await anyio.sleep_forever()
        finally:
            events.append("cancelled")

    daemon.answers["search"] = answer
    return events


def test_a_host_that_disconnects_leaves_nothing(host: httpx.Client, daemon: FakeDaemon) -> None:
    events = hang(daemon)
    session = begin(host)
    with pytest.raises(httpx.ReadTimeout):
        host.post("/mcp", json=call(1, "search", query="x"), headers=session, timeout=0.5)
    until(lambda: events == ["started", "cancelled"])
    assert host.post("/mcp", json=PING, headers=session).status_code == 200


def test_a_request_is_cancelled_by_a_notification(host: httpx.Client, daemon: FakeDaemon) -> None:
    events = hang(daemon)
    session = begin(host)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(host.post, "/mcp", json=call("slow", "search", query="x"), headers=session)
        until(lambda: events == ["started"])
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "slow"}}
        assert host.post("/mcp", json=cancelled, headers=session).status_code == 202
        until(lambda: events == ["started", "cancelled"])
        with pytest.raises(httpx.RemoteProtocolError):  # a cancelled request has no answer
            waiting.result(20)
    assert host.post("/mcp", json=PING, headers=session).status_code == 200


@pytest.mark.parametrize("text", ["8765x", "0.0.0.0:80", "example.org:80", "127.0.0.1:99999", "127.0.0.1:"])
def test_only_loopback_addresses_can_be_served(text: str) -> None:
    with pytest.raises(UsageError):
        http_server.parse_address(text)


def test_addresses_are_understood() -> None:
    assert http_server.parse_address("127.0.0.1:8765") == ("127.0.0.1", 8765)
    assert http_server.parse_address("[::1]:1") == ("::1", 1)
    assert http_server.parse_address(":9") == ("127.0.0.1", 9)


def test_a_taken_port_is_an_error(daemon: FakeDaemon) -> None:
    server = Server(lambda: AsyncClient(daemon.socket_path, start=False), note=print)
    with listening(server, None) as port, pytest.raises(FailedError, match="cannot listen"):
        anyio.run(http_server.serve, server, ("127.0.0.1", port), None)
