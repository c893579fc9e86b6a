"""What passes between the daemon and the service manager that started it: systemd or launchd.

Everything here does nothing where no manager asked for it. Protocols: sd_notify(3), sd_listen_fds(3),
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


def enabled() -> bool:
    """Whether a manager wants to hear from this process."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def ready(status: str = "") -> None:
    """The daemon answers."""
    _send("READY=1", *([_status(status)] if status else []))


def status(text: str) -> None:
    """One line for ``systemctl status``."""
    _send(_status(text))


def watchdog() -> None:
    """The daemon is alive; due every ``watchdog_interval_s`` seconds."""
    _send("WATCHDOG=1")


def stopping() -> None:
    """The daemon begins to stop."""
    _send("STOPPING=1", _status("stopping"))


def watchdog_interval_s() -> float | None:
    """Half the time after which the manager kills a silent daemon; None where it does not watch this process."""
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
    except OSError as error:  # the manager's queue is full or it is gone: no reason to stop working
        log.debug("the service manager was not told", error=str(error))


def inherited_socket(environ: MutableMapping[str, str] = os.environ) -> socket.socket | None:
    """The listening socket that the manager opened for this process; None when there is none.

    It stays the manager's: it must not be unlinked. The variables that announce it are removed from ``environ``, so
    that no child takes it for its own. Raises FailedError when it is not one listening unix stream socket.
    """
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if pid == str(os.getpid()) and count.isdecimal() and int(count) > 0:
        return _adopt(list(range(_FIRST_FD, _FIRST_FD + int(count))))
    if sys.platform == "darwin":
        return _adopt(_launchd_fds(LAUNCHD_SOCKET))
    return None


def _adopt(fds: list[int]) -> socket.socket | None:
    if not fds:
        return None
    if len(fds) > 1 or not _is_socket(fds[0]):
        raise FailedError(
            f"{len(fds)} inherited descriptors are not one socket",
            hint="The socket unit must have exactly one ListenStream=.",
        )
    inherited = socket.socket(fileno=fds[0])
    listens = inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if inherited.family != socket.AF_UNIX or inherited.type != socket.SOCK_STREAM or not listens:
        inherited.detach()  # not ours to close
        raise FailedError(
            "the inherited socket is not a listening unix stream socket",
            hint="The socket unit must have a ListenStream= with a path.",
        )
    inherited.set_inheritable(False)
    return inherited


def _is_socket(fd: int) -> bool:
    with contextlib.suppress(OSError):
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    return False


def _launchd_fds(name: str) -> list[int]:
    """The descriptors launchd holds for the agent's socket ``name``; none when launchd did not start this process."""
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
