"""The disk usage of the stores, counted in the background, because there can be thousands of files."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread

_MAX_AGE_S = 30.0
_MAX_WAIT_S = 0.02
_BLOCK_BYTES = 512  # of st_blocks, whatever the file system


class DiskUsage:
    """The disk usage of a directory tree. Asking for it starts a new count if the last one is old."""

    def __init__(self, directory: Path, tasks: anyio.abc.TaskGroup) -> None:
        self._directory = directory
        self._tasks = tasks
        self._size_bytes: int | None = None
        self._counted_at = 0.0
        self._counting: anyio.Event | None = None

    async def size_bytes(self) -> int | None:
        """Return the result of the last count, None before the first has ended. Waits only briefly for a new one."""
        if self._counting is None and (self._size_bytes is None or time.monotonic() - self._counted_at > _MAX_AGE_S):
            self._counting = anyio.Event()
            self._tasks.start_soon(self._count, self._counting)
        if self._counting is not None:
            with anyio.move_on_after(_MAX_WAIT_S):
                await self._counting.wait()
        return self._size_bytes

    async def _count(self, done: anyio.Event) -> None:
        self._size_bytes = await anyio.to_thread.run_sync(tree_bytes, self._directory)
        self._counted_at = time.monotonic()
        self._counting = None
        done.set()


def tree_bytes(directory: Path) -> int:
    """Return how many bytes of the disk ``directory`` and what is below it take, as ``du`` counts them.

    The space of directories themselves counts, holes in files do not, and a file with several names, such as one
    that the indexes of two roots share, counts once. What cannot be read is not counted.
    """
    total = 0
    seen: set[tuple[int, int]] = set()  # files with several names
    for found in _stats_below(directory):
        if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
            identity = (found.st_dev, found.st_ino)
            if identity in seen:
                continue
            seen.add(identity)
        total += found.st_blocks * _BLOCK_BYTES
    return total


def _stats_below(directory: Path) -> Iterator[os.stat_result]:
    """Yield the stats of ``directory`` and of what is below it, as far as they can be read. Links are not followed."""
    waiting = [os.fspath(directory)]
    while waiting:
        place = waiting.pop()
        with contextlib.suppress(OSError):
            yield os.lstat(place)
            with os.scandir(place) as entries:
                for entry in entries:
                    with contextlib.suppress(OSError):  # removed in the meantime
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                        else:
                            yield entry.stat(follow_symlinks=False)
