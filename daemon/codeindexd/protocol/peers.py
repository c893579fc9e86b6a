"""Peer checks: the daemon serves only its own user, a client trusts only its own user's daemon."""

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
    """Connect within ``timeout_s`` seconds, and leave that timeout set. Raises OSError, of it TimeoutError.

    A listener whose backlog is full is alive, but Linux then fails at once (EAGAIN) on a socket with a timeout.
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


def peer(raw: socket.socket) -> tuple[int, int]:
    """Return (uid, pid) of the process at the other end; pid 0 if the system does not tell. Raises OSError."""
    if sys.platform == "darwin":
        data = raw.getsockopt(0, _LOCAL_PEERCRED, 76)
        return struct.unpack_from("=II", data)[1], 0
    data = raw.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    pid, uid, _ = struct.unpack("iII", data)
    return uid, pid


def trust(raw: socket.socket, path: str) -> None:
    """Raise FailedError if another user listens at the other end of a connection to ``path``.

    That user would read our queries and could forge answers. Root is trusted: launchd listens for an agent, and nothing
    can be hidden from it.
    """
    uid, _ = peer(raw)
    if uid not in (os.geteuid(), 0):
        raise FailedError(
            f"{path} is another user's socket (uid {uid}); not connecting to it",
            hint="set XDG_RUNTIME_DIR or CODEINDEXD_SOCKET to a directory that only you can write to",
        )
