"""How much disk the stores take, without making anybody wait for thousands of them to be counted."""

from __future__ import annotations

import os
import time
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread

_FRESH_S = 30.0
_PATIENCE_S = 0.02


class DiskUsage:
    """The size of a directory tree, counted again in the background when it is asked for."""

    def __init__(self, directory: Path, tasks: anyio.abc.TaskGroup) -> None:
        self._directory = directory
        self._tasks = tasks
        self._size_bytes: int | None = None
        self._counted_at = 0.0
        self._counting: anyio.Event | None = None

    async def size_bytes(self) -> int | None:
        """Return the size as it was at most some time ago; None while it was never counted."""
        if self._counting is None and (self._size_bytes is None or time.monotonic() - self._counted_at > _FRESH_S):
            self._counting = anyio.Event()
            self._tasks.start_soon(self._count, self._counting)
        if self._counting is not None:
            with anyio.move_on_after(_PATIENCE_S):
                await self._counting.wait()
        return self._size_bytes

    async def _count(self, done: anyio.Event) -> None:
        self._size_bytes = await anyio.to_thread.run_sync(tree_bytes, self._directory)
        self._counted_at = time.monotonic()
        self._counting = None
        done.set()


def tree_bytes(directory: Path) -> int:
    """Return the bytes on the disk of all files below ``directory``; what vanishes meanwhile does not count."""
    total = 0
    waiting = [os.fspath(directory)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            continue
    return total
