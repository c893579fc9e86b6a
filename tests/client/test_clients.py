"""Both clients against the real server: every method, errors as classes, progress, notifications, timeouts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from client.fake_daemon import FakeDaemon
from codeindexd.client import AsyncClient, Client, core
from codeindexd.daemon.server import Connection
from codeindexd.errors import (
    CodeindexError,
    FailedError,
    InvalidQueryError,
    NoDaemonError,
    NotIndexedError,
    ShuttingDownError,
    TimedOutError,
    UsageError,
)
from support.daemons import until


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture
def daemon(tmp_path: Path, project: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path / "s", roots={str(project): "fresh"}) as running:
        yield running


def blocking(daemon: FakeDaemon, method: str, *args: Any, **options: Any) -> Any:
    """Make one call with the blocking client."""
    with Client(daemon.socket_path, start=False) as client:
        return getattr(client, method)(*args, **options)


def awaited(daemon: FakeDaemon, method: str, *args: Any, **options: Any) -> Any:
    """Make one call with the asynchronous client."""

    async def run() -> Any:
        async with AsyncClient(daemon.socket_path, start=False) as client:
            try:
                return await getattr(client, method)(*args, **options)
            except CodeindexError as error:
                return error

    outcome = anyio.run(run)
    if isinstance(outcome, CodeindexError):
        raise outcome
    return outcome


Call = Callable[..., Any]


@pytest.fixture(params=[blocking, awaited], ids=["blocking", "async"])
def call(request: pytest.FixtureRequest) -> Call:
    chosen: Call = request.param
    return chosen


def test_every_method_is_answered(daemon: FakeDaemon, project: Path, call: Call) -> None:
    assert call(daemon, "roots")["roots"][0]["path"] == str(project)
    assert call(daemon, "search", "check password", roots=[project], limit=1)["hits"][0]["symbol"] == "check_password"
    assert call(daemon, "related", project, "src/auth.py", 12)["query"] == "src/auth.py:12"
    assert call(daemon, "related_to", project / "src/auth.py", 12)["query"] == "src/auth.py:12"
    assert len(call(daemon, "symbol", "check_password", references=True)["references"]) == 1
    assert call(daemon, "sync", project)["how"] == "cookie"
    assert call(daemon, "status")["roots"][0]["state"] == "fresh"
    assert call(daemon, "verify", repair=True)["ok"]
    assert call(daemon, "explain", project / "a.py")["indexed"]
    assert call(daemon, "info")["pid"] == 4242
    assert call(daemon, "metrics")["text"] == "# EOF\n"
    for method in ("reindex", "pause", "resume"):
        assert call(daemon, method, project)["roots"][0]["id"] == "id-of-project"
    assert call(daemon, "remove", project)["removed"][0]["path"] == str(project)


@pytest.mark.parametrize(
    ("method", "args", "kind"),
    [
        ("status", ("/elsewhere",), NotIndexedError),
        ("search", ("-path:x",), InvalidQueryError),
        ("search", ("x" * 2_000_000,), FailedError),
        ("related", ("/elsewhere", "a", 0), UsageError),
        ("related_to", ("/elsewhere/a", 1), NotIndexedError),
    ],
)
def test_errors_have_their_own_classes(
    daemon: FakeDaemon, call: Call, method: str, args: tuple[Any, ...], kind: type[CodeindexError]
) -> None:
    with pytest.raises(kind) as caught:
        call(daemon, method, *args)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    "method", ["add", "remove", "status", "verify", "explain", "reindex", "pause", "resume", "sync"]
)
def test_an_empty_path_is_not_the_current_directory(daemon: FakeDaemon, call: Call, method: str) -> None:
    with pytest.raises(UsageError, match="a path is empty"):
        call(daemon, method, "")
    assert daemon.seen == []


def test_a_timeout_in_the_daemon_has_its_own_message(daemon: FakeDaemon, call: Call) -> None:
    with pytest.raises(TimedOutError, match="not in sync"):
        call(daemon, "sync", timeout_s=0)


@pytest.mark.parametrize("seconds", [float("inf"), float("nan")])
def test_infinity_and_nan_are_usage_errors(daemon: FakeDaemon, call: Call, seconds: float) -> None:
    with pytest.raises(UsageError, match="sync: a number is infinite or NaN"):
        call(daemon, "sync", timeout_s=seconds)


def test_add_reports_progress(daemon: FakeDaemon, tmp_path: Path, call: Call) -> None:
    (tmp_path / "more").mkdir()
    received: list[int] = []
    added = call(daemon, "add", tmp_path / "more", on_progress=lambda progress: received.append(progress["files_done"]))
    assert added["roots"][0]["state"] == "fresh"
    assert received == [60, 120]
    assert [method for method, _ in daemon.seen] == ["roots.add", "unsubscribe"]


@pytest.mark.parametrize(("method", "options"), [("reindex", {"wait": True}), ("sync", {}), ("verify", {})])
def test_other_waits_report_progress_too(daemon: FakeDaemon, call: Call, method: str, options: dict[str, bool]) -> None:
    received: list[tuple[int, str]] = []

    def note(progress: dict[str, Any]) -> None:
        received.append((progress["files_done"], progress["activity"]))

    call(daemon, method, next(iter(daemon.roots)), on_progress=note, **options)
    activity = "verify" if method == "verify" else "index"
    assert received == [(60, activity), (120, activity)]
    assert daemon.seen[0][1]["progress"]


def test_add_without_waiting_returns_at_once(daemon: FakeDaemon, tmp_path: Path, call: Call) -> None:
    (tmp_path / "more").mkdir()
    assert call(daemon, "add", tmp_path / "more", wait=False, workers=0)["roots"][0]["state"] == "indexing"
    assert daemon.seen == [
        (
            "roots.add",
            {"path": str(tmp_path / "more"), "wait": False, "force": False, "workers": 0, "progress": False},
        ),
    ]


def test_a_missing_socket_means_no_daemon(tmp_path: Path) -> None:
    with pytest.raises(NoDaemonError) as caught, Client(tmp_path / "nobody", start=False) as client:
        client.info()
    assert caught.value.exit_code == 4
    assert "codeindexd" in caught.value.hint


def test_async_a_missing_socket_means_no_daemon(tmp_path: Path) -> None:
    async def run() -> None:
        async with AsyncClient(tmp_path / "nobody", start=False):
            pass

    with pytest.raises(NoDaemonError):
        anyio.run(run)


async def _never_answer(params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
    await anyio.sleep_forever()
    return {}


def test_a_request_times_out_and_closes_the_connection(daemon: FakeDaemon) -> None:
    daemon.answers["search"] = _never_answer
    with Client(daemon.socket_path, start=False, timeout_s=0.1) as client:
        with pytest.raises(TimedOutError):
            client.search("x")
        assert client.info()["pid"] == 4242  # on a new connection, where the late answer cannot arrive


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_suspended_daemon_is_no_reason_to_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codeindexd.client.sync._SILENT_S", 0.1)
    code = f"import socket, time; s = socket.socket(socket.AF_UNIX); s.bind({str(tmp_path / 's')!r}); s.listen()"
    process = subprocess.Popen([sys.executable, "-c", f"{code}; print(flush=True); time.sleep(60)"], stdout=-1)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        for timeout_s in (None, 0.2):
            with Client(tmp_path / "s", start=False, timeout_s=timeout_s) as client:
                with pytest.raises(NoDaemonError, match=f"pid {process.pid}.* is suspended") as caught:
                    client.info()
                assert caught.value.hint.startswith(f"continue it: kill -CONT {process.pid}; or")
    finally:
        process.kill()
        process.communicate()


def test_a_client_answers_one_caller_at_a_time(daemon: FakeDaemon, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    with Client(daemon.socket_path, start=False) as client:

        def ask_meanwhile(progress: object) -> None:
            client.info()

        with pytest.raises(UsageError, match="waiting for another answer") as caught:
            client.add(tmp_path / "more", on_progress=ask_meanwhile)
        assert "one Client for each thread" in caught.value.hint


def test_an_async_client_that_is_not_open_says_so(daemon: FakeDaemon) -> None:
    async def main() -> None:
        client = AsyncClient(daemon.socket_path, start=False)
        with pytest.raises(NoDaemonError, match="the client is not open"):
            await client.info()
        async with client:
            await client.info()
        with pytest.raises(NoDaemonError, match="the client is closed"):
            await client.info()

    anyio.run(main)


def test_a_stopping_daemon_refuses_queries_and_then_is_gone(tmp_path: Path) -> None:
    with FakeDaemon(tmp_path / "s") as daemon:
        daemon.answers["search"] = ShuttingDownError("the daemon is stopping")
        client = Client(daemon.socket_path, start=False)
        with pytest.raises(ShuttingDownError):
            client.search("x")
        client.shutdown()
    with pytest.raises(NoDaemonError):
        client.info()


def test_notifications_arrive_in_order_and_end_after_the_timeout(daemon: FakeDaemon) -> None:
    with Client(daemon.socket_path, start=False) as client:
        assert client.subscribe() == "id:7"
        daemon.tell("state", {"root": "/p", "state": "fresh"})
        daemon.tell("generation", {"root": "/p"})
        client.roots()  # notifications that arrive meanwhile are kept
        assert [note["method"] for note in client.notifications(timeout_s=0.05)] == ["state", "generation"]
        client.unsubscribe()
    until(lambda: not daemon.subscribers)


def test_async_requests_run_concurrently_and_can_be_cancelled(daemon: FakeDaemon) -> None:
    async def slow(params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        await anyio.sleep_forever()
        return {}

    daemon.answers["sync"] = slow

    async def run() -> None:
        async with AsyncClient(daemon.socket_path, start=False) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.sync)
                answers: list[str] = []

                async def ask(number: int) -> None:
                    answers.append((await client.search(f"q{number}"))["query"])

                async with anyio.create_task_group() as asking:
                    for number in range(50):
                        asking.start_soon(ask, number)
                assert sorted(answers) == sorted(f"q{number}" for number in range(50))
                tasks.cancel_scope.cancel()
            assert (await client.info())["pid"] == 4242

    anyio.run(run)


def test_async_notifications_end_with_the_connection(daemon: FakeDaemon) -> None:
    received = []

    async def listen(client: AsyncClient) -> None:
        async for note in client.notifications():
            received.append(note["method"])
            await client.shutdown()

    async def run() -> None:
        async with AsyncClient(daemon.socket_path, start=False) as client:
            await client.subscribe()
            await anyio.to_thread.run_sync(daemon.tell, "state", {"root": "/p"})
            with pytest.raises(NoDaemonError):
                await listen(client)

    anyio.run(run)
    assert received == ["state"]


def test_both_clients_have_the_same_methods() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert public(AsyncClient) == public(Client) - {"close"}


class TestPaths:
    def test_paths_become_absolute_with_all_links_resolved_except_the_last(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to("real")
        (tmp_path / "real" / "end").symlink_to("nowhere")
        monkeypatch.chdir(tmp_path)
        top = os.path.realpath(tmp_path)
        assert core.absolute("link/end") == f"{top}/real/end"
        assert core.absolute(".") == core.absolute("real/..") == top
        assert core.absolute("real/") == f"{top}/real"
        assert core.absolute("/") == "/"
        assert core.absolute(b"caf\xe9") == f"{top}/caf\udce9"

    @pytest.mark.parametrize("path", ["", b"", "/a\0b/c", "~\0", "/a\ud800b", b"\0"])
    def test_invalid_paths_are_refused(self, path: str | bytes) -> None:
        for convert in (core.absolute, core.relative_name, core.absolute_or_none, lambda one: core.absolute_all([one])):
            with pytest.raises(UsageError):
                convert(path)
        assert core.absolute_all(None) is None is core.absolute_or_none(None)

    def test_roots_may_be_a_single_path(self) -> None:
        for path in ("/a/b", b"/a/b", Path("/a/b")):
            assert core.absolute_all(path) == core.absolute_all([path]) == ["/a/b"]

    def test_a_path_belongs_to_its_innermost_root(self) -> None:
        assert core.split_at_root("/a/b/c.py", ["/a", "/a/b", "/z"]) == ("/a/b", "c.py")
        assert core.split_at_root("/a/b", ["/"]) == ("/", "a/b")
        with pytest.raises(NotIndexedError):
            core.split_at_root("/ab/c", ["/a"])


def test_versions_are_compared_as_numbers() -> None:
    assert core.is_older("0.0.9")
    assert not core.is_older("0.1.0")
    assert not core.is_older("0.10.0")
    assert not core.is_older("who knows")
