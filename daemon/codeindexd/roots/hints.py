"""The hints of one root on their way to becoming batches, and the order that ``sync`` relies on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable

import anyio

from codeindexd.roots.debounce import Debouncer
from codeindexd.scan.relpath import Batch
from codeindexd.waiting import Broadcast, Signal


class Hints:
    """Collects hints and hands them out as batches, one at a time, to one consumer.

    A hint added before :meth:`flushed` is called has been scanned when that returns. ``clock`` is a monotonic clock in
    seconds.
    """

    def __init__(self, debouncer: Debouncer, *, later_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._debouncer = debouncer
        self._later_s = later_s
        self._clock = clock
        self._later: deque[tuple[float, tuple[bytes, ...]]] = deque()
        self._added = 0
        self._done = 0
        self._flush = False
        self._is_held = False
        self._is_scanning = False
        self._changed = Signal()
        self._progressed = Broadcast()

    @property
    def are_outstanding(self) -> bool:
        """Whether a hint waits, or a batch is being scanned."""
        return self._is_scanning or bool(self._later) or len(self._debouncer) > 0

    def add(self, paths: Iterable[bytes]) -> None:
        """Have ``paths`` scanned once they have settled."""
        self._debouncer.add(paths, self._clock())
        self._added += 1
        self._changed.set()

    def add_later(self, paths: Iterable[bytes], delay_s: float | None = None) -> None:
        """Have ``paths`` scanned after a while: they changed while they were read, or are too young to trust."""
        when = self._clock() + (self._later_s if delay_s is None else delay_s)
        self._later.append((when, tuple(paths)))
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
                self._flush, self._is_scanning = False, True
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
        due = [paths for when, paths in self._later if when <= now]
        if due:
            self._later = deque(item for item in self._later if item[0] > now)
            for paths in due:
                self._debouncer.add(paths, now)

    def _next_time(self, deadline: float, due: float | None) -> float:
        """Return when something is to be done although nothing changes."""
        if self._is_held:
            return deadline
        return min([deadline, *(when for when, _ in self._later), *([due] if due is not None else [])])

    def _advance(self, number: int) -> None:
        self._done = max(self._done, number)
        self._progressed.notify_all()
