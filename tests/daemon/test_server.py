"""The server under well-behaved, careless and hostile clients, over real sockets."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from client.fake_daemon import FakeDaemon
from codeindexd import protocol
from codeindexd.daemon import encoding
from codeindexd.daemon import server as server_module
from codeindexd.daemon.listener import Listener
from codeindexd.daemon.server import ClientLimits, Connection, Server
from codeindexd.errors import AlreadyRunningError, ConfigError, FailedError
from support.daemons import until
from support.waiting import eventually


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path / "s", roots={"/p": "fresh"}) as running:
        yield running


class Wire:
    """A raw connection that sends and reads lines."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("rb")

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.lines.close()
        self.socket.close()

    def send(self, *messages: object) -> None:
        for message in messages:
            raw = message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n"
            self.socket.sendall(raw)

    def read(self) -> Any:
        line = self.lines.readline()
        return json.loads(line) if line else None


def call(number: object, method: str, **params: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def test_answers_come_with_the_id_of_their_request(daemon: FakeDaemon) -> None:
    with Wire(daemon.socket_path) as wire:
        wire.send(call("a", "roots.list"), call(2, "search", query="x"))
        assert {wire.read()["id"], wire.read()["id"]} == {"a", 2}


def test_requests_of_one_connection_do_not_wait_for_each_other(daemon: FakeDaemon) -> None:
    release = anyio.Event

    async def slow(params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        await gate.wait()
        return {}

    async def open_gate(params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        gate.set()
        return {}

    gate = release()
    daemon.answers.update({"sync": slow, "metrics": open_gate})
    with Wire(daemon.socket_path) as wire:
        wire.send(call(1, "sync"), call(2, "metrics"))
        assert [wire.read()["id"], wire.read()["id"]] == [2, 1]


def test_invalid_lines_are_answered_and_the_connection_stays_open(daemon: FakeDaemon) -> None:
    with Wire(daemon.socket_path) as wire:
        wire.send(b"{nonsense\n", b"\n\r\n  \n", b"[]\n", b"\xff\xfe\n", call(1, "nope"), call(2, "search"))
        codes = [wire.read()["error"]["code"] for _ in range(5)]
        assert codes == [-32700, -32600, -32700, -32601, -32602]
        wire.send(call(3, "roots.list"))
        assert wire.read()["id"] == 3


def test_a_request_in_single_bytes_is_answered(daemon: FakeDaemon) -> None:
    with Wire(daemon.socket_path) as wire:
        for byte in protocol.request(1, "roots.list", {}):
            wire.send(bytes([byte]))
        assert wire.read()["result"]["roots"][0]["path"] == "/p"


def test_a_notification_is_not_answered(daemon: FakeDaemon) -> None:
    with Wire(daemon.socket_path) as wire:
        wire.send({"jsonrpc": "2.0", "method": "pause", "params": {"path": "/p"}}, call(1, "roots.list"))
        assert wire.read()["id"] == 1


def test_the_largest_request_is_served_and_a_larger_one_is_refused(daemon: FakeDaemon) -> None:
    with Wire(daemon.socket_path) as wire:
        empty = len(protocol.request(1, "search", {"query": ""}))
        wire.send(protocol.request(1, "search", {"query": "x" * (protocol.MAX_REQUEST_BYTES - empty + 1)}))
        assert "result" in wire.read()
        sender = threading.Thread(target=_flood, args=(wire.socket, 8 << 20))
        sender.start()
        assert wire.read()["error"]["code"] == -32600
        assert wire.read() is None
        sender.join()


def _flood(raw: socket.socket, size: int) -> None:
    with contextlib.suppress(OSError):
        raw.sendall(b"x" * size)


def test_an_error_of_a_handler_is_answered_and_affects_no_other_request(daemon: FakeDaemon) -> None:
    daemon.answers["search"] = RuntimeError("boom")
    daemon.answers["status"] = {"score": object()}
    with Wire(daemon.socket_path) as wire, Wire(daemon.socket_path) as other:
        wire.send(call(1, "search", query="x"))
        error = wire.read()["error"]
        assert (error["code"], error["data"]["name"]) == (5, "failed")
        assert "boom" in error["message"]
        wire.send(call(2, "status"))
        assert wire.read()["error"]["code"] == 5
        other.send(call(3, "roots.list"))
        assert other.read()["id"] == 3


def test_errors_have_a_hint_and_a_name(daemon: FakeDaemon) -> None:
    with Wire(daemon.socket_path) as wire:
        wire.send(call(1, "status", path="/elsewhere"))
        assert wire.read()["error"] == {
            "code": 1,
            "message": "/elsewhere is not indexed",
            "data": {"hint": "index it: codeindex add /elsewhere", "name": "not_indexed"},
        }


def test_a_half_closed_client_gets_its_answer(daemon: FakeDaemon) -> None:
    with Wire(daemon.socket_path) as wire:
        wire.send(call(1, "roots.list"))
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.read()["id"] == 1
        assert wire.read() is None


class Waiting:
    """A handler that waits until it is cancelled, and records both."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.cancelled = threading.Event()

    async def __call__(self, params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        self.started.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.cancelled.set()
        return {}


@pytest.mark.parametrize("pipelined", [1, 100])
def test_requests_are_cancelled_when_their_client_leaves(daemon: FakeDaemon, pipelined: int) -> None:
    waiting = Waiting()
    daemon.answers["sync"] = waiting
    with Wire(daemon.socket_path) as wire:
        wire.send(b"".join(protocol.request(number, "sync", {}) for number in range(pipelined)))
        assert waiting.started.wait(20)
    assert waiting.cancelled.wait(20)


def test_running_requests_are_answered_during_shutdown(tmp_path: Path) -> None:
    waiting = Waiting()
    with FakeDaemon(tmp_path / "s") as daemon:
        daemon.answers["sync"] = waiting
        wire = Wire(daemon.socket_path)
        wire.send(call(1, "sync"))
        assert waiting.started.wait(20)
    with wire:
        assert wire.read()["error"]["code"] == 6
        assert wire.read() is None


def test_shutdown_is_answered_before_the_daemon_stops(daemon: FakeDaemon) -> None:
    with Wire(daemon.socket_path) as wire:
        wire.send(call(1, "shutdown"))
        assert wire.read()["result"] == {"stopping": True}
        assert wire.read() is None


def test_no_more_requests_run_than_the_limit(tmp_path: Path) -> None:
    running, most = 0, 0

    async def counted(params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.lowlevel.checkpoint()
        running -= 1
        return {}

    daemon = FakeDaemon(tmp_path / "s")
    daemon.limits = ClientLimits(in_flight=4)
    daemon.answers["sync"] = counted
    with daemon, Wire(daemon.socket_path) as wire:
        wire.send(b"".join(protocol.request(number, "sync", {}) for number in range(200)))
        assert {wire.read()["id"] for _ in range(200)} == set(range(200))
    assert most <= 4


class TestCrowds:
    def test_a_thousand_connections_are_served(self, tmp_path: Path) -> None:
        with FakeDaemon(tmp_path / "s") as daemon:
            wires = [Wire(daemon.socket_path) for _ in range(1000)]
            for number, wire in enumerate(wires):
                wire.send(call(number, "roots.list"))
            assert [wire.read()["id"] for wire in wires] == list(range(1000))
            for wire in wires:
                wire.__exit__()
            with Wire(daemon.socket_path) as last:
                last.send(call(1, "roots.list"))
                assert last.read()["id"] == 1

    def test_the_client_idle_for_longest_is_dropped_for_a_new_one(self, tmp_path: Path) -> None:
        daemon = FakeDaemon(tmp_path / "s")
        daemon.limits = ClientLimits(connections=3)
        with daemon, Wire(daemon.socket_path) as first, Wire(daemon.socket_path) as second:
            for wire in (first, second):
                wire.send(call(1, "subscribe") if wire is first else call(1, "roots.list"))
                wire.read()
            daemon.tell("state", {})  # who listens is not idle
            assert first.read()["method"] == "state"
            with Wire(daemon.socket_path) as third, Wire(daemon.socket_path) as fourth:
                for wire in (third, fourth):
                    wire.send(call(2, "roots.list"))
                    assert wire.read()["id"] == 2
                assert second.read() is None
                first.send(call(3, "roots.list"))
                assert first.read()["id"] == 3

    def test_a_client_is_refused_with_a_reason_when_all_others_are_busy(self, tmp_path: Path) -> None:
        waiting = Waiting()
        daemon = FakeDaemon(tmp_path / "s")
        daemon.limits = ClientLimits(connections=1)
        daemon.answers["sync"] = waiting
        with daemon, Wire(daemon.socket_path) as busy:
            busy.send(call(1, "sync"))
            assert waiting.started.wait(20)
            with Wire(daemon.socket_path) as next_one:
                assert "clients are already connected" in next_one.read()["error"]["message"]
                assert next_one.read() is None


def test_a_client_that_leaves_is_noticed_without_polling(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codeindexd.daemon.connection._HANGUP_POLL_S", 60.0)
    waiting = Waiting()
    daemon.answers["sync"] = waiting
    with Wire(daemon.socket_path) as wire:
        wire.send(call(1, "sync"))
        assert waiting.started.wait(20)
    assert waiting.cancelled.wait(20)


class TestStreamedAnswers:
    def test_parts_name_their_request_and_come_before_its_end(self, daemon: FakeDaemon) -> None:
        with Wire(daemon.socket_path) as wire:
            wire.send(call("first", "grep", pattern="x", stream=True), call(2, "grep", pattern="y", stream=True))
            messages = [wire.read() for _ in range(4)]
        for number in ("first", 2):
            part, end = [one for one in messages if number in (one.get("id"), one.get("params", {}).get("request"))]
            assert (part["method"], part["params"]["request"]) == ("grep", number)
            assert part["params"]["matches"][0]["line"] == 14
            assert (end["id"], end["result"]["matches"], end["result"]["total"]) == (number, [], 1)

    def test_a_reader_may_take_any_time_and_the_sender_waits(self, tmp_path: Path) -> None:
        daemon = FakeDaemon(tmp_path / "s")
        daemon.limits = ClientLimits(stall_s=0.05)
        sent: list[int] = []
        parts = 200

        async def stream(params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
            for number in range(parts):
                await connection.send_part(encoding.notification("grep", {"text": "x" * (1 << 16)}))
                sent.append(number)
            return {}

        daemon.answers["grep"] = stream
        with daemon, Wire(daemon.socket_path) as wire:
            wire.send(call(1, "grep", pattern="x", stream=True))
            until(lambda: sent, what="the first part")
            time.sleep(0.3)  # the subject of the test: longer than a client may take for an answer
            assert len(sent) < parts / 2
            assert all(wire.read()["method"] == "grep" for _ in range(parts))
            assert wire.read()["id"] == 1

    def test_a_notification_gets_no_parts(self, daemon: FakeDaemon) -> None:
        with Wire(daemon.socket_path) as wire:
            wire.send({"jsonrpc": "2.0", "method": "grep", "params": {"pattern": "x", "stream": True}})
            until(lambda: any(method == "grep" for method, _ in daemon.seen), what="the search")
            wire.send(call(1, "roots.list"))
            assert wire.read()["id"] == 1

    def test_a_reader_that_leaves_ends_the_search(self, daemon: FakeDaemon) -> None:
        cancelled = threading.Event()

        async def stream(params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
            try:
                while True:
                    await connection.send_part(encoding.notification("grep", {"text": "x" * (1 << 16)}))
            finally:
                cancelled.set()

        daemon.answers["grep"] = stream
        with Wire(daemon.socket_path) as wire:
            wire.send(call(1, "grep", pattern="x", stream=True))
            wire.read()
        assert cancelled.wait(20)


class TestSlowClients:
    def test_a_client_that_reads_no_answers_is_dropped(self, tmp_path: Path) -> None:
        daemon = FakeDaemon(tmp_path / "s")
        daemon.limits = ClientLimits(stall_s=0.2)
        daemon.answers["metrics"] = {"text": "x" * (4 << 20)}
        with daemon, Wire(daemon.socket_path) as wire, Wire(daemon.socket_path) as other:
            wire.send(call(1, "metrics"))
            other.send(call(2, "roots.list"))
            assert other.read()["id"] == 2
            until(lambda: daemon.server.connection_count == 1, what="the drop")
            assert _ends(wire.socket)

    def test_a_client_that_leaves_a_request_unfinished_is_dropped(self, tmp_path: Path) -> None:
        daemon = FakeDaemon(tmp_path / "s")
        daemon.limits = ClientLimits(stall_s=0.2)
        with daemon, Wire(daemon.socket_path) as wire, Wire(daemon.socket_path) as idle:
            wire.send(b'{"jsonrpc": ')
            assert wire.read() is None
            idle.send(call(1, "roots.list"))  # idling alone is no offence
            assert idle.read()["id"] == 1

    def test_a_client_that_takes_too_long_for_a_request_is_dropped(self, tmp_path: Path) -> None:
        daemon = FakeDaemon(tmp_path / "s")
        daemon.limits = ClientLimits(stall_s=0.3)
        with daemon, Wire(daemon.socket_path) as wire:
            sent = 0
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                while sent < 10_000:
                    wire.send(b" " if sent else b"{")
                    sent += 1
                    time.sleep(0.005)  # the subject of the test: never long enough to count as stalled
            assert sent < 10_000

    def test_a_slow_reader_gets_everything(self, tmp_path: Path) -> None:
        daemon = FakeDaemon(tmp_path / "s")
        daemon.answers["metrics"] = {"text": "x" * (4 << 20)}
        with daemon, Wire(daemon.socket_path) as wire:
            wire.send(call(1, "metrics"))
            assert len(wire.read()["result"]["text"]) == 4 << 20

    def test_a_client_that_reads_no_notifications_is_dropped_and_unsubscribed(self, tmp_path: Path) -> None:
        daemon = FakeDaemon(tmp_path / "s")
        daemon.limits = ClientLimits(backlog_bytes=10_000)
        with daemon, Wire(daemon.socket_path) as wire:
            wire.send(call(1, "subscribe"))
            assert wire.read()["id"] == 1
            daemon.tell("progress", {"filler": "x" * 100}, times=20_000)
            assert _ends(wire.socket)
            with Wire(daemon.socket_path) as other:
                other.send(call(3, "roots.list"))
                other.read()
            assert daemon.subscribers == []


def _ends(raw: socket.socket) -> bool:
    try:
        while raw.recv(1 << 20):
            pass
    except ConnectionResetError:
        pass
    return True


class TestPlace:
    def test_the_socket_is_private_and_removed_at_the_end(self, tmp_path: Path) -> None:
        path = tmp_path / "deep" / "er" / "s"
        with FakeDaemon(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert not path.exists()

    def test_a_dead_socket_is_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "s"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        with FakeDaemon(path), Wire(path) as wire:
            wire.send(call(1, "roots.list"))
            assert wire.read()["id"] == 1

    def test_a_socket_in_use_is_not_replaced(self, daemon: FakeDaemon) -> None:
        with pytest.raises(AlreadyRunningError):
            Listener.open(daemon.socket_path)
        with Wire(daemon.socket_path) as wire:
            wire.send(call(1, "roots.list"))
            assert wire.read()["id"] == 1

    def test_a_file_at_the_socket_path_is_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "s"
        path.write_text("precious")
        with pytest.raises(FailedError, match="not a socket"):
            Listener.open(path)
        assert path.read_text() == "precious"

    def test_a_path_too_long_for_a_socket_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="too long"):
            Listener.open(tmp_path / ("x" * 120))

    def test_the_socket_of_a_later_daemon_is_not_unlinked(self, tmp_path: Path) -> None:
        path = tmp_path / "s"
        old = Listener.open(path)
        path.unlink()
        new = Listener.open(path)
        old.close()
        assert path.exists()
        new.close()
        assert not path.exists()

    def test_an_inherited_socket_is_served_and_never_unlinked(self, tmp_path: Path) -> None:
        path = tmp_path / "s"
        raw = socket.socket(socket.AF_UNIX)
        raw.bind(str(path))
        raw.listen()

        async def echo(params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
            return {"pid": connection.pid}

        async def run() -> None:
            server = Server({"server.info": echo}, socket_path=path, inherited=raw)
            async with anyio.create_task_group() as tasks:
                await tasks.start(server.serve)
                stream = await anyio.connect_unix(path)
                async with stream:
                    await stream.send(protocol.request(1, "server.info", {}))
                    assert json.loads(await stream.receive())["result"] == {"pid": os.getpid()}
                tasks.cancel_scope.cancel()

        anyio.run(run)
        assert path.exists()

    @pytest.mark.parametrize("inherited", [False, True])
    def test_a_socket_that_was_removed_is_opened_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inherited: bool
    ) -> None:
        """Also one of the service manager, which does not notice."""
        monkeypatch.setattr(server_module, "_CHECK_EVERY_S", 0.01)
        path, spare = tmp_path / "run/s", tmp_path / "spare"
        path.parent.mkdir()
        raw = socket.socket(socket.AF_UNIX) if inherited else None
        if raw is not None:
            raw.bind(str(path))
            raw.listen()

        async def echo(params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
            return {}

        listening: list[Path] = []

        async def is_listening(*places: Path) -> None:
            await eventually(lambda: listening == list(places))
            async with await anyio.connect_unix(places[-1]) as stream:
                await stream.send(protocol.request(1, "server.info", {}))
                assert json.loads(await stream.receive())["result"] == {}

        async def run() -> None:
            server = Server(
                {"server.info": echo},
                socket_path=path,
                spare_path=spare,
                inherited=raw,
                on_listen=listening.append,
            )
            async with anyio.create_task_group() as tasks:
                await tasks.start(server.serve)
                await is_listening(path)
                path.unlink()
                await is_listening(path, path)
                assert path.stat().st_mode & 0o777 == 0o600
                shutil.rmtree(path.parent)
                path.parent.write_text("no directory can be made here")
                await is_listening(path, path, spare)
                tasks.cancel_scope.cancel()

        anyio.run(run)
        assert not spare.exists()

    def test_a_handler_for_an_unknown_method_is_refused(self, tmp_path: Path) -> None:
        async def handler(params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
            return {}

        with pytest.raises(ValueError, match=r"roots\.ad"):
            Server({"roots.ad": handler}, socket_path=tmp_path / "s")
