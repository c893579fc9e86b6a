"""Reading and hashing files: a few threads over lists of files, each with one buffer.

The time goes into system calls, so a thread opens a directory once and its files relative to it. Memory-mapping and
a future per file are both slower. Symbolic links are never followed, not even where one replaces a directory while
the scan is running.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from xxhash import xxh3_128, xxh3_128_digest

from codeindexd.errors import ShuttingDownError
from codeindexd.model import Entry, FileStat, NodeKind

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_BUFFER_BYTES = 256 << 10
_FILES_A_LIST = 64
_ALONE = 24  # so few files are hashed in the calling thread
_FINE_WINDOW_NS = 50_000_000  # kernel clocks tick every 1 to 10 ms
_COARSE_WINDOW_NS = 2_000_000_000  # FAT; some network file systems 1 s
SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class Group:
    """Files of one directory that have to be hashed: (path, the entry known so far)."""

    directory: bytes
    files: list[tuple[bytes, Entry | None]] = field(default_factory=list)


@dataclass(slots=True)
class Hashed:
    """What became of one file. ``entry`` is None when it is gone or, with an ``error``, was never known.

    ``unsettled``: it must be looked at again. ``restatted``: equal content under another stat.
    """

    path: bytes
    entry: Entry | None
    unsettled: bool = False
    error: str = ""
    read_bytes: int = 0
    restatted: bool = False


class _Replaced(Exception):  # noqa: N818 - never leaves this module
    """What was a regular file when the directory was listed is none any more."""


class _Oversized(Exception):  # noqa: N818 - never leaves this module
    """The file grew over the limit."""


def open_beneath(root: int, directory: bytes) -> int:
    """A descriptor of ``directory`` below the open directory ``root``; no symbolic link on the way is followed.

    Raises OSError.
    """
    current = os.open(b".", OPEN_DIRECTORY, dir_fd=root)
    for name in directory.split(b"/") if directory else ():
        try:
            below = os.open(name, OPEN_DIRECTORY, dir_fd=current)
        finally:
            os.close(current)
        current = below
    return current


@contextmanager
def opened(descriptor: int) -> Iterator[int]:
    """Closes the descriptor at the end."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def is_settled(found: FileStat, now_ns: int) -> bool:
    """Whether a later write must show in the stat: false within one tick of the file's clock.

    A whole number of seconds may come from a coarse clock and gets a wider window. Times in the future never settle.
    """
    return all(
        now_ns - time >= (_FINE_WINDOW_NS if time % SECOND_NS else _COARSE_WINDOW_NS)
        for time in (found.mtime_ns, found.ctime_ns)
    )


def settles_soon(found: FileStat, now_ns: int) -> bool:
    """Whether a second look in a moment is worth while; not for times that are far in the future."""
    return max(found.mtime_ns, found.ctime_ns) - now_ns <= _COARSE_WINDOW_NS


class Hasher:
    """Hashes lists of files below the open directory ``root``."""

    def __init__(
        self, root: int, *, max_file_bytes: int, threads: int, now_ns: int, oversized: Callable[[bytes], Entry]
    ) -> None:
        self._root = root
        self._max_file_bytes = max_file_bytes
        self._threads = threads
        self._now_ns = now_ns
        self._oversized = oversized

    def run(self, groups: Sequence[Group], should_stop: Callable[[], bool]) -> Iterator[Hashed]:
        """What became of every file, in no particular order. Raises ShuttingDownError when told to stop."""
        batches = list(_batches(groups))
        if self._threads <= 1 or sum(len(group.files) for group in groups) <= _ALONE:
            for batch in batches:
                yield from self._batch(batch, should_stop)
            return
        with ThreadPoolExecutor(min(self._threads, len(batches)), thread_name_prefix="hash") as pool:
            for results in pool.map(lambda batch: self._batch(batch, should_stop), batches):
                yield from results

    def _batch(self, batch: Sequence[Group], should_stop: Callable[[], bool]) -> list[Hashed]:
        if should_stop():
            raise ShuttingDownError("the scan was stopped")
        buffer = memoryview(bytearray(_BUFFER_BYTES))
        results: list[Hashed] = []
        for group in batch:
            try:
                directory = open_beneath(self._root, group.directory)
            except OSError as error:
                results += [_failed(path, known, error) for path, known in group.files]
                continue
            with opened(directory):
                results += [self._file(directory, path, known, buffer) for path, known in group.files]
        return results

    def _file(self, directory: int, path: bytes, known: Entry | None, buffer: memoryview) -> Hashed:
        name = path[path.rfind(b"/") + 1 :]
        try:
            digest, found, size = self._hash(directory, name, buffer)
            if found is None:  # it changed under our hands: once more
                digest, found, size = self._hash(directory, name, buffer)
        except _Oversized:
            return Hashed(path, self._oversized(path))
        except _Replaced:
            return Hashed(path, known, unsettled=True)
        except OSError as error:
            return _failed(path, known, error)
        unsettled = found is None
        if found is not None and not is_settled(found, self._now_ns):
            unsettled, found = settles_soon(found, self._now_ns), None
        if known is not None and known.hash == digest and known.kind is NodeKind.FILE:
            entry = known if known.stat == found else Entry(known.path, NodeKind.FILE, known.hash, found)
            return Hashed(path, entry, unsettled, read_bytes=size, restatted=entry is not known)
        return Hashed(path, Entry(path, NodeKind.FILE, digest, found), unsettled, read_bytes=size)

    def _hash(self, directory: int, name: bytes, buffer: memoryview) -> tuple[bytes, FileStat | None, int]:
        """Hash, stat (None when it changed meanwhile) and the number of bytes read."""
        descriptor = os.open(name, OPEN_FILE, dir_fd=directory)
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise _Replaced
            if before.st_size > self._max_file_bytes:
                raise _Oversized
            size = os.readv(descriptor, [buffer])
            if size == before.st_size and size < len(buffer):
                digest = xxh3_128_digest(buffer[:size])
            else:
                digest, size = self._rest(descriptor, buffer, size)
            found = file_stat(os.fstat(descriptor))
        finally:
            os.close(descriptor)
        return digest, found if found == file_stat(before) else None, size

    def _rest(self, descriptor: int, buffer: memoryview, got: int) -> tuple[bytes, int]:
        state, size = xxh3_128(), 0
        while got:
            state.update(buffer[:got])
            size += got
            if size > self._max_file_bytes:
                raise _Oversized
            got = os.readv(descriptor, [buffer])
        return state.digest(), size


def file_stat(found: os.stat_result) -> FileStat:
    """The part of a stat that the gate compares."""
    return FileStat(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def _failed(path: bytes, known: Entry | None, error: OSError) -> Hashed:
    if error.errno == errno.ENOENT:
        return Hashed(path, None)
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EISDIR):  # replaced by something else
        return Hashed(path, known, unsettled=True)
    return Hashed(path, known, error=error.strerror or str(error))


def _batches(groups: Iterable[Group]) -> Iterator[list[Group]]:
    """The groups as lists of about equal numbers of files; a large directory is split."""
    batch: list[Group] = []
    files = 0
    for group in groups:
        for start in range(0, len(group.files), _FILES_A_LIST):
            part = group.files[start : start + _FILES_A_LIST]
            batch.append(Group(group.directory, part))
            files += len(part)
            if files >= _FILES_A_LIST:
                yield batch
                batch, files = [], 0
    if batch:
        yield batch
