"""Starting a daemon when none answers: only one for many clients, and with a reason if it fails."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from client.fake_daemon import FakeDaemon
from codeindexd import protocol
from codeindexd.client import Client, start
from codeindexd.daemon.listener import Listener
from codeindexd.daemon.paths import Paths
from codeindexd.errors import AlreadyRunningError, NoDaemonError
from support.daemons import until
from support.places import DAEMON

pytestmark = pytest.mark.processes

FAKE = [sys.executable, "-m", "client.fake_daemon"]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    tests = DAEMON.parent / "tests"
    return {
        **os.environ,
        "PYTHONPATH": f"{DAEMON}:{tests}",
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "CODEINDEXD_SOCKET": str(tmp_path / "run" / "s"),
    }


def stop(path: str) -> None:
    with Client(path, start=False) as client:
        client.shutdown()
    until(lambda: not Path(path).exists())


def test_a_relative_state_directory_is_ignored_as_the_daemon_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert start.log_file(os.environ).is_absolute()
    assert start.log_file(os.environ) == Paths.of_user(os.environ).log_file


def test_many_clients_at_once_start_one_daemon(environ: dict[str, str]) -> None:
    path, errors = environ["CODEINDEXD_SOCKET"], []

    def begin() -> None:
        try:
            start.start_daemon(path, environ, command=[*FAKE, path])
        except NoDaemonError as error:
            errors.append(error)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert start.is_answering(path)
    stop(path)


def test_a_daemon_that_exits_is_reported_with_the_end_of_its_log(environ: dict[str, str]) -> None:
    command = [sys.executable, "-c", "import sys; print('first'); sys.exit('the disk is on fire')"]
    with pytest.raises(NoDaemonError, match=r"(?s)exit code 1.*the disk is on fire") as caught:
        start.start_daemon(environ["CODEINDEXD_SOCKET"], environ, command=command)
    assert "codeindexd.log" in caught.value.hint


def test_a_daemon_that_loses_the_race_for_the_lock_is_not_an_error(environ: dict[str, str]) -> None:
    path = Path(environ["CODEINDEXD_SOCKET"])
    with FakeDaemon(path):
        start.start_daemon(str(path), environ, command=["false"])


def test_an_installed_service_is_started_first(tmp_path: Path, environ: dict[str, str]) -> None:
    """The service manager is a script that starts the fake daemon at the user's socket."""
    runtime = tmp_path / "r"
    path = runtime / "codeindexd" / "codeindexd.sock"
    unit = tmp_path / "config/systemd/user/codeindexd.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\n")
    _script(tmp_path / "bin/systemctl", f'echo "$@" > {tmp_path}/asked; {" ".join(FAKE)} {path} >/dev/null 2>&1 &')
    environ |= {"XDG_CONFIG_HOME": str(tmp_path / "config"), "PATH": f"{tmp_path}/bin:{environ['PATH']}"}
    del environ["CODEINDEXD_SOCKET"]
    start.start_daemon(str(path), environ)
    assert (tmp_path / "asked").read_text() == "--user start codeindexd.service\n"
    stop(str(path))


def _script(path: Path, body: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def _starts(daemon: FakeDaemon) -> Callable[..., str]:
    """Return a substitute for ``start_daemon`` that enters ``daemon`` instead of starting a process."""

    def begin(path: str, environ: object, **_: object) -> str:
        daemon.__enter__()
        return path

    return begin


def test_an_older_daemon_is_replaced_and_a_newer_one_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s"
    fresh = FakeDaemon(path)
    monkeypatch.setattr(start, "start_daemon", _starts(fresh))
    monkeypatch.setattr(start, "wait_for_exit", lambda _: until(lambda: not path.exists()))
    with FakeDaemon(path, version="0.0.1"), Client(path) as client:
        assert client.roots() == {"roots": []}
    assert [method for method, _ in fresh.seen] == ["roots.list"]
    fresh.__exit__()
    with FakeDaemon(path, version="99.0.0") as newer, Client(path) as client:
        assert client.info()["version"] == "99.0.0"
    assert "shutdown" not in [method for method, _ in newer.seen]


def test_an_older_daemon_is_kept_if_starting_is_forbidden(tmp_path: Path) -> None:
    with FakeDaemon(tmp_path / "s", version="0.0.1") as old, Client(tmp_path / "s", start=False) as client:
        assert client.roots() == {"roots": []}
    assert [method for method, _ in old.seen] == ["roots.list"]


def test_waiting_for_a_process_ends_when_it_exits() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    waiting = threading.Thread(target=start.wait_for_exit, args=[process.pid])
    waiting.start()
    process.communicate(b"\n", timeout=20)
    waiting.join(20)
    assert not waiting.is_alive()


def test_a_daemon_with_a_full_backlog_is_alive(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as busy, contextlib.ExitStack() as waiting:
        busy.bind(str(path))
        busy.listen(0)
        for _ in range(3):
            one = waiting.enter_context(socket.socket(socket.AF_UNIX))
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.connect(str(path))
        assert start.is_answering(str(path))
        with pytest.raises(AlreadyRunningError):
            Listener.open(path)


def test_a_daemon_that_downloads_a_model_is_left_alone(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "_START_TIMEOUT_S", 3.0)
    state = tmp_path / "state/codeindexd"
    state.mkdir(parents=True)
    code = (
        "import fcntl, os, sys, time\n"
        "from codeindexd import protocol\n"
        "lock = open(sys.argv[1] + '/lock', 'w')\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print(os.getpid(), file=lock, flush=True)\n"
        "address = protocol.Address(os.getpid(), '', '1', 'downloading the model a/b')\n"
        "open(sys.argv[1] + '/daemon.json', 'wb').write(address.encode())\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code, str(state)]
    path = environ["CODEINDEXD_SOCKET"]
    with pytest.raises(NoDaemonError, match="the daemon is downloading the model a/b, and answers after that"):
        start.start_daemon(path, environ, command=command)
    running = start.running_daemon(environ)
    assert running is not None
    monkeypatch.setattr(start, "_START_TIMEOUT_S", 0.1)
    with pytest.raises(NoDaemonError, match="downloading the model a/b"):
        start.start_daemon(path, environ, command=["false"])
    os.kill(running.pid, signal.SIGTERM)
    until(lambda: start.running_daemon(environ) is None)


def test_a_daemon_that_is_still_starting_is_not_ended(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "_START_TIMEOUT_S", 0.3)
    monkeypatch.setattr(start, "_REACHABLE_S", 0.1)
    state = tmp_path / "state/codeindexd"
    state.mkdir(parents=True)
    code = (
        "import fcntl, os, sys\n"
        "lock = open(sys.argv[1], 'w')\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print(os.getpid(), file=lock, flush=True)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(state / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as slow:
        assert slow.stdout is not None
        assert slow.stdout.readline() == b"held\n"
        (state / "daemon.json").write_bytes(protocol.Address(slow.pid, "", "1").encode())
        with pytest.raises(NoDaemonError, match=f"pid {slow.pid}.* is starting"):
            start.start_daemon(environ["CODEINDEXD_SOCKET"], environ, command=["false"])
        assert slow.poll() is None
        (state / "daemon.json").write_bytes(protocol.Address(slow.pid, str(tmp_path / "gone"), "1").encode())
        with pytest.raises(NoDaemonError, match="exit code 1"):
            start.start_daemon(environ["CODEINDEXD_SOCKET"], environ, command=["false"])
        assert slow.wait(20) == -signal.SIGTERM
