"""Reads files of a root without ever leaving it: no component of the path may be a symlink."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from codeindexd.scan.relpath import name_of, parent_of
from codeindexd.types import FileStat

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
LONGEST_PATH = 4095  # bytes; system calls reject longer paths
VANISHED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""Errno values that prove that a path no longer exists; other errors say nothing about that."""

NO_SUCH_FILE = VANISHED | {errno.EINVAL, errno.ENXIO}
"""Errno values with which :func:`open_beneath` says that there is no regular file of this path."""

_FEWEST_READ = 1 << 12
_FINE_WINDOW_NS = 50_000_000  # kernel clocks tick every 1 to 10 ms
_COARSE_WINDOW_NS = 2_000_000_000  # FAT; some network file systems 1 s
_SECOND_NS = 1_000_000_000


class Contents(Struct, frozen=True):
    """A file's bytes and its stat after reading; ``steady`` is False if it changed while it was read."""

    data: bytes
    stat: FileStat
    steady: bool


def file_stat(status: os.stat_result) -> FileStat:
    """Return the part of a stat that shows changes."""
    return FileStat(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def is_settled(found: FileStat, now_ns: int) -> bool:
    """Return True if every write after ``now_ns`` (nanoseconds since the epoch) must change the stat ``found``.

    A second write within the same tick of the file system's clock may leave the stat unchanged. Times that are whole
    seconds may come from a coarse clock, so they have to be older. False for times in the future.
    """
    mtime, ctime = found.mtime_ns, found.ctime_ns
    return now_ns - mtime >= (_FINE_WINDOW_NS if mtime % _SECOND_NS else _COARSE_WINDOW_NS) and now_ns - ctime >= (
        _FINE_WINDOW_NS if ctime % _SECOND_NS else _COARSE_WINDOW_NS
    )


def settles_soon(found: FileStat, now_ns: int) -> bool:
    """Return True if the stat will be settled within seconds; False if its times are far in the future."""
    return max(found.mtime_ns, found.ctime_ns) - now_ns <= _COARSE_WINDOW_NS


def open_directory(root: int, directory: bytes) -> int:
    """Open ``directory``, a path relative to the open directory ``root``, and return its descriptor.

    Raises OSError, also if a component is a symlink.
    """
    current = os.open(b".", OPEN_DIRECTORY, dir_fd=root)
    for name in directory.split(b"/") if directory else ():
        try:
            below = os.open(name, OPEN_DIRECTORY, dir_fd=current)
        finally:
            os.close(current)
        current = below
    return current


def open_absolute(path: bytes) -> int:
    """Open a directory by an absolute path of any length, following links, and return its descriptor.

    On Linux the descriptor can only be used to refer to the directory, not to list it. Raises OSError.
    """
    flags = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
    current = os.open(b"/", flags)
    rest = path.strip(b"/")
    while rest:
        end = len(rest) if len(rest) <= LONGEST_PATH else rest.rfind(b"/", 0, LONGEST_PATH)
        piece, rest = rest[:end], rest[end + 1 :]
        try:
            below = os.open(piece, flags, dir_fd=current)
        finally:
            os.close(current)
        current = below
    return current


@contextmanager
def closing_descriptor(descriptor: int) -> Iterator[int]:
    """Provide ``descriptor``, and close it at the end of the block."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def lstat_beneath(root: int, path: bytes) -> os.stat_result | None:
    """Return the lstat of ``path`` below the open directory ``root``; None if it cannot be read or leads over links."""
    try:
        with closing_descriptor(open_directory(root, parent_of(path))) as descriptor:
            return os.stat(name_of(path), dir_fd=descriptor, follow_symlinks=False)
    except OSError:
        return None


def current_stat(root: bytes, path: bytes) -> FileStat | None:
    """Return the stat of the regular file ``path`` (relative to ``root``) now, to compare it with an earlier one.

    None if there is no such file, or if it cannot be looked at. A stat says nothing about who may read the file: read
    it with :func:`read_beneath`, which never leaves the root.
    """
    try:
        status = os.lstat(root + b"/" + path)
    except OSError:
        return None
    return file_stat(status) if stat.S_ISREG(status.st_mode) else None


def open_beneath(root: bytes, path: bytes) -> int:
    """Open the regular file ``path`` (relative to ``root``) for reading and return its descriptor.

    Raises OSError: ELOOP or ENOTDIR if a component is a symlink, EINVAL if ``path`` is not a regular file. Never blocks
    on a FIFO.
    """
    *directories, name = path.split(b"/")
    if not name or b".." in directories or name == b"..":
        raise OSError(errno.EINVAL, "not a path below the root", path)
    top = os.open(root, OPEN_DIRECTORY)
    try:
        at = open_directory(top, b"/".join(directories))
    finally:
        os.close(top)
    try:
        descriptor = os.open(name, OPEN_FILE, dir_fd=at)
    finally:
        os.close(at)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return descriptor


def read_beneath(root: bytes, path: bytes, *, max_bytes: int) -> Contents:
    """Read the whole file ``path`` (relative to ``root``), but at most ``max_bytes + 1`` bytes.

    One more than the limit, so that the caller sees that the file is too large. Raises OSError as :func:`open_beneath`.
    """
    descriptor = open_beneath(root, path)
    try:
        before = file_stat(os.fstat(descriptor))
        pieces = []
        left = max_bytes + 1
        piece_bytes = max(before.size + 1, _FEWEST_READ)  # 1 MB would be mapped and unmapped for every small file
        while left > 0 and (piece := os.read(descriptor, min(left, piece_bytes))):
            pieces.append(piece)
            left -= len(piece)
            piece_bytes = (
                _FEWEST_READ  # hardly ever more is left, and to make room for all again takes longer than to read
            )
        after = file_stat(os.fstat(descriptor))
    finally:
        os.close(descriptor)
    data = b"".join(pieces)
    return Contents(data, after, before == after and (len(data) == after.size or left <= 0))


def read_ranges(root: bytes, path: bytes, ranges: list[tuple[int, int]]) -> list[bytes]:
    """Return the bytes of each (start, end) range of the file ``path``; fewer where a range exceeds the file.

    ``path`` is relative to ``root``. Raises OSError as :func:`open_beneath`.
    """
    descriptor = open_beneath(root, path)
    try:
        return [os.pread(descriptor, end - start, start) for start, end in ranges]
    finally:
        os.close(descriptor)
