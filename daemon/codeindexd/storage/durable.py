"""Tools for stores on disk: one owner, atomic replacement, translated errors, and a clean-shutdown marker."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from codeindexd.errors import (
    EXHAUSTED,
    EXHAUSTED_HINT,
    AlreadyRunningError,
    CodeindexError,
    FailedError,
    StoreDamagedError,
    StoreFullError,
)

LOCK = "lock"
UNWRITABLE_HINT = "free disk space, or check quota and permissions"
FAILED_HINT = "tried again by itself; if it persists, run: codeindex verify --repair"
CLEAN_MARKER = "sealed.json"
_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EACCES, errno.EPERM})
_DAMAGED = frozenset({errno.EIO, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL})


def store_error(number: int, message: str, what: str) -> CodeindexError:
    """Return our error for an OSError with errno ``number`` in the store that messages call ``what``."""
    if number in _UNWRITABLE:
        return StoreFullError(f"the {what} cannot be written: {message}", hint=UNWRITABLE_HINT)
    if number in EXHAUSTED:
        return StoreFullError(f"the {what} cannot be used now: {message}", hint=EXHAUSTED_HINT)
    if number in _DAMAGED:
        return StoreDamagedError(f"the {what} cannot be read: {message}")
    return FailedError(f"the {what} failed: {message}", hint=FAILED_HINT)


@contextmanager
def storing(what: str) -> Iterator[None]:
    """Translate OSError inside the block with :func:`store_error`."""
    try:
        yield
    except OSError as error:
        raise store_error(error.errno or 0, str(error), what) from error


def lock_directory(directory: Path, what: str) -> int:
    """Create ``directory`` (mode 0700) and lock it for this process; close the returned descriptor to unlock it.

    The lock is released when the process ends, however it ends. Raises AlreadyRunningError if another process has it,
    and the errors of :func:`store_error`.
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
    """Write all of ``data`` at ``offset``. Raises OSError; a part may have been written then."""
    left = memoryview(data).cast("B")
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written


def sync_directory(directory: Path) -> None:
    """Make new and renamed entries of ``directory`` survive a power loss. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes) -> None:
    """Replace the content of ``path`` by ``data`` atomically. Raises OSError; the old content is unchanged then.

    The new content survives a power loss if the file system can sync directories; otherwise the old one may come back.
    """
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_fully(descriptor, data, 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.rename(path)
    with suppress(OSError):  # the file is already replaced: an error would say that it is not
        sync_directory(path.parent)


def write_clean_marker(directory: Path, names: Iterable[str]) -> None:
    """Record the stats of the files ``names`` at a clean shutdown, so that the next open need not verify them.

    The marker only saves time, so an error while it is written is ignored.
    """
    try:
        stats = {name: _stat(directory / name) for name in names}
        (directory / CLEAN_MARKER).write_text(json.dumps(stats), encoding="utf-8")
    except OSError:
        (directory / CLEAN_MARKER).unlink(missing_ok=True)


def take_clean_marker(directory: Path) -> frozenset[str]:
    """Remove the clean-shutdown marker, and return the names of files that are unchanged since; none after a crash.

    Because the marker is removed, a process that a damaged file kills verifies everything at its next start.
    """
    try:
        stats = json.loads((directory / CLEAN_MARKER).read_text(encoding="utf-8"))
        (directory / CLEAN_MARKER).unlink()
        return frozenset(name for name, stat in stats.items() if _stat(directory / name) == stat)
    except (OSError, ValueError, AttributeError):
        return frozenset()


class _AnyName:
    """Contains every name."""

    def __contains__(self, name: object) -> bool:
        return True


def trusted_files(directory: Path, *, same_boot: bool) -> Container[str]:
    """Remove the clean-shutdown marker, and return the names of the files that need not be verified.

    After a clean shutdown these are the files that are unchanged since. After a kill in the same boot of the system all
    can be trusted (``same_boot``), otherwise none.
    """
    was_killed = not (directory / CLEAN_MARKER).exists()
    unchanged = take_clean_marker(directory)
    return _AnyName() if was_killed and same_boot else unchanged


def _stat(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
