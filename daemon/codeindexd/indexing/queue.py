"""What is still to be done, path by path: the newest wish for a path wins, whatever is in flight for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from codeindexd.types import Entry


@dataclass(frozen=True, slots=True)
class Task:
    """One file to process. ``number`` grows with every wish."""

    number: int
    entry: Entry
    urgent: bool

    @property
    def path(self) -> bytes:
        """The file's path below its root."""
        return self.entry.path


class WorkQueue:
    """Wishes by path with two queues in front of the workers; not thread-safe, one owner.

    A path is pending from :meth:`want` until :meth:`done` or :meth:`forget`, also while a worker has it. Wishing
    again for content that is already wished for changes nothing, so a walk in the middle of a cold start costs nothing.

    A file that changes faster than it is processed is still committed now and then: the result of a wish counts until
    a newer one is done. Whoever waits for a wish waits for that, too.
    """

    def __init__(self) -> None:
        self._numbers = 0
        self._current: dict[bytes, Task] = {}
        self._since: dict[bytes, int] = {}  # the number of the oldest wish for a pending path that nothing is done for
        self._given: dict[bytes, Task] = {}  # to a worker last, for a path that is still pending
        self._queues: tuple[deque[Task], deque[Task]] = (deque(), deque())  # bulk, urgent

    def __len__(self) -> int:
        return len(self._current)

    def __contains__(self, path: bytes) -> bool:
        return path in self._current

    def __iter__(self) -> Iterator[Task]:
        return iter(list(self._current.values()))

    def want(self, entry: Entry, *, urgent: bool, again: bool = False, since: int | None = None) -> Task | None:
        """Ask for ``entry`` to be processed; None when exactly that is pending already and not ``again``.

        ``since`` is that of a wish for the same file under another path.
        """
        before = self._current.get(entry.path)
        if before and before.entry.hash == entry.hash and not again and (before.urgent or not urgent):
            return None
        self._numbers += 1
        ticket = Task(self._numbers, entry, urgent)
        older = [number for number in (since, self._since.get(entry.path)) if number is not None]
        self._since[entry.path] = min([self._numbers, *older])
        self._current[entry.path] = ticket
        self._queues[urgent].append(ticket)
        return ticket

    def forget(self, paths: Collection[bytes]) -> bool:
        """Drop the wishes for ``paths`` and for everything below them; whether there were any."""
        if not paths:
            return False
        gone = [known for known in self._current if any(place in paths for place in _lineage(known))]
        for path in gone:
            del self._current[path], self._since[path]
            self._given.pop(path, None)
        return bool(gone)

    @property
    def in_flight(self) -> list[Task]:
        """One ticket for each file that may have been read already and is not committed yet."""
        return list(self._given.values())

    def is_current(self, ticket: Task) -> bool:
        """Whether nothing newer is known about the ticket's path."""
        return self._current.get(ticket.path) is ticket

    def counts(self, ticket: Task) -> bool:
        """Whether the ticket's result brings its path nearer to what is wished for."""
        since = self._since.get(ticket.path)
        return since is not None and ticket.number >= since

    def done(self, ticket: Task) -> None:
        """The ticket's result is committed (or recorded as failed)."""
        if self.is_current(ticket):
            del self._current[ticket.path], self._since[ticket.path]
            self._given.pop(ticket.path, None)
        elif self.counts(ticket):
            self._since[ticket.path] = ticket.number + 1

    def next(self, *, urgent: bool) -> Task | None:
        """The next ticket of a queue that still counts, or None."""
        queue = self._queues[urgent]
        while queue:
            ticket = queue.popleft()
            if self.is_current(ticket):
                self._given[ticket.path] = ticket
                return ticket
        return None

    def put_back(self, ticket: Task) -> None:
        """Queue a ticket again whose work was abandoned."""
        if self.is_current(ticket):
            self._queues[ticket.urgent].appendleft(ticket)

    @property
    def latest(self) -> int:
        """The number of the newest wish; all that is pending now has at most this number."""
        return self._numbers

    def settled(self, number: int) -> bool:
        """Whether everything wished for up to ``number`` is done, in the form that was wished for or a newer one."""
        return all(since > number for since in self._since.values())

    def since(self, path: bytes) -> int | None:
        """The number of the oldest wish for ``path`` that nothing is done for; None when there is none."""
        return self._since.get(path)


def _lineage(path: bytes) -> Iterator[bytes]:
    """``path`` and each directory above it, the root included."""
    yield path
    while path:
        path = path.rpartition(b"/")[0]
        yield path
