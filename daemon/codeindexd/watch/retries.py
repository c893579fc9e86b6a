"""When a stream that could not be started, or broke, is tried again; and what the user should know meanwhile."""

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
_VANISHED_SHARE = 0.25  # of the time in vain so far is waited until the next try
_RETRY_POLLS = 4  # a try that fails costs as much as one that does not
_REST_S_PER_DIRECTORY = 0.0006  # starting a stream holds the GIL, 60 us a directory: a tenth of the time at most


class Retries:
    """Keeps the time of the next try. ``clock`` is monotonic, in seconds.

    Answers with a problem when the root has to be polled until a try succeeds, with None when that comes soon.
    """

    def __init__(self, poll_interval_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._poll_interval_s = poll_interval_s
        self._clock = clock
        self._at = 0.0
        self._breaks: deque[float] = deque(maxlen=_BREAKS_TOLERATED + _MOST_DOUBLINGS)
        self._vanishing_since: float | None = None
        self._shortage: filesystem.Shortage | None = None

    @property
    def too_early(self) -> bool:
        """Whether nothing is to be tried yet."""
        return self._clock() < self._at and not (self._shortage and self._shortage.may_be_over())

    @property
    def wait_s(self) -> float:
        """Seconds until a try may be worth while."""
        wait_s = self._at - self._clock()
        return min(wait_s, self._shortage.LOOK_S) if self._shortage else wait_s

    def succeeded(self) -> None:
        """Everything that is wanted is watched."""
        self._vanishing_since = self._shortage = None

    def at_once(self) -> None:
        """What stood against it may be over."""
        self._at = 0.0

    def rest(self, directories: int) -> None:
        """A stream was started; the next one will watch ``directories`` of the same again."""
        self._at = self._clock() + directories * _REST_S_PER_DIRECTORY

    def failed(self, error: StreamError) -> Problem | None:
        """A stream could not be started."""
        now = self._clock()
        if error.trouble is Trouble.SILENT:
            self._at = math.inf
            return str(error), SYNC_HELPS
        if error.trouble is Trouble.EXHAUSTED:
            self._shortage = filesystem.Shortage()
            self._at = now + self._poll_interval_s * _RETRY_POLLS
            return filesystem.out_of_watches(str(error))
        if error.trouble is Trouble.VANISHED:  # between the look at it and its watch: the next look refuses it
            if self._vanishing_since is None:
                self._vanishing_since = now
            in_vain_s = now - self._vanishing_since
            self._at = now + max(_FIRST_RETRY_S, min(in_vain_s * _VANISHED_SHARE, self._poll_interval_s))
            if in_vain_s < _VANISHED_TOLERATED_S:
                return None
            return f"directories vanish before they can be watched ({error})", SYNC_HELPS
        return self.broke(str(error))

    def broke(self, reason: str) -> Problem | None:
        """Try again at once, unless it broke often lately: each rebuild costs, and events are lost each time."""
        now = self._clock()
        self._breaks.append(now)
        often = sum(now - when < _BREAKS_WINDOW_S for when in self._breaks) - _BREAKS_TOLERATED
        self._at = now + _FIRST_RETRY_S
        if often <= 0:
            return None
        self._at = now + max(self._poll_interval_s, _FIRST_RETRY_S * 2**often)
        return (
            f"watching breaks again and again ({reason})",
            "file names that are not UTF-8 cause this: rename or ignore them",
        )
