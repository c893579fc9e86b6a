"""Decides how often a watching thread polls for events, and detects that it was kept from polling.

watchfiles checks its stop event after every step, so that event can also set the pace: the longer nothing has happened,
the longer the check blocks. A longer step of watchfiles itself would lose events: its wait would end by a timeout,
which discards events that arrive at the same moment.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

_RELAX_S_PER_S = 0.002  # a guess: after half a minute of silence events wait up to 60 ms longer, ...
_LONGEST_REST_S = 0.2  # ... after two minutes this long, which nobody notices on the first save after a pause
_SHORTEST_REST_S = 0.003
_STALL_S = 2.0  # without a poll for this long the kernel's queue may have overflowed


class PollPacer:
    """A stop event for watchfiles that also makes it rest between polls.

    Both callbacks run in the watching thread: ``on_live()`` once every path is watched, ``on_stall(seconds)`` after
    that long without a poll, with infinity if events are known to be lost.
    """

    def __init__(self, *, on_live: Callable[[], object], on_stall: Callable[[float], object]) -> None:
        self._on_live = on_live
        self._on_stall = on_stall
        self._wake_event = threading.Event()
        self._on_stop_lock = threading.Lock()
        self._on_stop: Callable[[], object] | None = None
        self._stopped = False
        self._live = False
        self._rested = False
        self._active = self._polled_at = time.monotonic()

    @property
    def is_stopped(self) -> bool:
        """True once the watch should end."""
        return self._stopped

    @property
    def on_stop(self) -> Callable[[], object] | None:
        """Called by :meth:`stop`, to wake a watching thread that waits for something else; set and removed by it."""
        return self._on_stop

    @on_stop.setter
    def on_stop(self, on_stop: Callable[[], object] | None) -> None:
        with self._on_stop_lock:
            self._on_stop = on_stop

    def stop(self) -> None:
        """End the watch within a step. Any thread may call."""
        with self._on_stop_lock:  # a callback that was removed must not be called
            self._stopped = True
            self._wake_event.set()
            if self._on_stop is not None:
                self._on_stop()

    def mark_live(self) -> None:
        """Report once that every path is watched."""
        if not self._live:
            self._live = True
            self._polled_at = time.monotonic()
            self._on_live()

    def wake(self) -> None:
        """Poll at full pace again: something happened or is expected."""
        self._active = time.monotonic()
        self._wake_event.set()

    def resume(self) -> None:
        """Record that the watching thread polls again after delivering events, so that the delivery is not a stall."""
        self._active = self._polled_at = time.monotonic()

    def report_overflow(self) -> None:
        """Report that the kernel dropped events."""
        self._on_stall(math.inf)

    def is_set(self) -> bool:
        """Rest if nothing has happened for a while, and return True if the watch should end.

        watchfiles calls this after each step; the first call means that every path is watched.
        """
        self.mark_live()
        now = time.monotonic()
        if now - self._polled_at > _STALL_S:
            self._on_stall(now - self._polled_at)
        rest = 0.0 if self._rested else resting_time(now - self._active)
        self._rested = rest > 0  # only every other time, so that a step at full pace follows the first events
        if rest and not self._stopped:
            self._wake_event.clear()
            if not self._stopped:
                self._wake_event.wait(rest)
        self._polled_at = time.monotonic()
        return self._stopped


def resting_time(idle_s: float) -> float:
    """Return the seconds to rest after ``idle_s`` seconds without events; 0 while active."""
    rest = min(_LONGEST_REST_S, idle_s * _RELAX_S_PER_S)
    return rest if rest >= _SHORTEST_REST_S else 0.0
