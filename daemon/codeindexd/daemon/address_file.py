"""Writes the address file beside the lock, from which clients with another environment learn the daemon's socket."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType

import structlog

from codeindexd import __version__, protocol
from codeindexd.storage.durable import replace_file

log = structlog.get_logger(__name__)


class AddressFile:
    """A context manager that writes the file ``path``, and deletes it on exit. The caller holds the daemon's lock.

    ``socket`` is None until the daemon listens. Errors of writing are only logged: clients then try the socket path
    that their own environment gives.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.socket: Path | None = None

    def __enter__(self) -> AddressFile:
        """Write the address of a daemon that is starting and does not listen yet."""
        self._write("")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def record_activity(self, activity: str) -> None:
        """Write what keeps the daemon from listening for minutes."""
        self._write("", activity)

    def record_socket(self, socket: Path) -> None:
        """Write the path of the socket on which the daemon listens."""
        self.socket = socket
        self._write(os.fspath(socket))

    def _write(self, socket: str, activity: str = "") -> None:
        try:
            replace_file(self._path, protocol.Address(os.getpid(), socket, __version__, activity).encode())
        except OSError as error:
            log.warning("address_not_written", path=str(self._path), error=error.strerror)
