"""The lock that lets each user run one daemon; the kernel releases it when its holder dies, however it dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from codeindexd import protocol
from codeindexd.errors import AlreadyRunningError, FailedError

_TRIES = 10  # a client that tests whether the lock is held takes it for an instant
_RETRY_S = 0.02


class Lock:
    """A context manager that keeps the file ``path`` locked. The file contains the holder's pid, and is never removed.

    Removing it would let two daemons hold the lock: one on the unlinked file, one on a new file at the same path.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> Lock:
        """Take the lock. Raises AlreadyRunningError, which names the holder, and FailedError if locking fails."""
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            self._take()
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)
        except OSError as error:
            self._close()
            raise FailedError(
                f"cannot lock {self._path}: {error.strerror}",
                hint="make the state directory writable, on a file system that supports locks",
            ) from error
        except AlreadyRunningError:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # a full disk must not hide the error that ended the daemon
            os.ftruncate(self._fd, 0)
        self._close()

    def _take(self) -> None:
        for _ in range(_TRIES):
            try:
                return fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise
            time.sleep(_RETRY_S)
        pid = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip()
        address = protocol.read_address(self._path.parent)
        where = f", {address.socket}" if address is not None and address.socket else ""
        raise AlreadyRunningError(
            f"codeindexd is already running (pid {pid or 'unknown'}{where})",
            hint="to replace it: codeindex restart",
        )

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
