"""Hostile clients and files against the real daemon: others are answered, nothing grows, bad files are named."""

from __future__ import annotations

import contextlib
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from codeindexd import protocol
from endurance.hostile.clients import Level, Rude, line
from endurance.hostile.requests import odd_line
from support.daemons import RealDaemon, real_daemon, until
from support.places import PYTHONPATH
from support.trees import tree

SLOW_LINES = "".join(f"{'a' * 220}{number}\n" for number in range(200))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root, with another beside it."""
    base = tmp_path_factory.mktemp("hostile")
    files = {f"m{number}.py": f"def healthy_{number}(a, b):\n    return a + b\n" for number in range(20)}
    top = tree(
        base / "root", {**files, "a.py": f"words = 1\n{SLOW_LINES}", "a/" * 30 + "a" * 40 + ".py": "words = 2\n"}
    )
    (top / "loop").symlink_to("loop")
    tree(base / "other", {"a.py": f"words = 1\n{SLOW_LINES}"})
    return base


@pytest.fixture(scope="module")
def daemon(place: Path) -> Iterator[RealDaemon]:
    """One daemon for all these tests, so each meets what the others left behind."""
    with real_daemon("[workers]\nnice = 0\n") as running:
        for name in ("root", "other"):
            running.call("roots.add", path=str(place / name), wait=True)
        yield running


@pytest.fixture
def level(daemon: RealDaemon) -> Iterator[Level]:
    """The daemon's resources before, to compare with those afterwards."""
    before = Level.of(daemon)
    yield before
    before.check(daemon)
    assert daemon.call("search", query="healthy_7")["hits"]


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("seed", range(4))
def test_odd_lines_are_answered_and_the_connection_goes_on(daemon: RealDaemon, place: Path, seed: int) -> None:
    random = Random(seed)
    with Rude(daemon.socket) as client:
        for number in range(60):
            odd = odd_line(str(place / "root"), random)
            client.send(odd, line("server.info", f"after {number}"))
            _, before = client.reply_to(f"after {number}")
            for reply in before:
                message = reply.get("error", {}).get("message", "")
                assert "internal error" not in message, (odd, reply)


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_lines_around_the_limit(daemon: RealDaemon, more: int) -> None:
    empty = line("search", 1, query="healthy_7", filler="")
    whole = line("search", 1, query="healthy_7", filler="x" * (protocol.MAX_REQUEST_BYTES - len(empty) + 1 + more))
    assert len(whole) == protocol.MAX_REQUEST_BYTES + 1 + more  # with its newline
    with Rude(daemon.socket) as client:
        with contextlib.suppress(BrokenPipeError):
            client.send(whole)
        reply = next(client.replies())
    assert "result" in reply if more <= 0 else reply["error"]["code"] == protocol.INVALID_REQUEST


@pytest.mark.usefixtures("level")
def test_thousands_of_requests_without_reading_an_answer(daemon: RealDaemon) -> None:
    sent = 0
    with Rude(daemon.socket) as client:
        client.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                sent += client.socket.send(line("search", 1, query="healthy words return", limit=1000))
        assert daemon.call("search", query="healthy_7")["hits"], "others are answered meanwhile"
        assert sent < 4 << 20, "the daemon stops reading from who does not read"


@pytest.mark.usefixtures("level")
def test_thousands_of_requests_are_all_answered(daemon: RealDaemon) -> None:
    with Rude(daemon.socket) as client:
        client.send(*(line("roots.list", number) for number in range(2000)))
        replies = client.replies()
        assert {next(replies)["id"] for _ in range(2000)} == set(range(2000))


@pytest.mark.usefixtures("level")
@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR, None])
def test_clients_that_leave_in_the_middle(daemon: RealDaemon, how: int | None) -> None:
    for number in range(30):
        with Rude(daemon.socket) as client:
            client.send(*(line("search", n, query=f"healthy words {number}", limit=1000) for n in range(8)))
            if number % 3 == 0:
                client.send(b'{"jsonrpc": "2.0", "id"')
            if number % 3 == 1:
                client.socket.recv(10)
            if how is not None:
                client.socket.shutdown(how)


@pytest.mark.usefixtures("level")
def test_a_crowd_and_subscribers_that_never_read(daemon: RealDaemon, place: Path) -> None:
    crowd = [Rude(daemon.socket) for _ in range(300)]
    for number, client in enumerate(crowd):
        client.ask("subscribe" if number % 2 else "server.info", number)
    for number in range(30):
        (place / "root/changing.py").write_text(f"def changed_{number}(): pass\n")
        daemon.call("sync", path=str(place / "root"))
    assert daemon.call("search", query="changed_29")["hits"][0]["path"] == "changing.py"
    for number, client in enumerate(crowd):
        client.reply_to(number)
        client.__exit__()


@pytest.mark.usefixtures("level")
def test_expensive_queries_are_answered_or_ended_and_delay_nobody(daemon: RealDaemon, place: Path) -> None:
    slow_regex, explosive_regex = "words /(?:a?){999}b{999}c/", "words /(?:a*)*a*a*a*a*b/"
    questions = [slow_regex, explosive_regex, f"words path:{'*a' * 60}b", f"words path:{'**a' * 60}b"]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Rude(daemon.socket)) for _ in questions]
        for client, question in zip(clients, questions, strict=True):
            client.ask("search", "slow", query=question, limit=1000)  # of both roots: errors of several are one error
        assert daemon.call("search", query="healthy_7", roots=[str(place / "root")])["hits"]
        replies = [client.reply_to("slow")[0] for client in clients]
    assert "result" in replies[0] or "too slow" in replies[0]["error"]["message"]
    assert "result" in replies[1]
    assert all("internal" not in reply.get("error", {}).get("message", "") for reply in replies)
    assert replies[3]["result"]["hits"] == []


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="limits a process with util-linux")
def test_more_clients_than_open_files_leave_the_daemon_its_own(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", {f"m{n}.py": f"def healthy_{n}(): pass\n" for n in range(9)})
    with real_daemon("[workers]\nnice = 0\n", start=False) as daemon:
        daemon.prefix = ["prlimit", "--nofile=128:128"]
        daemon.start()
        daemon.call("roots.add", path=str(root), wait=True)
        level = Level.of(daemon)
        crowd = [Rude(daemon.socket) for _ in range(400)]
        until(lambda: Level.of(daemon).files > level.files + 20, what="the crowd")
        (root / "new.py").write_text("def written_in_the_crowd(): pass\n")
        assert daemon.call("search", query="written_in_the_crowd", sync=True)["hits"][0]["path"] == "new.py"
        assert daemon.call("search", query="healthy_7")["hits"][0]["path"] == "m7.py"
        for client in crowd:
            client.__exit__()
        level.check(daemon)


def test_files_that_end_stall_or_bloat_a_worker_are_named_and_come_back_when_they_change(tmp_path: Path) -> None:
    bad = ("kill", "hang", "hog")
    files = {f"m{n}.py": f"def healthy_{n}(): pass\n" for n in range(30)}
    root = tree(
        tmp_path / "root", {**files, **{f"{how}.py": f"# fatal: {how}\ndef hurt_{how}(): pass\n" for how in bad}}
    )
    with real_daemon("[workers]\nnice = 0\ncount = 2\n", start=False) as daemon:
        daemon.prefix = [sys.executable, "-m", "endurance.hostile.touchy_daemon"]
        daemon.extra = {"PYTHONPATH": PYTHONPATH}
        daemon.start()
        daemon.call("roots.add", path=str(root), wait=True)
        failures = {one["path"]: one for one in daemon.call("status")["roots"][0]["failures"]}
        assert failures.keys() == {f"{how}.py" for how in bad}
        for failure in failures.values():
            assert failure["stage"] == "worker"
            assert failure["next_retry"] is None, "only a change helps"
        explained = daemon.call("explain", path=str(root / "kill.py"))
        assert not explained["indexed"]
        assert "SIGSEGV" in explained["failure"]["error"]
        for number in range(30):
            assert daemon.call("search", query=f"healthy_{number}")["hits"][0]["path"] == f"m{number}.py"
        for how in bad:
            (root / f"{how}.py").write_text(f"def healed_{how}(): pass\n")
        daemon.call("sync", path=str(root))
        for how in bad:
            assert daemon.call("search", query=f"healed_{how}")["hits"][0]["path"] == f"{how}.py"
        assert daemon.call("status")["roots"][0]["failures"] == []
        assert daemon.call("verify")["ok"]
