"""Starting a daemon when none answers: through the user's service if it is installed, else detached."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from codeindexd import protocol
from codeindexd.client import installed_service
from codeindexd.errors import NoDaemonError

_START_TIMEOUT_S = 20.0
_AFTER_EXIT_S = 2.0
_POLL_S = 0.02
_TAIL_LINES = 12
_EXIT_TIMEOUT_S = 10.0


def start_daemon(socket_path: str, environ: Mapping[str, str], *, command: Sequence[str] | None = None) -> None:
    """Start a daemon and return when it answers at ``socket_path``.

    Of several clients that find no daemon, one starts it and the others wait. ``command`` replaces the detached
    daemon's. Raises NoDaemonError with the end of its log if it exits or does not answer within 20 seconds, FailedError
    if another user's process answers.
    """
    with _open_private(log_file(environ).with_name("start.lock")) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if _wait(socket_path, None):
                return
            raise NoDaemonError(
                f"another client started the daemon, but it does not answer at {socket_path}",
                hint="to see why, run it in a terminal: codeindexd",
            ) from None
        if answers(socket_path):
            return
        if command is None and "CODEINDEXD_SOCKET" not in environ and installed_service.start(environ):
            if _wait(socket_path, None):
                return
            unit = installed_service.SYSTEMD_UNIT
            hint = f"see `systemctl --user status {unit}` and `journalctl --user -u {unit}`"
            raise NoDaemonError(f"the service was started, but does not answer at {socket_path}", hint=hint)
        _start_detached(socket_path, environ, command or [sys.executable, "-P", "-m", "codeindexd"])


def foreign_program(environ: Mapping[str, str]) -> str:
    """Return the program of another installation that `start_daemon` would start, "" if it would start ours."""
    return "" if "CODEINDEXD_SOCKET" in environ else installed_service.foreign_program(environ)


def answers(socket_path: str) -> bool:
    """Return True if a daemon listens at ``socket_path``. Raises FailedError if it is another user's process."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            protocol.connect(probe, socket_path, 1.0)
        except TimeoutError:
            return True  # alive, with a full backlog
        except OSError:
            return False
        protocol.trust(probe, socket_path)
        return True


def wait_for_exit(pid: int) -> None:
    """Wait at most ten seconds until the process is gone: a stopping daemon holds its lock a little longer."""
    deadline = time.monotonic() + _EXIT_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except OSError:
            return
        time.sleep(_POLL_S)


def _start_detached(socket_path: str, environ: Mapping[str, str], command: Sequence[str]) -> None:
    log = log_file(environ)
    with _open_private(log) as output:
        start = output.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",  # it must not keep a directory busy, nor import from one
            env=dict(environ),
            start_new_session=True,
        )
    if _wait(socket_path, process):
        process.returncode = process.returncode or 0  # it outlives us: avoids a warning about an unfinished child
        return
    status = process.poll()
    if status is None:
        what = f"it does not answer after {_START_TIMEOUT_S:g} s"
        process.terminate()
        process.wait()
    else:
        what = f"it ended (exit code {status})"
    tail = _tail(log, start)
    raise NoDaemonError(
        f"the daemon was started, but {what}" + (f"; its log ends with:\n{tail}" if tail else ""),
        hint=f"its log is {log}; to look for the cause: codeindex doctor",
    )


def _wait(socket_path: str, process: subprocess.Popen[bytes] | None) -> bool:
    """Return True if a daemon answers in time. A process that exits may have lost a race: the winner gets its time."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    exited = False
    while time.monotonic() < deadline:
        if answers(socket_path):
            return True
        if process is not None and not exited and process.poll() is not None:
            exited = True
            deadline = min(deadline, time.monotonic() + _AFTER_EXIT_S)
        time.sleep(_POLL_S)
    return False


def _open_private(path: Path) -> BinaryIO:
    """Open a file of the state directory for appending, readable by this user only. Raises NoDaemonError."""
    try:
        for directory in (*reversed(path.parent.parents), path.parent):
            directory.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.fdopen(os.open(path, flags, 0o600), "ab")
    except OSError as error:
        raise NoDaemonError(
            f"cannot start a daemon: {path}: {error.strerror}", hint="check that the state directory is writable"
        ) from error


def log_file(environ: Mapping[str, str]) -> Path:
    """Return the file in the state directory that a detached daemon's output goes to."""
    if state := environ.get("XDG_STATE_HOME", ""):
        return Path(state) / "codeindexd" / "codeindexd.log"
    import platformdirs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return platformdirs.user_state_path("codeindexd", appauthor=False) / "codeindexd.log"


def _tail(log: Path, start: int) -> str:
    with log.open("rb") as lines:
        lines.seek(max(start, log.stat().st_size - (64 << 10)))
        text = lines.read().decode("utf-8", "replace")
    return "\n".join(f"  {line}" for line in text.splitlines()[-_TAIL_LINES:])
