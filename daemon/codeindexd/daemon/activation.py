"""Notifications to the service manager (systemd or launchd), and the socket inherited from it.

Without a service manager, the functions do nothing. Protocols: sd_notify(3), sd_listen_fds(3),
launch_activate_socket(3).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import stat
import sys
from collections.abc import MutableMapping

import structlog

from codeindexd.errors import FailedError

log = structlog.get_logger(__name__)

LAUNCHD_SOCKET = "Listener"  # the key under Sockets in the launchd agent
_FIRST_FD = 3


def is_enabled() -> bool:
    """Return True if a manager expects notifications from this process."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def notify_ready(status: str = "") -> None:
    """Tell the manager that the daemon answers requests; ``status`` is a line for ``systemctl status``."""
    _send("READY=1", *([_status(status)] if status else []))


def notify_slow_start(seconds: float) -> None:
    """Tell the service manager that starting takes up to ``seconds`` from now, whatever the unit allows."""
    _send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")


def notify_status(text: str) -> None:
    """Set the line that ``systemctl status`` shows."""
    _send(_status(text))


def notify_alive() -> None:
    """Reset the manager's watchdog. Due at least every :func:`watchdog_interval_s` seconds."""
    _send("WATCHDOG=1")


def notify_stopping() -> None:
    """Tell the manager that the shutdown has begun."""
    _send("STOPPING=1", _status("stopping"))


def watchdog_interval_s() -> float | None:
    """Return half the time in seconds after which the watchdog kills a silent daemon; None without a watchdog."""
    limit, watched = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not limit.isdecimal() or int(limit) == 0 or (watched and watched != str(os.getpid())):
        return None
    return int(limit) / 2e6


def _status(text: str) -> str:
    return "STATUS=" + " ".join(text.split())


def _send(*lines: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.sendto("\n".join(lines).encode(), socket.MSG_DONTWAIT, address)
    except OSError as error:  # the manager's queue is full, or it is gone
        log.debug("service_manager_not_notified", error=str(error))


def inherited_socket(environ: MutableMapping[str, str] = os.environ) -> socket.socket | None:
    """Return the listening socket that the manager opened for this process, or None.

    Its path belongs to the manager and must not be unlinked. The variables that announce it are removed from
    ``environ``, so that child processes do not use it. Raises FailedError if the manager passed something else than
    one listening unix stream socket.
    """
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if pid == str(os.getpid()) and count.isdecimal() and int(count) > 0:
        return _adopt(list(range(_FIRST_FD, _FIRST_FD + int(count))))
    if sys.platform == "darwin":
        return _adopt(_launchd_fds(LAUNCHD_SOCKET))
    return None


def _adopt(fds: list[int]) -> socket.socket | None:
    """Return the socket that the service manager passed, None without one. Raises FailedError for anything else."""
    if not fds:
        return None
    if len(fds) > 1 or not _is_socket(fds[0]):
        raise FailedError(
            f"the service manager passed {len(fds)} file descriptors instead of one socket",
            hint="give the socket unit exactly one ListenStream=",
        )
    inherited = socket.socket(fileno=fds[0])
    listens = inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if inherited.family != socket.AF_UNIX or inherited.type != socket.SOCK_STREAM or not listens:
        inherited.detach()  # the manager owns it
        raise FailedError(
            "the socket from the service manager is not a listening unix stream socket",
            hint="give the socket unit a ListenStream= with a path",
        )
    inherited.set_inheritable(False)
    return inherited


def _is_socket(fd: int) -> bool:
    with contextlib.suppress(OSError):
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    return False


def _launchd_fds(name: str) -> list[int]:
    """Return the file descriptors of the launchd socket ``name``; [] if launchd did not start this process."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "launch_activate_socket"):
        return []
    fds, count = ctypes.POINTER(ctypes.c_int)(), ctypes.c_size_t(0)
    if library.launch_activate_socket(name.encode(), ctypes.byref(fds), ctypes.byref(count)) != 0:
        return []  # ESRCH: not a launchd job; ENOENT: the agent declares no such socket
    try:
        return [fds[index] for index in range(count.value)]
    finally:
        library.free(fds)
