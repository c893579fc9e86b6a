"""The queue of files to process. Each path has one task; the newest content wins, even over one in a worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator

from msgspec import Struct

from codeindexd.scan.relpath import is_covered
from codeindexd.types import Entry

_URGENT_FILES = 32


def is_urgent(files: Collection[Entry]) -> bool:
    """Return True if changed ``files`` are processed before bulk work.

    A few files changed at the same time were probably saved by somebody who wants to find them at once; many come from
    a checkout or a first walk.
    """
    return len(files) <= _URGENT_FILES


class Task(Struct, frozen=True):
    """One file to process. Each task of a queue has a higher ``number`` than those before it."""

    number: int
    entry: Entry
    urgent: bool

    @property
    def path(self) -> bytes:
        """The file's path, relative to its root."""
        return self.entry.path


class _Pending(Struct):
    """The state of a pending path.

    ``oldest`` is the number of the oldest task whose result may still be committed, at most ``newest.number``.
    ``in_flight`` is the task that was last given to a worker.
    """

    newest: Task
    oldest: int
    in_flight: Task | None = None


class WorkQueue:
    """Tasks by path, in an urgent and a bulk queue. Not thread-safe.

    A path is pending from :meth:`add` until :meth:`finish` of its newest task or :meth:`remove`, also while a worker
    processes it. Adding content that is already pending changes nothing, so that a walk during a cold start is cheap.

    A file may change faster than it is processed. Three rules make sure that it is still committed now and then:

    - Workers only ever get the newest task of a path.
    - The result of an older task is still committed, unless a newer one was (:meth:`accepts`).
    - A task is finished (:meth:`is_finished`) once its result, or the result of a newer task for its path, is
      committed.
    """

    def __init__(self) -> None:
        self._pending: dict[bytes, _Pending] = {}
        self._queues: tuple[deque[Task], deque[Task]] = (deque(), deque())  # bulk, urgent; outdated ones are skipped
        self.last_number = 0
        """The number of the newest task; all pending tasks have at most this number."""

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, path: bytes) -> bool:
        return path in self._pending

    def __iter__(self) -> Iterator[Task]:
        return iter([pending.newest for pending in self._pending.values()])

    def add(self, entry: Entry, *, urgent: bool, force: bool = False, oldest: int | None = None) -> Task | None:
        """Queue ``entry`` and return its task; None if the same content is already pending and nothing has to be done.

        It is queued again with ``force``, or if it becomes ``urgent``. For a moved file, ``oldest`` is the
        :meth:`oldest_number` of its previous path.
        """
        before = self._pending.get(entry.path)
        if before and before.newest.entry.hash == entry.hash and not force and (before.newest.urgent or not urgent):
            return None
        self.last_number += 1
        task = Task(self.last_number, entry, urgent)
        numbers = [task.number, *([] if oldest is None else [oldest]), *([before.oldest] if before else [])]
        self._pending[entry.path] = _Pending(task, min(numbers), before.in_flight if before else None)
        self._queues[urgent].append(task)
        return task

    def remove(self, paths: Collection[bytes]) -> bool:
        """Drop the tasks of ``paths`` and of everything below them; return True if there were any."""
        if not paths:
            return False
        removed = [path for path in self._pending if is_covered(path, paths)]
        for path in removed:
            del self._pending[path]
        return bool(removed)

    def take(self, *, urgent: bool) -> Task | None:
        """Return the next urgent or bulk task for a worker, or None."""
        queue = self._queues[urgent]
        while queue:
            task = queue.popleft()
            if self.is_newest(task):
                self._pending[task.path].in_flight = task
                return task
        return None

    def put_back(self, task: Task) -> None:
        """Put a task that its worker did not finish back at the front of its queue."""
        if self.is_newest(task):
            self._queues[task.urgent].appendleft(task)

    def finish(self, task: Task) -> None:
        """Record that the result of a task is committed, or recorded as failed."""
        if self.is_newest(task):
            del self._pending[task.path]
        elif self.accepts(task):
            self._pending[task.path].oldest = task.number + 1

    @property
    def in_flight(self) -> list[Task]:
        """The tasks whose files may have been read but are not committed; one for each path."""
        return [pending.in_flight for pending in self._pending.values() if pending.in_flight]

    def is_newest(self, task: Task) -> bool:
        """Return True if the task is pending and is the newest of its path."""
        pending = self._pending.get(task.path)
        return pending is not None and pending.newest is task

    def accepts(self, task: Task) -> bool:
        """Return True if the result of a task may be committed: its path is pending, and no newer result was."""
        pending = self._pending.get(task.path)
        return pending is not None and task.number >= pending.oldest

    def is_finished(self, number: int) -> bool:
        """Return True if each task up to ``number``, or a newer one of its path, is finished or removed."""
        return all(pending.oldest > number for pending in self._pending.values())

    def oldest_number(self, path: bytes) -> int | None:
        """Return the number of the oldest task of ``path`` whose result may still be committed, or None."""
        pending = self._pending.get(path)
        return pending.oldest if pending else None
