"""When a stream that could not be started, or broke, is started again, and what the user should know meanwhile."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

from codeindexd.watch import filesystem
from codeindexd.watch.problems import SYNC_HELPS, Problem
from codeindexd.watch.stream import StreamError, Trouble

_BREAKS_TOLERATED = 3
_BREAKS_WINDOW_S = 60.0
_MOST_DOUBLINGS = 6
_FIRST_RETRY_S = 0.05
_VANISHED_TOLERATED_S = 5.0
_VANISHED_SHARE = 0.25  # of the time spent in vain so far is waited before the next try
_RETRY_POLLS = 4  # a failed try costs as much as a successful one
_REST_S_PER_DIRECTORY = 0.0006  # starting a stream holds the GIL, 60 us a directory: a tenth of the time at most


class Retries:
    """The time of the next try. ``clock`` is monotonic, in seconds.

    Methods that record a failure return a problem if the root has to be polled until a try succeeds, None if that
    will be soon.
    """

    def __init__(self, poll_interval_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._poll_interval_s = poll_interval_s
        self._clock = clock
        self._next_try_at = 0.0
        self._breaks: deque[float] = deque(maxlen=_BREAKS_TOLERATED + _MOST_DOUBLINGS)
        self._vanishing_since: float | None = None
        self._shortage: filesystem.Shortage | None = None

    @property
    def too_early(self) -> bool:
        """True if it is not time for the next try."""
        return self._clock() < self._next_try_at and not (self._shortage and self._shortage.may_be_over())

    @property
    def wait_s(self) -> float:
        """Seconds until a try may succeed."""
        wait_s = self._next_try_at - self._clock()
        return min(wait_s, self._shortage.CHECK_INTERVAL_S) if self._shortage else wait_s

    def succeeded(self) -> None:
        """Record that every target is watched."""
        self._vanishing_since = self._shortage = None

    def at_once(self) -> None:
        """Allow a try now: the obstacle may be gone."""
        self._next_try_at = 0.0

    def rest(self, directories: int) -> None:
        """Record that a stream was started whose ``directories`` (a count) the next one will watch again."""
        self._next_try_at = self._clock() + directories * _REST_S_PER_DIRECTORY

    def failed(self, error: StreamError) -> Problem | None:
        """Record that a stream could not be started."""
        now = self._clock()
        if error.trouble is Trouble.SILENT:
            self._next_try_at = math.inf
            return str(error), SYNC_HELPS
        if error.trouble is Trouble.EXHAUSTED:
            self._shortage = filesystem.Shortage()
            self._next_try_at = now + self._poll_interval_s * _RETRY_POLLS
            return filesystem.out_of_watches(str(error))
        if error.trouble is Trouble.VANISHED:  # between the look at it and its watch: the next look will refuse it
            if self._vanishing_since is None:
                self._vanishing_since = now
            in_vain_s = now - self._vanishing_since
            self._next_try_at = now + max(_FIRST_RETRY_S, min(in_vain_s * _VANISHED_SHARE, self._poll_interval_s))
            if in_vain_s < _VANISHED_TOLERATED_S:
                return None
            return f"directories vanish before they can be watched ({error})", SYNC_HELPS
        return self.broke(str(error))

    def broke(self, reason: str) -> Problem | None:
        """Record that a stream broke; after several breaks in a minute wait longer, since each restart loses events."""
        now = self._clock()
        self._breaks.append(now)
        often = sum(now - when < _BREAKS_WINDOW_S for when in self._breaks) - _BREAKS_TOLERATED
        self._next_try_at = now + _FIRST_RETRY_S
        if often <= 0:
            return None
        self._next_try_at = now + max(self._poll_interval_s, _FIRST_RETRY_S * 2**often)
        return (
            f"watching breaks repeatedly ({reason})",
            "rename or ignore files whose names are not UTF-8, which can cause this",
        )
