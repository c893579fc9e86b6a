"""Starts a daemon if none answers: through the user's service if it is installed, else detached."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
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
from codeindexd.client.lock_holder import LockHolder, end_holder, lock_holder
from codeindexd.errors import FailedError, NoDaemonError
from codeindexd.protocol.places import given_directory

_START_TIMEOUT_S = 20.0
_REACHABLE_S = 6.0  # a daemon that lost its socket listens again within seconds
_OTHER_CLIENT_START_S = 60.0  # another client may first have to end a daemon
_AFTER_EXIT_S = 2.0  # for another daemon, which won the race to start
_POLL_S = 0.02
_TAIL_LINES = 12
_EXIT_TIMEOUT_S = 10.0


def start_daemon(socket_path: str, environ: Mapping[str, str], *, command: Sequence[str] | None = None) -> str:
    """Start a daemon, and return its socket once it answers: ``socket_path``, or the one in its address file.

    If several clients find no daemon, one of them starts it and the others wait. A daemon that runs but cannot be
    reached is ended first. ``command`` replaces the command of a detached daemon. Raises NoDaemonError, with the end of
    the log, if the daemon exits or does not answer within 20 seconds, FailedError if another user's process answers.
    """
    with _open_private(log_file(environ).with_name("start.lock")) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if found := _wait(socket_path, environ, None, _OTHER_CLIENT_START_S):
                return found
            raise NoDaemonError(
                f"another client started the daemon, but it does not answer at {socket_path}",
                hint="to see why, run it in a terminal: codeindexd",
            ) from None
        if found := _find(socket_path, environ) or _free_lock(socket_path, environ):
            return found
        if command is None and "CODEINDEXD_SOCKET" not in environ and installed_service.start(environ):
            if found := _wait(socket_path, environ, None):
                return found
            if (current := running_daemon(environ)) is not None and (activity := _activity(environ, current.pid)):
                raise _still_busy(activity)
            unit = installed_service.SYSTEMD_UNIT
            hint = f"see `systemctl --user status {unit}` and `journalctl --user -u {unit}`"
            raise NoDaemonError(f"the service was started, but does not answer at {socket_path}", hint=hint)
        return _start_detached(socket_path, environ, command or [sys.executable, "-P", "-m", "codeindexd"])


def _activity(environ: Mapping[str, str], pid: int) -> str:
    """Return what keeps a daemon that is starting from answering for minutes, "" if it says nothing of the kind."""
    address = protocol.read_address(log_file(environ).parent)
    return address.activity if address is not None and address.pid == pid else ""


def _still_busy(activity: str) -> NoDaemonError:
    """Return the error for a daemon that is starting and is left alone."""
    hint = "ask again later; to follow it: codeindex logs -f"
    return NoDaemonError(f"the daemon is {activity}, and answers after that", hint=hint)


def advertised_socket(socket_path: str, environ: Mapping[str, str]) -> str:
    """Return the socket path in the daemon's address file; "" if there is none or it is ``socket_path``."""
    address = protocol.read_address(log_file(environ).parent)
    return "" if address is None or address.socket == socket_path else address.socket


def running_daemon(environ: Mapping[str, str]) -> LockHolder | None:
    """Return the daemon that holds the lock in this user's state directory, reachable or not; None without one."""
    return lock_holder(log_file(environ).with_name(protocol.LOCK_NAME))


def _find(socket_path: str, environ: Mapping[str, str]) -> str:
    """Return the socket at which a daemon answers, "" if none does.

    Raises FailedError if another user's process listens at ``socket_path``.
    """
    if is_answering(socket_path):
        return socket_path
    advertised = advertised_socket(socket_path, environ)
    try:
        return advertised if advertised and is_answering(advertised) else ""
    except FailedError:  # another user's process
        return ""


def _free_lock(socket_path: str, environ: Mapping[str, str]) -> str:
    """Wait for a daemon that holds the lock to answer, and return its socket; otherwise end it and return "".

    The daemon may be stopping, or about to notice that its socket is gone. A daemon that is starting is not ended,
    since it may have large stores to open. Raises NoDaemonError if that takes longer than 20 seconds, or if a daemon
    cannot be ended.
    """
    began = time.monotonic()
    while (current := running_daemon(environ)) is not None:
        if found := _find(socket_path, environ):
            return found
        address = protocol.read_address(log_file(environ).parent)
        is_starting = address is not None and address.pid == current.pid and not address.socket
        waited_s = time.monotonic() - began
        if is_starting and waited_s >= _START_TIMEOUT_S:
            if activity := _activity(environ, current.pid):
                raise _still_busy(activity)
            raise NoDaemonError(
                f"{current.description} is starting, but does not answer after {_START_TIMEOUT_S:g} s",
                hint="try again later; to start it again: codeindex restart",
            )
        if not is_starting and waited_s >= _REACHABLE_S:
            end_holder(current)
            return ""
        time.sleep(_POLL_S)
    return ""


def foreign_program(environ: Mapping[str, str]) -> str:
    """Return the program that :func:`start_daemon` would start if it belongs to another installation, else ""."""
    return "" if "CODEINDEXD_SOCKET" in environ else installed_service.foreign_program(environ)


def is_answering(socket_path: str) -> bool:
    """Return True if a process listens at ``socket_path``. Raises FailedError if it is another user's process."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            protocol.connect(probe, socket_path, 1.0)
        except TimeoutError:
            return True  # alive, with a full backlog
        except OSError:
            return False
        protocol.check_peer(probe, socket_path)
        return True


def wait_for_exit(pid: int) -> None:
    """Wait until the process has exited, at most ten seconds: a stopping daemon still holds its lock for a moment."""
    if sys.platform == "linux":  # here a process that nobody has waited for yet counts as exited
        with contextlib.suppress(OSError):
            pidfd = os.pidfd_open(pid)
            try:
                exited = select.poll()
                exited.register(pidfd, select.POLLIN)
                exited.poll(_EXIT_TIMEOUT_S * 1000)
            finally:
                os.close(pidfd)
        return
    deadline = time.monotonic() + _EXIT_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except OSError:
            return
        time.sleep(_POLL_S)


def _start_detached(socket_path: str, environ: Mapping[str, str], command: Sequence[str]) -> str:
    """Start a daemon in a session of its own, and return its socket once it answers. Raises NoDaemonError."""
    log = log_file(environ)
    with _open_private(log) as output:
        start = output.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",  # it must not keep a directory in use, nor import modules from one
            env=dict(environ),
            start_new_session=True,
        )
    if found := _wait(socket_path, environ, process):
        process.returncode = process.returncode or 0  # it outlives us: avoids a warning about an unfinished child
        return found
    status = process.poll()
    if status is None and (activity := _activity(environ, process.pid)):
        process.returncode = 0  # as above
        raise _still_busy(activity)
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


def _wait(
    socket_path: str,
    environ: Mapping[str, str],
    process: subprocess.Popen[bytes] | None,
    timeout_s: float = _START_TIMEOUT_S,
) -> str:
    """Return the socket at which a daemon answers within ``timeout_s``, else "".

    If ``process`` exits, another daemon may have started first; that one gets another two seconds.
    """
    deadline = time.monotonic() + timeout_s
    exited = False
    while time.monotonic() < deadline:
        if found := _find(socket_path, environ):
            return found
        if process is not None and not exited and process.poll() is not None:
            exited = True
            deadline = min(deadline, time.monotonic() + _AFTER_EXIT_S)
        time.sleep(_POLL_S)
    return ""


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
    """Return the file in the state directory that receives a detached daemon's output."""
    if state := given_directory(environ, "XDG_STATE_HOME"):
        return Path(state) / "codeindexd" / "codeindexd.log"
    import platformdirs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return platformdirs.user_state_path("codeindexd", appauthor=False) / "codeindexd.log"


def _tail(log: Path, start: int) -> str:
    """Return the last lines that were written to ``log`` after the position ``start``, indented."""
    with log.open("rb") as lines:
        lines.seek(max(start, log.stat().st_size - (64 << 10)))
        text = lines.read().decode("utf-8", "replace")
    return "\n".join(f"  {line}" for line in text.splitlines()[-_TAIL_LINES:])
