"""The file beside the daemon's lock that names its socket, for clients whose environment leads to another path."""

from __future__ import annotations

import json
import os
from typing import Final, NamedTuple

LOCK_NAME: Final = "lock"
ADDRESS_NAME: Final = "daemon.json"
_MAX_BYTES = 1 << 16


class Address(NamedTuple):
    """The content of the file. ``socket`` is the absolute path at which the daemon listens, "" until it does.

    ``activity`` says what keeps a daemon from listening for minutes, for example "downloading the model a/b".
    """

    pid: int
    socket: str
    version: str
    activity: str = ""

    def encode(self) -> bytes:
        """Return the content as bytes."""
        return json.dumps(self._asdict()).encode() + b"\n"


def read_address(state: str | os.PathLike[str]) -> Address | None:
    """Return the address in the directory ``state``; None if the file is missing, invalid or another user's.

    Never raises. The daemon may have ended since: nobody, or another program, may answer at that address.
    """
    try:
        path = os.path.join(state, ADDRESS_NAME)  # noqa: PTH118 - importing pathlib costs a fifth of a search's time
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            if os.fstat(file.fileno()).st_uid != os.geteuid():
                return None
            fields = json.loads(file.read(_MAX_BYTES))
        activity = str(fields.get("activity", ""))
        address = Address(int(fields["pid"]), str(fields["socket"]), str(fields["version"]), activity)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return address if address.socket.startswith("/") or not address.socket else None
