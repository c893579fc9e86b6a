"""The hints of one root on their way to becoming batches, and the order that ``sync`` relies on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

import anyio

from codeindexd.roots.debounce import Debouncer
from codeindexd.scan.relpath import Batch, is_covered
from codeindexd.waiting import Broadcast, Signal


class _Later(NamedTuple):
    """Paths to be scanned at a certain time; a ``second_look`` is not needed if they are scanned before."""

    when: float
    paths: tuple[bytes, ...]
    is_check: bool
    second_look: bool


class Hints:
    """Collects hints and hands them out as batches, one at a time, to one consumer.

    A hint added before :meth:`flushed` is called has been scanned when that returns. A hint says that something may
    have changed, a check that something is worth a second look although nothing is known to have changed. ``clock`` is
    a monotonic clock in seconds.
    """

    def __init__(self, debouncer: Debouncer, *, later_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._debouncer = debouncer
        self._later_s = later_s
        self._clock = clock
        self._later: deque[_Later] = deque()
        self._has_hints = False  # besides checks
        self._added = 0
        self._done = 0
        self._flush = False
        self._is_held = False
        self._is_scanning = False
        self._changed = Signal()
        self._progressed = Broadcast()

    @property
    def are_outstanding(self) -> bool:
        """Whether a hint waits or is being scanned; checks do not count."""
        return self._is_scanning or self._has_hints or any(not later.is_check for later in self._later)

    def add(self, paths: Iterable[bytes]) -> None:
        """Have ``paths`` scanned once they have settled."""
        new = tuple(paths)
        self._debouncer.add(new, self._clock())
        self._has_hints |= bool(new)
        self._added += 1
        self._changed.set()

    def add_later(self, paths: Iterable[bytes], delay_s: float | None = None) -> None:
        """Have ``paths`` scanned after a while: without ``delay_s``, because they changed while they were read."""
        when = self._clock() + (self._later_s if delay_s is None else delay_s)
        self._later.append(_Later(when, tuple(paths), is_check=False, second_look=delay_s is None))
        self._changed.set()

    def check_later(self, paths: Iterable[bytes], delay_s: float | None = None) -> None:
        """Have ``paths`` checked after a while.

        They are too young for their stat to tell of every later change or, with ``delay_s``, change all the time.
        """
        when = self._clock() + (self._later_s if delay_s is None else delay_s)
        self._later.append(_Later(when, tuple(paths), is_check=True, second_look=True))
        self._changed.set()

    def hold(self) -> None:
        """Collect hints, but hand out no batch until :meth:`release`."""
        self._is_held = True

    def release(self) -> None:
        """Hand out batches again."""
        self._is_held = False
        self._changed.set()

    async def flushed(self) -> None:
        """Wait until all hints added so far have been scanned, without waiting for them to settle."""
        target = self._added
        self._flush = True
        self._changed.set()
        while self._done < target:
            await self._progressed.wait()

    async def batch(self, patience_s: float) -> tuple[int, Batch] | None:
        """Return the next batch and its number for :meth:`done`, or None after ``patience_s`` seconds without one."""
        deadline = self._clock() + patience_s
        while True:
            now = self._clock()
            self._add_due(now)
            due = self._debouncer.next_due()
            if due is not None and not self._is_held and (self._flush or now >= due):
                batch = self._debouncer.flush(now)
                assert batch is not None
                self._flush, self._is_scanning, self._has_hints = False, self._has_hints, False
                self._drop_second_looks(batch)
                return self._added, batch
            if due is None and self._flush:
                self._flush = False
                self._advance(self._added)
            if now >= deadline:
                return None
            self._changed.clear()
            with anyio.move_on_after(self._next_time(deadline, due) - now):
                await self._changed.wait()

    def done(self, number: int) -> None:
        """Note that the batch with this number was scanned, and what it found was submitted."""
        self._is_scanning = False
        self._advance(number)

    def _add_due(self, now: float) -> None:
        due = [later for later in self._later if later.when <= now]
        if due:
            self._later = deque(later for later in self._later if later.when > now)
            for later in due:
                self._debouncer.add(later.paths, now)
                self._has_hints |= bool(later.paths) and not later.is_check

    def _drop_second_looks(self, batch: Batch) -> None:
        """Drop the second looks at what is scanned now: the scan says whether another is needed."""
        kept = deque[_Later]()
        for later in self._later:
            paths = later.paths
            if later.second_look:
                paths = tuple(path for path in paths if not is_covered(path, batch))
            if paths:
                kept.append(later._replace(paths=paths))
        self._later = kept

    def _next_time(self, deadline: float, due: float | None) -> float:
        """Return when something is to be done although nothing changes."""
        if self._is_held:
            return deadline
        return min([deadline, *(later.when for later in self._later), *([due] if due is not None else [])])

    def _advance(self, number: int) -> None:
        self._done = max(self._done, number)
        self._progressed.notify_all()
