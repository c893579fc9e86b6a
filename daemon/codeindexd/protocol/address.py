"""Where the running daemon listens: a file beside its lock, for clients whose environment names another place."""

from __future__ import annotations

import json
import os
from typing import Final, NamedTuple

LOCK_NAME: Final = "lock"
ADDRESS_NAME: Final = "daemon.json"
_MAX_BYTES = 1 << 16


class Address(NamedTuple):
    """What a daemon tells about itself. ``socket`` is "" until it listens."""

    pid: int
    socket: str
    version: str

    def encode(self) -> bytes:
        """Return the content of the file."""
        return json.dumps(self._asdict()).encode() + b"\n"


def read_address(state: str | os.PathLike[str]) -> Address | None:
    """Return what the daemon that uses the state directory left there; None if there is nothing of ours.

    Never raises. The daemon may be gone, so whoever connects must expect nobody there, or somebody else.
    """
    try:
        path = os.path.join(state, ADDRESS_NAME)  # noqa: PTH118 - importing pathlib costs a fifth of a search's time
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            if os.fstat(file.fileno()).st_uid != os.geteuid():
                return None
            fields = json.loads(file.read(_MAX_BYTES))
        address = Address(int(fields["pid"]), str(fields["socket"]), str(fields["version"]))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return address if address.socket.startswith("/") or not address.socket else None
