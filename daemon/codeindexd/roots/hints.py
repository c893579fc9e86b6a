"""Queues one root's hints and hands them out in batches, in the order that ``sync`` relies on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

import anyio

from codeindexd.roots.debounce import Debouncer
from codeindexd.scan.relpath import Batch, is_covered
from codeindexd.waiting import Broadcast, Signal


class _DelayedScan(NamedTuple):
    """Paths to scan at the time ``when``. With ``drop_if_scanned``, paths that are scanned before are dropped."""

    when: float
    paths: tuple[bytes, ...]
    is_check: bool
    drop_if_scanned: bool


class Hints:
    """Collects hints and hands them out as batches, one at a time, to one consumer.

    A hint added before a call of :meth:`wait_until_flushed` has been scanned when the call returns. A hint says that
    something may have changed; a check asks for another scan although nothing is known to have changed. ``later_s`` is
    the default delay in seconds, ``clock`` a monotonic clock in seconds.
    """

    def __init__(self, debouncer: Debouncer, *, later_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._debouncer = debouncer
        self._later_s = later_s
        self._clock = clock
        self._later: deque[_DelayedScan] = deque()
        self._has_hints = False  # not counting checks
        self._added = 0
        self._done = 0
        self._flush = False
        self._is_held = False
        self._is_scanning = False
        self._changed = Signal()
        self._progressed = Broadcast()

    @property
    def are_outstanding(self) -> bool:
        """True if a hint waits or is being scanned; checks do not count."""
        return self._is_scanning or self._has_hints or any(not later.is_check for later in self._later)

    def add(self, paths: Iterable[bytes]) -> None:
        """Schedule a scan of ``paths`` once they have settled."""
        new = tuple(paths)
        self._debouncer.add(new, self._clock())
        self._has_hints |= bool(new)
        self._added += 1
        self._changed.set()

    def add_later(self, paths: Iterable[bytes], delay_s: float | None = None) -> None:
        """Schedule a scan of ``paths`` in ``delay_s`` seconds.

        Without ``delay_s``, after ``later_s``, for files that changed while they were read.
        """
        when = self._clock() + (self._later_s if delay_s is None else delay_s)
        self._later.append(_DelayedScan(when, tuple(paths), is_check=False, drop_if_scanned=delay_s is None))
        self._changed.set()

    def check_later(self, paths: Iterable[bytes], delay_s: float | None = None) -> None:
        """Schedule a check of ``paths`` in ``delay_s`` seconds, for files that change all the time.

        Without ``delay_s``, after ``later_s``: they were modified so recently that a later change might not alter their
        stat.
        """
        when = self._clock() + (self._later_s if delay_s is None else delay_s)
        self._later.append(_DelayedScan(when, tuple(paths), is_check=True, drop_if_scanned=True))
        self._changed.set()

    def hold(self) -> None:
        """Collect hints, but hand out no batches until :meth:`release`."""
        self._is_held = True

    def release(self) -> None:
        """Hand out batches again."""
        self._is_held = False
        self._changed.set()

    async def wait_until_flushed(self) -> None:
        """Hand out all hints added so far without waiting for them to settle, and wait until they are scanned."""
        target = self._added
        self._flush = True
        self._changed.set()
        while self._done < target:
            await self._progressed.wait()

    async def next_batch(self, timeout_s: float) -> tuple[int, Batch] | None:
        """Wait for the next batch; return its number, for :meth:`mark_done`, and the batch.

        Returns None after ``timeout_s`` seconds without one.
        """
        deadline = self._clock() + timeout_s
        while True:
            now = self._clock()
            self._add_due(now)
            due = self._debouncer.next_due()
            if due is not None and not self._is_held and (self._flush or now >= due):
                batch = self._debouncer.flush()
                assert batch is not None
                self._flush, self._is_scanning, self._has_hints = False, self._has_hints, False
                self._drop_scanned(batch)
                return self._added, batch
            if due is None and self._flush:
                self._flush = False
                self._advance(self._added)
            if now >= deadline:
                return None
            self._changed.clear()
            with anyio.move_on_after(self._next_time(deadline, due) - now):
                await self._changed.wait()

    def mark_done(self, number: int) -> None:
        """Record that the batch with this number was scanned, and that the differences found were submitted."""
        self._is_scanning = False
        self._advance(number)

    def _add_due(self, now: float) -> None:
        due = [later for later in self._later if later.when <= now]
        if due:
            self._later = deque(later for later in self._later if later.when > now)
            for later in due:
                self._debouncer.add(later.paths, now)
                self._has_hints |= bool(later.paths) and not later.is_check

    def _drop_scanned(self, batch: Batch) -> None:
        """Drop delayed scans that ``batch`` makes unnecessary: its scan says whether another is needed."""
        kept = deque[_DelayedScan]()
        for later in self._later:
            paths = later.paths
            if later.drop_if_scanned:
                paths = tuple(path for path in paths if not is_covered(path, batch))
            if paths:
                kept.append(later._replace(paths=paths))
        self._later = kept

    def _next_time(self, deadline: float, due: float | None) -> float:
        """Return the time of the next action if no hint arrives first."""
        if self._is_held:
            return deadline
        return min([deadline, *(later.when for later in self._later), *([due] if due is not None else [])])

    def _advance(self, number: int) -> None:
        self._done = max(self._done, number)
        self._progressed.notify_all()
