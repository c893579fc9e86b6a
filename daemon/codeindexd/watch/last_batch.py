"""The last batch of events: how large and how long ago. A burst may have overflowed a queue; silence allows upkeep."""

from __future__ import annotations

import time
from collections.abc import Callable

_WINDOW_S = 1.0


class LastBatch:
    """Time (of ``clock``, monotonic seconds) and size of the last batch of events."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_count = 0
        self.arrived_at = clock()

    def recent_count(self, count: int) -> int:
        """Return ``count``, the size of a new batch, plus the size of the last one if that arrived within a second."""
        is_recent = self._clock() - self.arrived_at < _WINDOW_S
        return count + (self._last_count if is_recent else 0)

    def record(self, count: int) -> None:
        """Record a batch of ``count`` events that arrived now."""
        self.arrived_at, self._last_count = self._clock(), count
