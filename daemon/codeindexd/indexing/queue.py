"""The files that are to be processed, one task per path: the newest content wins, whatever a worker has."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from codeindexd.scan.relpath import is_covered
from codeindexd.types import Entry


@dataclass(frozen=True, slots=True)
class Task:
    """One file to process. Numbers grow with every task of a queue."""

    number: int
    entry: Entry
    urgent: bool

    @property
    def path(self) -> bytes:
        """The file's path below its root."""
        return self.entry.path


@dataclass(slots=True)
class _Pending:
    """One pending path.

    ``oldest`` is the number of the first task since which no result for the path was committed. It is at most
    ``newest.number``. ``in_flight`` is the task that a worker got last.
    """

    newest: Task
    oldest: int
    in_flight: Task | None = None


class WorkQueue:
    """Tasks by path, with an urgent and a bulk queue in front of the workers; not thread-safe, one owner.

    A path is pending from :meth:`add` until :meth:`finish` of its newest task or :meth:`remove`, also while a worker
    has it. Adding content that is pending already changes nothing, so that a walk in the middle of a cold start costs
    nothing.

    A file may change faster than it is processed, and is still committed now and then, by three rules:

    - Workers only ever get the newest task of a path.
    - The result of an older task is still committed, unless a newer result was (:meth:`accepts`).
    - A task counts as finished once a result at least as new is committed (:meth:`is_finished`).
    """

    def __init__(self) -> None:
        self._pending: dict[bytes, _Pending] = {}
        self._queues: tuple[deque[Task], deque[Task]] = (deque(), deque())  # bulk, urgent; older tasks are skipped
        self.last_number = 0
        """The number of the newest task; all that is pending now has at most this number."""

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, path: bytes) -> bool:
        return path in self._pending

    def __iter__(self) -> Iterator[Task]:
        return iter([pending.newest for pending in self._pending.values()])

    def add(self, entry: Entry, *, urgent: bool, force: bool = False, oldest: int | None = None) -> Task | None:
        """Queue ``entry``; return None when the same content is pending already and neither urgent now nor forced.

        ``oldest`` is the :meth:`oldest_number` of the file under its earlier path.
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
        """Return the next task of a queue for a worker, or None."""
        queue = self._queues[urgent]
        while queue:
            task = queue.popleft()
            if self.is_newest(task):
                self._pending[task.path].in_flight = task
                return task
        return None

    def put_back(self, task: Task) -> None:
        """Queue a task first that its worker did not finish."""
        if self.is_newest(task):
            self._queues[task.urgent].appendleft(task)

    def finish(self, task: Task) -> None:
        """Note that the result of a task is committed, or recorded as failed."""
        if self.is_newest(task):
            del self._pending[task.path]
        elif self.accepts(task):
            self._pending[task.path].oldest = task.number + 1

    @property
    def in_flight(self) -> list[Task]:
        """One task for each file that may have been read already and is not committed yet."""
        return [pending.in_flight for pending in self._pending.values() if pending.in_flight]

    def is_newest(self, task: Task) -> bool:
        """Return True if the task is pending and nothing newer is known about its path."""
        pending = self._pending.get(task.path)
        return pending is not None and pending.newest is task

    def accepts(self, task: Task) -> bool:
        """Return True if the result of a task is to be committed: its path is pending, and nothing newer was."""
        pending = self._pending.get(task.path)
        return pending is not None and task.number >= pending.oldest

    def is_finished(self, number: int) -> bool:
        """Return True if every task up to ``number``, or a newer one of its path, is finished or removed."""
        return all(pending.oldest > number for pending in self._pending.values())

    def oldest_number(self, path: bytes) -> int | None:
        """Return the number of the first unfinished task of ``path``, or None."""
        pending = self._pending.get(path)
        return pending.oldest if pending else None
