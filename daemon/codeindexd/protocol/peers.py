"""Who is at the other end of the socket: the daemon serves its own user only, a client trusts its own daemon only."""

from __future__ import annotations

import os
import socket
import struct
import sys
import time

from codeindexd.errors import FailedError

_LOCAL_PEERCRED = 1  # macOS, level SOL_LOCAL (0)
_PAUSE_S = 0.02


def connect(raw: socket.socket, path: str, timeout_s: float) -> None:
    """Connect within ``timeout_s`` seconds, which stay the socket's limit. Raises OSError (TimeoutError: late).

    A listener whose queue is full is alive; Linux then refuses at once (EAGAIN) whoever has a limit of time.
    """
    until = time.monotonic() + timeout_s
    raw.settimeout(timeout_s)
    while True:
        try:
            return raw.connect(path)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise TimeoutError("more clients are waiting than are let in") from None
            time.sleep(_PAUSE_S)


def peer(raw: socket.socket) -> tuple[int, int]:
    """(uid, pid) of the process at the other end; pid 0 where the system does not tell. Raises OSError."""
    if sys.platform == "darwin":
        data = raw.getsockopt(0, _LOCAL_PEERCRED, 76)
        return struct.unpack_from("=II", data)[1], 0
    data = raw.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    pid, uid, _ = struct.unpack("iII", data)
    return uid, pid


def trust(raw: socket.socket, path: str) -> None:
    """Raises FailedError when who listens at the other end of a connection to ``path`` is another user.

    Such a one would be sent questions and believed its answers. Root may listen: launchd does for an agent, and there
    is nothing to be kept from it.
    """
    uid, _ = peer(raw)
    if uid not in (os.geteuid(), 0):
        raise FailedError(
            f"{path} is another user's socket (uid {uid}): nothing is asked there",
            hint="Set XDG_RUNTIME_DIR or CODEINDEXD_SOCKET to a directory that only you can write to.",
        )
