"""Copies files into the stores of another root without taking their space twice: as hard links, or as clones.

A hard link is only for files that nobody ever writes again: the segments of the projections. Their owners replace them
by new files and delete the old names. Everything else is cloned where the file system can (btrfs, XFS), or copied.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

from codeindexd.storage.durable import write_fully

_FICLONE = 0x40049409
_BLOCK_BYTES = 1 << 20
_NO_LINKS = frozenset({errno.EPERM, errno.EMLINK, errno.EXDEV, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def share_files(source: Path, target: Path, names: Iterable[str]) -> None:
    """Give the files ``names`` of the directory ``source`` the same names in ``target``, which has none of them.

    They must never be written again, under either name. They are copied if the file system has no hard links. Raises
    OSError, in particular FileNotFoundError if a file is gone.
    """
    for name in names:
        try:
            os.link(source / name, target / name, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _copy(source / name, target / name)


def clone_file(source: int, target: int) -> bool:
    """Make the open file ``target`` a copy of ``source`` that shares its blocks until one of them is written.

    Returns False if the file system cannot do that.
    """
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def create_file(path: Path) -> int:
    """Create a new file (mode 0600), and return its descriptor for writing.

    An existing file is unlinked, not truncated: it may be shared with another root. Raises OSError.
    """
    path.unlink(missing_ok=True)
    return os.open(path, _CREATE, 0o600)


def _copy(source: Path, target: Path) -> None:
    reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        writing = os.open(target, _CREATE, 0o600)
        try:
            if not clone_file(reading, writing):
                offset = 0
                while block := os.pread(reading, _BLOCK_BYTES, offset):
                    write_fully(writing, block, offset)
                    offset += len(block)
            os.fsync(writing)
        finally:
            os.close(writing)
    finally:
        os.close(reading)
