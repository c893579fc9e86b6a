"""How fast events arrive: a burst may have overflowed a queue, a long silence is a good time for upkeep."""

from __future__ import annotations

import time
from collections.abc import Callable

_WINDOW_S = 1.0


class EventRate:
    """Time and size of the last batch of events. ``clock`` is monotonic, in seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_count = 0
        self.last_event_at = clock()

    def with_previous(self, count: int) -> int:
        """Return how many events there are with ``count`` more now, those of the last batch included if recent."""
        is_recent = self._clock() - self.last_event_at < _WINDOW_S
        return count + (self._last_count if is_recent else 0)

    def record(self, count: int) -> None:
        """Remember a batch of ``count`` events that arrived now."""
        self.last_event_at, self._last_count = self._clock(), count
