"""What every store on disk needs: one owner, replacement in one step, our errors, and a seal after a clean end.

Imports nothing of ours but the errors, so any adapter may use it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from codeindexd.errors import (
    EXHAUSTED,
    AlreadyRunningError,
    CodeindexError,
    FailedError,
    StoreDamagedError,
    StoreFullError,
)

LOCK = "lock"
SEAL = "sealed.json"
_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EACCES, errno.EPERM})
_DAMAGED = frozenset({errno.EIO, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL})


def store_error(number: int, message: str, what: str) -> CodeindexError:
    """The error of ours that an OSError with errno ``number`` means for the store called ``what``."""
    if number in _UNWRITABLE:
        return StoreFullError(
            f"the {what} cannot be written: {message}", hint="free disk space, or check quota and permissions"
        )
    if number in EXHAUSTED:
        hint = "close programs, or raise the limit of open files or memory"
        return StoreFullError(f"the {what} cannot be used now: {message}", hint=hint)
    if number in _DAMAGED:
        return StoreDamagedError(f"the {what} cannot be read: {message}")
    return FailedError(f"the {what} failed: {message}")


@contextmanager
def storing(what: str) -> Iterator[None]:
    """Translate OSError inside the block with :func:`store_error`."""
    try:
        yield
    except OSError as error:
        raise store_error(error.errno or 0, str(error), what) from error


def own(directory: Path, what: str) -> int:
    """Make ``directory`` (mode 0700) and take its lock for this process; closing the descriptor returned lets go.

    The lock dies with the process, however that ends. Raises AlreadyRunningError when another holder lives.
    """
    with storing(what):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise AlreadyRunningError(
                f"the {what} in {directory} is open in another process", hint="stop the other daemon first"
            ) from error
    return descriptor


def write_fully(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of ``data`` at ``offset``. Raises OSError; then any prefix may have been written."""
    left = memoryview(data).cast("B")
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written


def sync_directory(directory: Path) -> None:
    """Make renames and new names in ``directory`` survive a power loss."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes) -> None:
    """Make ``data`` the content of ``path`` in one step. Raises OSError; then the old content stands.

    It survives a power loss where the file system can sync directories; elsewhere the old content may come back.
    """
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_fully(descriptor, data, 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.rename(path)
    with suppress(OSError):  # the switch has happened: an error now would say the opposite
        sync_directory(path.parent)


def seal(directory: Path, names: Iterable[str]) -> None:
    """Note the stats of ``names`` in ``directory`` at a clean end, so that the next open need not read them whole.

    A seal is a convenience: one that cannot be written is left out.
    """
    try:
        stats = {name: _gate(directory / name) for name in names}
        (directory / SEAL).write_text(json.dumps(stats), encoding="utf-8")
    except OSError:
        (directory / SEAL).unlink(missing_ok=True)


def break_seal(directory: Path) -> frozenset[str]:
    """Names whose files are as they were at the last clean end; empty after a crash.

    The seal is consumed: a process that dies of a damaged file finds no seal next time and checks everything.
    """
    try:
        stats = json.loads((directory / SEAL).read_text(encoding="utf-8"))
        (directory / SEAL).unlink()
        return frozenset(name for name, gate in stats.items() if _gate(directory / name) == gate)
    except (OSError, ValueError, AttributeError):
        return frozenset()


def _gate(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
