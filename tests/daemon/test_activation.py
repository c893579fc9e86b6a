"""The service managers' protocols, with a real datagram socket and real inherited descriptors."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeindexd.daemon import activation
from codeindexd.errors import FailedError


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listening


def test_all_notifications_reach_the_manager(manager: socket.socket) -> None:
    assert activation.is_enabled()
    activation.notify_slow_start(90.0)
    activation.notify_ready("2 roots, all fresh")
    activation.notify_status("two\nlines")
    activation.notify_alive()
    activation.notify_stopping()
    assert [manager.recv(4096) for _ in range(5)] == [
        b"EXTEND_TIMEOUT_USEC=90000000",
        b"READY=1\nSTATUS=2 roots, all fresh",
        b"STATUS=two lines",
        b"WATCHDOG=1",
        b"STOPPING=1\nSTATUS=stopping",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
def test_abstract_notify_sockets_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0codeindexd-test-{os.getpid()}")
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@codeindexd-test-{os.getpid()}")
        activation.notify_ready()
        assert listening.recv(100) == b"READY=1"


def test_without_a_manager_nothing_is_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not activation.is_enabled()
    activation.notify_ready()
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    activation.notify_ready()


@pytest.mark.parametrize(
    ("limit", "pid", "expected"),
    [
        ("30000000", "", 15.0),
        pytest.param("30000000", str(os.getpid()), 15.0, id="own-pid"),
        ("30000000", "1", None),
        ("", "", None),
        ("x", "", None),
    ],
)
def test_the_watchdog_interval_is_half_the_limit(
    monkeypatch: pytest.MonkeyPatch, limit: str, pid: str, expected: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", limit)
    monkeypatch.setenv("WATCHDOG_PID", pid)
    assert activation.watchdog_interval_s() == expected


ADOPT = """
import os, sys
from codeindexd.daemon import activation
from codeindexd.errors import FailedError
os.environ["LISTEN_PID"] = str(os.getpid())
try:
    inherited = activation.inherited_socket()
except FailedError as error:
    print("refused:", error.message)
else:
    connection, _ = inherited.accept()
    left = [name for name in os.environ if name.startswith("LISTEN")]
    connection.sendall(f"{inherited.fileno()} {left} {inherited.get_inheritable()}".encode())
"""


def start_with(fd: int, count: int = 1) -> subprocess.Popen[str]:
    """Run a process with ``fd`` as its descriptor 3, as systemd does."""

    def arrange() -> None:
        os.dup2(fd, 3)
        if count > 1:
            os.dup2(fd, 4)

    environ = os.environ | {"LISTEN_FDS": str(count), "LISTEN_FDNAMES": "x", "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", ADOPT],
        preexec_fn=arrange,
        close_fds=False,
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    )


def test_an_inherited_listening_socket_is_adopted(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
        listening.bind(str(tmp_path / "sock"))
        listening.listen()
        with start_with(listening.fileno()) as process:
            client.settimeout(20)
            client.connect(str(tmp_path / "sock"))
            assert client.recv(100) == b"3 [] False"
        assert process.returncode == 0
        assert (tmp_path / "sock").exists()


def test_other_descriptors_are_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as idle, (tmp_path / "file").open("w") as file:
        for fd, count, reason in [
            (idle.fileno(), 1, "not a listening unix stream socket"),
            (file.fileno(), 1, "instead of one socket"),
            (idle.fileno(), 2, "instead of one socket"),
        ]:
            output, _ = start_with(fd, count).communicate(timeout=20)
            assert reason in output


def test_descriptors_for_another_process_are_ignored() -> None:
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "OTHER": "x"}
    assert activation.inherited_socket(environ) is None
    assert environ == {"OTHER": "x"}
    assert activation.inherited_socket({}) is None


def test_a_file_instead_of_a_socket_is_refused_with_a_hint() -> None:
    with pytest.raises(FailedError, match="instead of one socket") as caught:
        activation._adopt([0, 1])
    assert "ListenStream=" in caught.value.hint
