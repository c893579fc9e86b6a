"""Connecting, and checks of the other end: a daemon serves, and a client trusts, only processes of its own user."""

from __future__ import annotations

import os
import socket
import struct
import sys
import time

from codeindexd.errors import FailedError

_LOCAL_PEERCRED = 1  # macOS, level SOL_LOCAL (0)
_RETRY_S = 0.02


def connect(raw: socket.socket, path: str, timeout_s: float) -> None:
    """Connect within ``timeout_s`` seconds, and leave that timeout set. Raises TimeoutError and other OSErrors.

    Retries while the listener's backlog is full: on a socket with a timeout, Linux then fails at once (EAGAIN).
    """
    deadline = time.monotonic() + timeout_s
    raw.settimeout(timeout_s)
    while True:
        try:
            return raw.connect(path)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError("too many clients are waiting to connect") from None
            time.sleep(_RETRY_S)


def peer_credentials(raw: socket.socket) -> tuple[int, int]:
    """Return (uid, pid) of the process at the other end; pid 0 if the system does not report it. Raises OSError."""
    if sys.platform == "darwin":
        data = raw.getsockopt(0, _LOCAL_PEERCRED, 76)
        return struct.unpack_from("=II", data)[1], 0
    data = raw.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    pid, uid, _ = struct.unpack("iII", data)
    return uid, pid


def suspended_peer(raw: socket.socket) -> int:
    """Return the pid of the process at the other end if it is suspended (SIGSTOP); 0 if it is not or that is unknown.

    A process that was only started by socket activation is unknown. Without /proc (macOS) all are.
    """
    try:
        _, pid = peer_credentials(raw)
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - pathlib costs a fifth of a search's time
            status = file.read()
    except OSError:
        return 0
    return pid if status.rpartition(b") ")[2][:1] == b"T" else 0


def check_peer(raw: socket.socket, path: str) -> None:
    """Raise FailedError if another user listens at the other end of a connection to ``path``.

    That user would read our queries and could forge answers. Root is trusted: launchd listens on behalf of an agent,
    and nothing can be hidden from root. Also raises OSError.
    """
    uid, _ = peer_credentials(raw)
    if uid not in (os.geteuid(), 0):
        raise FailedError(
            f"{path} is another user's socket (uid {uid}); not connecting to it",
            hint="set XDG_RUNTIME_DIR or CODEINDEXD_SOCKET to a directory that only you can write to",
        )
