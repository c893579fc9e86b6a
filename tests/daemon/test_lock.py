"""The lock that allows one daemon at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from codeindexd.daemon.lock import Lock
from codeindexd.errors import AlreadyRunningError, FailedError

pytestmark = pytest.mark.processes

HOLDER = """
import sys
from pathlib import Path
from codeindexd.daemon.lock import Lock
with Lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_daemon_is_refused_with_the_holder_pid(tmp_path: Path) -> None:
    with hold(tmp_path / "lock") as process:
        with pytest.raises(AlreadyRunningError, match=f"pid {process.pid}"), Lock(tmp_path / "lock"):
            pass
        process.communicate()
    with Lock(tmp_path / "lock"):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    assert (tmp_path / "lock").read_text() == ""


def test_a_lock_is_released_when_its_holder_dies(tmp_path: Path) -> None:
    with hold(tmp_path / "lock") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (tmp_path / "lock").read_text() == f"{process.pid}\n"
    with Lock(tmp_path / "lock"):
        pass


def test_the_lock_file_is_private_and_never_a_link(tmp_path: Path) -> None:
    with Lock(tmp_path / "lock"):
        assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FailedError, match="cannot lock"), Lock(tmp_path / "link"):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_missing_directory_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="cannot lock"), Lock(tmp_path / "gone" / "lock"):
        pass
