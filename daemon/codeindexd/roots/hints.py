"""The hints of one root on their way to becoming batches, and the order that ``sync`` relies on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable

import anyio

from codeindexd.roots.debounce import Debouncer
from codeindexd.scan.relpath import Batch


class Hints:
    """Collects hints and hands them out as batches, one at a time, to one consumer.

    A hint given before :meth:`flushed` is called has been reconciled when it returns. ``clock`` is a monotonic clock
    in seconds.
    """

    def __init__(self, settler: Debouncer, *, later_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._settler = settler
        self._later_s = later_s
        self._clock = clock
        self._later: deque[tuple[float, tuple[bytes, ...]]] = deque()
        self._given = 0
        self._taken = 0
        self._flush = False
        self._held = False
        self._busy = False
        self._wake = anyio.Event()
        self._progressed = anyio.Event()

    @property
    def outstanding(self) -> bool:
        """Whether a hint waits, or a batch is being looked at."""
        return self._busy or bool(self._later) or len(self._settler) > 0

    def add(self, paths: Iterable[bytes]) -> None:
        """Look under ``paths`` once they have settled."""
        self._settler.add(paths, self._clock())
        self._given += 1
        self._wake.set()

    def add_later(self, paths: Iterable[bytes], delay_s: float | None = None) -> None:
        """Look under ``paths`` after a while: they changed under our hands, or are too young to trust."""
        when = self._clock() + (self._later_s if delay_s is None else delay_s)
        self._later.append((when, tuple(paths)))
        self._wake.set()

    def hold(self) -> None:
        """Collect, but hand nothing out until :meth:`release`."""
        self._held = True

    def release(self) -> None:
        """Hand out batches again."""
        self._held = False
        self._wake.set()

    async def flushed(self) -> None:
        """Wait until everything hinted so far has been reconciled, without waiting for it to settle."""
        target = self._given
        self._flush = True
        self._wake.set()
        while self._taken < target:
            await self._progressed.wait()

    async def batch(self, patience_s: float) -> tuple[int, Batch] | None:
        """The next batch with its number for :meth:`done`; None after ``patience_s`` seconds without one."""
        deadline = self._clock() + patience_s
        while True:
            now = self._clock()
            self._bring_due(now)
            due = self._settler.next_due()
            if due is not None and not self._held and (self._flush or now >= due):
                batch = self._settler.flush(now)
                assert batch is not None
                self._flush, self._busy = False, True
                return self._given, batch
            if due is None and self._flush:
                self._flush = False
                self._advance(self._given)
            if now >= deadline:
                return None
            self._wake = anyio.Event()
            with anyio.move_on_after(self._next(deadline, due) - now):
                await self._wake.wait()

    def done(self, number: int) -> None:
        """The batch with this number has been reconciled and what it found is on its way."""
        self._busy = False
        self._advance(number)

    def _bring_due(self, now: float) -> None:
        due = [paths for when, paths in self._later if when <= now]
        if due:
            self._later = deque(item for item in self._later if item[0] > now)
            for paths in due:
                self._settler.add(paths, now)

    def _next(self, deadline: float, due: float | None) -> float:
        """When something has to be done without being woken."""
        if self._held:
            return deadline
        return min([deadline, *(when for when, _ in self._later), *([due] if due is not None else [])])

    def _advance(self, number: int) -> None:
        self._taken = max(self._taken, number)
        self._progressed.set()
        self._progressed = anyio.Event()
