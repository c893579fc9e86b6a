"""The process that holds the daemon's lock: finds it for a client, and ends it if it cannot be reached."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from codeindexd.errors import NoDaemonError

_TERM_TIMEOUT_S = 15.0  # as the service manager waits
_KILL_TIMEOUT_S = 5.0
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class LockHolder:
    """The daemon that holds ``lock``; ``pid`` is 0 if unknown.

    ``is_ours`` is True if ``pid`` is known to be a process of this user on this machine, and in this container.
    """

    lock: Path
    pid: int
    is_ours: bool

    @property
    def description(self) -> str:
        """The daemon as messages name it."""
        return f"a daemon (pid {self.pid})" if self.pid else "a daemon"


def lock_holder(lock: Path) -> LockHolder | None:
    """Return the holder of ``lock``, None if nobody holds it.

    If the lock is free, the test takes it for an instant, so a starting daemon must try more than once.
    """
    try:
        fd = os.open(lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(fd, 32, 0).strip()
        pid = int(text) if text.isdigit() else 0
        return LockHolder(lock, pid, is_ours=pid > 0 and _is_ours(pid, os.fstat(fd)))
    except OSError:
        return None
    finally:
        os.close(fd)
    return None


def end_holder(holder: LockHolder) -> None:
    """End a daemon that cannot be reached, and return when its lock is free.

    SIGTERM lets it close its stores; if it does not end within 15 seconds it is killed, which its stores survive.
    Raises NoDaemonError if it cannot be ended, for example because it runs in another container or on another machine.
    """
    for number, timeout_s in ((signal.SIGTERM, _TERM_TIMEOUT_S), (signal.SIGKILL, _KILL_TIMEOUT_S)):
        if not _signal(holder, number):
            break
        if _wait_until_free(holder, timeout_s):
            return
    if lock_holder(holder.lock) is None:
        return
    raise NoDaemonError(
        f"{holder.description} holds {holder.lock}, but it can be neither reached nor stopped from here",
        hint="it may run in another container or on another machine: stop it there",
    )


def _signal(holder: LockHolder, number: signal.Signals) -> bool:
    """Signal the process; return False if that is impossible, but True if it has ended by itself.

    On Linux, the signal is sent by pidfd, and only if the process still holds the lock, so that it cannot hit another
    process that reuses the pid.
    """
    if not holder.is_ours:
        return False
    try:
        if sys.platform != "linux":
            os.kill(holder.pid, number)
            return True
        pidfd = os.pidfd_open(holder.pid)
        try:
            if lock_holder(holder.lock) == holder:
                signal.pidfd_send_signal(pidfd, number)
            return True
        finally:
            os.close(pidfd)
    except ProcessLookupError:
        return True  # it ended by itself
    except OSError:
        return False


def _wait_until_free(holder: LockHolder, timeout_s: float) -> bool:
    """Return True once the process no longer holds the lock, False after ``timeout_s`` seconds."""
    deadline = time.monotonic() + timeout_s
    while lock_holder(holder.lock) == holder:
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _is_ours(pid: int, lock: os.stat_result) -> bool:
    """Return True if the process belongs to this user and has the lock file open.

    The pid alone proves nothing, since it may come from another container. Without /proc it has to suffice.
    """
    if sys.platform != "linux":
        with contextlib.suppress(OSError):
            os.kill(pid, 0)
            return True
        return False
    process = Path("/proc") / str(pid)
    with contextlib.suppress(OSError):
        if process.stat().st_uid != os.geteuid():
            return False
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                found = descriptor.stat()
                if (found.st_dev, found.st_ino) == (lock.st_dev, lock.st_ino):
                    return True
    return False
