"""The file beside the lock that tells clients with another environment where this daemon listens."""

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
    """A context manager that keeps ``path`` up to date; whoever enters it holds the daemon's lock.

    A full disk only means that clients look at their own place.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.socket: Path | None = None

    def __enter__(self) -> AddressFile:
        """Say that a daemon starts, which does not listen yet."""
        self._write("")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def listening_at(self, socket: Path) -> None:
        """Name the socket."""
        self.socket = socket
        self._write(os.fspath(socket))

    def _write(self, socket: str) -> None:
        try:
            replace_file(self._path, protocol.Address(os.getpid(), socket, __version__).encode())
        except OSError as error:
            log.warning("address_not_written", path=str(self._path), error=error.strerror)
