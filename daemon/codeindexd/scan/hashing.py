"""Reads and hashes files in batches, with several threads only while the disk is slow.

System calls take most of the time, so a thread opens a directory once, and files relative to it, and reuses one buffer.
Memory-mapping and a future per file are both slower. While files come from the page cache, one thread beats eight,
which only compete for the interpreter (50,000 small files: 0.9 instead of 3 seconds). So threads are used depending on
the share of time spent waiting, which is measured again after each round. Symbolic links are never followed, even if
one replaces a directory during the scan.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from msgspec import Struct, field
from xxhash import xxh3_128, xxh3_128_digest

from codeindexd.errors import ShuttingDownError
from codeindexd.scan.safe_read import OPEN_FILE, closing_descriptor, file_stat, is_settled, open_directory, settles_soon
from codeindexd.scan.size_limits import SizeLimits
from codeindexd.types import Entry, FileStat, NodeKind

_BUFFER_BYTES = 256 << 10
_FILES_PER_BATCH = 64
_BATCHES_PER_ROUND = 4  # per thread, before the calling thread measures again
_REPLACED = frozenset({errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EISDIR, errno.EAGAIN})  # no regular file now


FileToHash = tuple[bytes, Entry | None, FileStat | None]
"""A file to hash: path, entry in the last scan's tree or None, stat when it was listed (None if that failed)."""


class FileGroup(Struct):
    """Files of one directory that have to be hashed."""

    directory: bytes
    files: list[FileToHash] = field(default_factory=list)


class HashResult(Struct):
    """The result for one file. ``entry`` is None if the file is gone or, with an ``error``, was not known before.

    An ``unsettled`` file changed while it was read. A ``young`` one did not, but was modified so recently that a later
    change might not alter its stat. Both must be read again later. A ``restatted`` file has the same content as before
    and a different stat. ``read_bytes`` is the size of what was read.
    """

    path: bytes
    entry: Entry | None
    unsettled: bool = False
    error: str = ""
    read_bytes: int = 0
    restatted: bool = False
    young: bool = False


class _Replaced(Exception):  # noqa: N818 - never leaves this module
    """The path is no longer a regular file."""


class _Oversized(Exception):  # noqa: N818 - never leaves this module
    """The file grew beyond the limit."""


class Hasher:
    """Hashes lists of files below the open directory ``root``.

    ``oversized(path)`` returns the entry of a file that grew beyond its limit.
    """

    def __init__(
        self, root: int, *, limits: SizeLimits, threads: int, now_ns: int, oversized: Callable[[bytes], Entry]
    ) -> None:
        self._root = root
        self._limits = limits
        self._threads = threads
        self._now_ns = now_ns
        self._oversized = oversized

    def run(self, groups: Sequence[FileGroup], should_stop: Callable[[], bool]) -> Iterator[HashResult]:
        """Yield the result for each file, in no particular order. Raises ShuttingDownError if ``should_stop()``."""
        batches = list(_batches(groups))
        buffer = _buffer()
        at = 0
        with ExitStack() as stack:
            pool: ThreadPoolExecutor | None = None
            while at < len(batches):
                _check(should_stop)
                wall, busy = time.perf_counter(), time.thread_time()
                yield from self._batch(batches[at], buffer)
                at += 1
                busy = time.thread_time() - busy
                if self._threads <= 1 or time.perf_counter() - wall < 2 * busy or at == len(batches):
                    continue
                if pool is None:
                    pool = stack.enter_context(ThreadPoolExecutor(self._threads, thread_name_prefix="hash"))
                    stack.callback(pool.shutdown, cancel_futures=True)
                share = self._threads * _BATCHES_PER_ROUND
                for results in pool.map(self._batch, batches[at : at + share]):
                    _check(should_stop)
                    yield from results
                at += share

    def _batch(self, batch: Sequence[FileGroup], buffer: memoryview | None = None) -> list[HashResult]:
        buffer = _buffer() if buffer is None else buffer
        results: list[HashResult] = []
        for group in batch:
            try:
                directory = open_directory(self._root, group.directory)
            except OSError as error:
                results += [_unreadable(path, known, error) for path, known, _ in group.files]
                continue
            with closing_descriptor(directory):
                results += [self._file(directory, file, buffer) for file in group.files]
        return results

    def _file(self, directory: int, file: FileToHash, buffer: memoryview) -> HashResult:
        """Hash a file, twice if it changed since it was listed; without a stat if that cannot be trusted yet."""
        path, known, listed = file
        name = path[path.rfind(b"/") + 1 :]
        try:
            digest, after, size = self._hash(directory, name, buffer)
            if listed is None or not _is_stable(listed, after, size):  # changed since it was listed: read it once more
                listed = file_stat(after)
                digest, after, size = self._hash(directory, name, buffer)
        except _Oversized:
            return HashResult(path, self._oversized(path))
        except _Replaced:
            return HashResult(path, known, unsettled=True)
        except OSError as error:
            return _unreadable(path, known, error)
        found: FileStat | None = listed
        unsettled = young = False
        if not _is_stable(listed, after, size):
            unsettled, found = True, None
        elif not is_settled(listed, self._now_ns):
            young, found = settles_soon(listed, self._now_ns), None
        if known is not None and known.hash == digest and known.kind is NodeKind.FILE:
            entry = known if known.stat == found else Entry(known.path, NodeKind.FILE, known.hash, found)
            return HashResult(path, entry, unsettled, read_bytes=size, restatted=entry is not known, young=young)
        return HashResult(path, Entry(path, NodeKind.FILE, digest, found), unsettled, read_bytes=size, young=young)

    def _hash(self, directory: int, name: bytes, buffer: memoryview) -> tuple[bytes, os.stat_result, int]:
        """Return the file's hash, its stat after reading, and the number of bytes read.

        Raises OSError, _Replaced and _Oversized.
        """
        descriptor = os.open(name, OPEN_FILE, dir_fd=directory)
        try:
            size = os.readv(descriptor, [buffer])
            if size < len(buffer):
                digest = xxh3_128_digest(buffer[:size])
            else:
                digest, size = self._hash_large(descriptor, buffer, size, self._limits.of(name))
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if not stat.S_ISREG(after.st_mode):
            raise _Replaced
        if (most := max(size, after.st_size)) > self._limits.file_bytes and most > self._limits.of(name):
            raise _Oversized
        return digest, after, size

    def _hash_large(self, descriptor: int, buffer: memoryview, got: int, limit: int) -> tuple[bytes, int]:
        """Return the hash and the size of a file whose first ``got`` bytes are in ``buffer``. Raises _Oversized."""
        state, size = xxh3_128(), 0
        while got:
            state.update(buffer[:got])
            size += got
            if size > limit:
                raise _Oversized
            got = os.readv(descriptor, [buffer])
        return state.digest(), size


def _buffer() -> memoryview:
    return memoryview(bytearray(_BUFFER_BYTES))


def _check(should_stop: Callable[[], bool]) -> None:
    if should_stop():
        raise ShuttingDownError("the scan was stopped")


def _is_stable(before: FileStat, after: os.stat_result, size: int) -> bool:
    """Return True if the file did not change while ``size`` bytes were read; these may be more than the stat's size."""
    return (
        before.mtime_ns == after.st_mtime_ns
        and before.ctime_ns == after.st_ctime_ns
        and before.size == after.st_size <= size
        and before.inode == after.st_ino
    )


def _unreadable(path: bytes, known: Entry | None, error: OSError) -> HashResult:
    if error.errno == errno.ENOENT:
        return HashResult(path, None)
    if error.errno in _REPLACED:
        return HashResult(path, known, unsettled=True)
    return HashResult(path, known, error=error.strerror or str(error))


def _batches(groups: Iterable[FileGroup]) -> Iterator[list[FileGroup]]:
    """Yield lists of groups with about equal numbers of files in total; large groups are split."""
    batch: list[FileGroup] = []
    files = 0
    for group in groups:
        for start in range(0, len(group.files), _FILES_PER_BATCH):
            part = group.files[start : start + _FILES_PER_BATCH]
            batch.append(FileGroup(group.directory, part))
            files += len(part)
            if files >= _FILES_PER_BATCH:
                yield batch
                batch, files = [], 0
    if batch:
        yield batch
