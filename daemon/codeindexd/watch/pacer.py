"""How often a watching thread looks for events, and whether it was kept from looking.

watchfiles asks its stop event after every step, so that event can also set the pace: the longer nothing happened, the
longer it waits before it lets the next step begin. Changing watchfiles' own step instead would mean returning from
its wait by a timeout, and a timeout clears events that arrive in the same moment.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

_RELAX_S_PER_S = 0.002  # a guess: after half a minute of silence events wait up to 60 ms longer, ...
_LONGEST_REST_S = 0.2  # ... after two minutes this long, which nobody notices on the first save after a pause
_SHORTEST_REST_S = 0.003
_STALL_S = 2.0  # without a look for this long the kernel's queue may have overflown


class PollPacer:
    """A stop event for watchfiles that rests between looks; ``on_stall(seconds)`` is called from its thread.

    The seconds are infinite when it is known that events were lost.
    """

    def __init__(self, *, on_live: Callable[[], object], on_stall: Callable[[float], object]) -> None:
        self._on_live = on_live
        self._on_stall = on_stall
        self._alarm = threading.Event()
        self._guard = threading.Lock()
        self._ring: Callable[[], object] | None = None
        self._stopped = False
        self._live = False
        self._rested = False
        self._active = self._looked = time.monotonic()

    @property
    def stopped(self) -> bool:
        """Whether the watch is to end."""
        return self._stopped

    @property
    def ring(self) -> Callable[[], object] | None:
        """What wakes a watching thread that waits elsewhere; set and taken away by that thread."""
        return self._ring

    @ring.setter
    def ring(self, ring: Callable[[], object] | None) -> None:
        with self._guard:
            self._ring = ring

    def stop(self) -> None:
        """End the watch within a step."""
        with self._guard:  # once the ring is taken away it may not be used any more
            self._stopped = True
            self._alarm.set()
            if self._ring is not None:
                self._ring()

    def begin(self) -> None:
        """Every path is watched."""
        if not self._live:
            self._live = True
            self._looked = time.monotonic()
            self._on_live()

    def wake(self) -> None:
        """Look at full pace again: something happened or is waited for."""
        self._active = time.monotonic()
        self._alarm.set()

    def resume(self) -> None:
        """The watching thread handed events over, and looks again: that was no stall."""
        self._active = self._looked = time.monotonic()

    def overflowed(self) -> None:
        """The kernel dropped events."""
        self._on_stall(math.inf)

    def is_set(self) -> bool:
        """What watchfiles asks after each step; the first question means that every path is watched."""
        self.begin()
        now = time.monotonic()
        if now - self._looked > _STALL_S:
            self._on_stall(now - self._looked)
        rest = 0.0 if self._rested else resting_time(now - self._active)
        self._rested = rest > 0  # every other time only: a first sign of events is followed by a full-pace step
        if rest and not self._stopped:
            self._alarm.clear()
            if not self._stopped:
                self._alarm.wait(rest)
        self._looked = time.monotonic()
        return self._stopped


def resting_time(idle_s: float) -> float:
    """Seconds to rest after ``idle_s`` seconds without events; 0 while active."""
    rest = min(_LONGEST_REST_S, idle_s * _RELAX_S_PER_S)
    return rest if rest >= _SHORTEST_REST_S else 0.0
