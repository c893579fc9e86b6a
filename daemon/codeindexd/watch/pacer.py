"""How often a watching thread polls for events, and whether it was kept from polling.

watchfiles checks its stop event after every step, so that event can also set the pace: the longer nothing happened,
the longer it rests before the next step. Changing watchfiles' own step instead would make its wait end by a timeout,
and a timeout discards events that arrive in the same moment.
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
    """A stop event for watchfiles that rests between polls. ``on_stall(seconds)`` is called from its thread.

    The seconds are infinite if events are known to be lost.
    """

    def __init__(self, *, on_live: Callable[[], object], on_stall: Callable[[float], object]) -> None:
        self._on_live = on_live
        self._on_stall = on_stall
        self._alarm = threading.Event()
        self._ring_lock = threading.Lock()
        self._ring: Callable[[], object] | None = None
        self._stopped = False
        self._live = False
        self._rested = False
        self._active = self._polled_at = time.monotonic()

    @property
    def stopped(self) -> bool:
        """True once the watch should end."""
        return self._stopped

    @property
    def ring(self) -> Callable[[], object] | None:
        """Wakes a watching thread that waits elsewhere; set and removed by that thread."""
        return self._ring

    @ring.setter
    def ring(self, ring: Callable[[], object] | None) -> None:
        with self._ring_lock:
            self._ring = ring

    def stop(self) -> None:
        """End the watch within a step."""
        with self._ring_lock:  # once the ring is removed it must not be called
            self._stopped = True
            self._alarm.set()
            if self._ring is not None:
                self._ring()

    def begin(self) -> None:
        """Record that every path is watched."""
        if not self._live:
            self._live = True
            self._polled_at = time.monotonic()
            self._on_live()

    def wake(self) -> None:
        """Poll at full pace again: something happened or is expected."""
        self._active = time.monotonic()
        self._alarm.set()

    def resume(self) -> None:
        """Record that the watching thread polls again after it delivered events, which was no stall."""
        self._active = self._polled_at = time.monotonic()

    def overflowed(self) -> None:
        """Report that the kernel dropped events."""
        self._on_stall(math.inf)

    def is_set(self) -> bool:
        """Rest if it is time to, and return True if the watch should end.

        watchfiles calls this after each step; the first call means that every path is watched.
        """
        self.begin()
        now = time.monotonic()
        if now - self._polled_at > _STALL_S:
            self._on_stall(now - self._polled_at)
        rest = 0.0 if self._rested else resting_time(now - self._active)
        self._rested = rest > 0  # every other time only: a first sign of events is followed by a full-pace step
        if rest and not self._stopped:
            self._alarm.clear()
            if not self._stopped:
                self._alarm.wait(rest)
        self._polled_at = time.monotonic()
        return self._stopped


def resting_time(idle_s: float) -> float:
    """Return the seconds to rest after ``idle_s`` seconds without events; 0 while active."""
    rest = min(_LONGEST_REST_S, idle_s * _RELAX_S_PER_S)
    return rest if rest >= _SHORTEST_REST_S else 0.0
