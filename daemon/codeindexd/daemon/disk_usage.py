"""The disk usage of the stores, counted in the background, because there can be thousands of files."""

from __future__ import annotations

import os
import time
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread

_MAX_AGE_S = 30.0
_MAX_WAIT_S = 0.02


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
    """Return the disk usage in bytes of the files below ``directory``; what cannot be read is not counted.

    A file with several names, such as one that the indexes of two roots share, counts once.
    """
    total = 0
    counted: set[tuple[int, int]] = set()
    waiting = [os.fspath(directory)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                        continue
                    status = entry.stat(follow_symlinks=False)
                    file = (status.st_dev, status.st_ino)
                    if status.st_nlink == 1 or file not in counted:
                        total += status.st_blocks * 512
                    if status.st_nlink > 1:
                        counted.add(file)
        except OSError:
            continue
    return total
