"""Starting a daemon where none answers: through the user's service when it is installed, else detached."""

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
from codeindexd.client import service
from codeindexd.errors import NoDaemonError

_PATIENCE_S = 20.0
_AFTER_DEATH_S = 2.0
_STEP_S = 0.02
_TAIL_LINES = 12
_END_S = 10.0


def start_daemon(socket_path: str, environ: Mapping[str, str], *, command: Sequence[str] | None = None) -> None:
    """Start a daemon and return when it answers at ``socket_path``.

    Of many clients that find no daemon one starts it, the others wait. ``command`` replaces the detached daemon's.
    Raises NoDaemonError with the last lines of its log when it dies or does not answer within 20 seconds, FailedError
    when another user's process answers.
    """
    with _opened(log_file(environ).with_name("start.lock")) as turn:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if _wait(socket_path, None):
                return
            raise NoDaemonError(
                f"another client starts the daemon, and it does not answer at {socket_path}",
                hint="Run `codeindexd` in a terminal to see what stops it.",
            ) from None
        if answers(socket_path):
            return
        if command is None and "CODEINDEXD_SOCKET" not in environ and service.start(environ):
            if _wait(socket_path, None):
                return
            unit = service.SYSTEMD_UNIT
            hint = f"See `systemctl --user status {unit}` and `journalctl --user -u {unit}`."
            raise NoDaemonError(f"the service was started and does not answer at {socket_path}", hint=hint)
        _start_detached(socket_path, environ, command or [sys.executable, "-P", "-m", "codeindexd"])


def foreign_program(environ: Mapping[str, str]) -> str:
    """The program of another installation that `start_daemon` would have started; "" when it would start ours."""
    return "" if "CODEINDEXD_SOCKET" in environ else service.foreign_program(environ)


def answers(socket_path: str) -> bool:
    """Whether a daemon listens at ``socket_path``. Raises FailedError when it is another user's process."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            protocol.connect(probe, socket_path, 1.0)
        except TimeoutError:
            return True  # alive, with a full backlog
        except OSError:
            return False
        protocol.trust(probe, socket_path)
        return True


def wait_for_end(pid: int) -> None:
    """Return when the process is gone, or after ten seconds: a stopping daemon still holds its lock for a moment."""
    until = time.monotonic() + _END_S
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except OSError:
            return
        time.sleep(_STEP_S)


def _start_detached(socket_path: str, environ: Mapping[str, str], command: Sequence[str]) -> None:
    log = log_file(environ)
    with _opened(log) as output:
        begin = output.tell()
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
        process.returncode = process.returncode or 0  # it outlives us: no warning about an unfinished child
        return
    died = process.poll()
    what = f"ended at once (exit code {died})" if died is not None else f"does not answer after {_PATIENCE_S:g} s"
    if died is None:
        process.terminate()
        process.wait()
    tail = _tail(log, begin)
    raise NoDaemonError(
        f"the daemon was started and {what}" + (f"; it said:\n{tail}" if tail else ""),
        hint=f"Its log is {log}; `codeindex doctor` looks for the cause.",
    )


def _wait(socket_path: str, process: subprocess.Popen[bytes] | None) -> bool:
    """Whether somebody answers in time. A process that dies may have lost a race, so the winner gets its chance."""
    until = time.monotonic() + _PATIENCE_S
    died = False
    while time.monotonic() < until:
        if answers(socket_path):
            return True
        if process is not None and not died and process.poll() is not None:
            died = True
            until = min(until, time.monotonic() + _AFTER_DEATH_S)
        time.sleep(_STEP_S)
    return False


def _opened(path: Path) -> BinaryIO:
    """A file of the state directory, open for appending, that nobody else can read. Raises NoDaemonError."""
    try:
        for directory in (*reversed(path.parent.parents), path.parent):
            directory.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.fdopen(os.open(path, flags, 0o600), "ab")
    except OSError as error:
        raise NoDaemonError(
            f"no daemon can be started: {path}: {error.strerror}", hint="Is the state directory writable?"
        ) from error


def log_file(environ: Mapping[str, str]) -> Path:
    """Where a detached daemon's output goes: the state directory."""
    if state := environ.get("XDG_STATE_HOME", ""):
        return Path(state) / "codeindexd" / "codeindexd.log"
    import platformdirs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return platformdirs.user_state_path("codeindexd", appauthor=False) / "codeindexd.log"


def _tail(log: Path, begin: int) -> str:
    with log.open("rb") as lines:
        lines.seek(max(begin, log.stat().st_size - (64 << 10)))
        text = lines.read().decode("utf-8", "replace")
    return "\n".join(f"  {line}" for line in text.splitlines()[-_TAIL_LINES:])
