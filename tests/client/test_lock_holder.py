"""Who holds the daemon's lock, and ending it: never a process that merely has its number."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from codeindexd.client import lock_holder
from codeindexd.client.lock_holder import LockHolder, end_holder
from codeindexd.errors import NoDaemonError

HOLDER = """
import fcntl, os, signal, sys
if sys.argv[2] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(fd, fcntl.LOCK_EX)
os.pwrite(fd, b"%d\\n" % (int(sys.argv[3]) or os.getpid()), 0)
print("held", flush=True)
sys.stdin.read()
"""


def hold(lock: Path, *, stubborn: bool = False, pid: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLDER, str(lock), "stubborn" if stubborn else "-", str(pid)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def found(lock: Path) -> LockHolder:
    holder = lock_holder.lock_holder(lock)
    assert holder is not None
    return holder


def test_a_free_lock_has_no_holder(tmp_path: Path) -> None:
    assert lock_holder.lock_holder(tmp_path / "lock") is None
    (tmp_path / "lock").write_text(f"{os.getpid()}\n")
    assert lock_holder.lock_holder(tmp_path / "lock") is None


def test_the_holder_is_ended(tmp_path: Path) -> None:
    with hold(tmp_path / "lock") as process:
        holder = found(tmp_path / "lock")
        assert (holder.pid, holder.is_ours) == (process.pid, True)
        end_holder(holder)
        assert process.wait(20) == -signal.SIGTERM
        assert lock_holder.lock_holder(tmp_path / "lock") is None


def test_a_holder_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_holder, "_TERM_TIMEOUT_S", 0.2)
    with hold(tmp_path / "lock", stubborn=True) as process:
        end_holder(found(tmp_path / "lock"))
        assert process.wait(20) == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_process_that_does_not_hold_the_lock_is_never_ended(tmp_path: Path) -> None:
    """The number in the lock may be one of another container."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        with hold(tmp_path / "lock", pid=innocent.pid) as process:
            assert not found(tmp_path / "lock").is_ours
            with pytest.raises(NoDaemonError, match="neither reached nor stopped") as caught:
                end_holder(found(tmp_path / "lock"))
            assert "container" in caught.value.hint
            assert process.poll() is None
            process.communicate()
        assert innocent.poll() is None
        innocent.communicate(b"\n")
