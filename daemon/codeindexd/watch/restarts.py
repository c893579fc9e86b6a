"""Decides when to restart a stream that broke or could not be started, and what the user should know meanwhile."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

from codeindexd.watch import filesystem
from codeindexd.watch.problem_reporter import SYNC_HINT, WatchProblem
from codeindexd.watch.stream import StreamError, StreamErrorKind

_BREAKS_TOLERATED = 3
_BREAKS_WINDOW_S = 60.0
_MOST_DOUBLINGS = 6
_FIRST_RETRY_S = 0.05
_VANISHED_TOLERATED_S = 5.0
_VANISHED_SHARE = 0.25  # the pause before the next try, as a share of the time since the first failure
_RETRY_POLLS = 4  # poll intervals between tries when watches ran out: a failed try costs as much as a successful one
_REST_S_PER_DIRECTORY = 0.0006  # starting a stream holds the GIL, 60 us a directory: a tenth of the time at most


class RestartSchedule:
    """The time of the next try to start a stream. ``clock`` is monotonic, in seconds.

    Methods that record a failure return the problem to report if the root has to be polled until a try succeeds; None
    if the next try is so soon that nobody needs to know.
    """

    def __init__(self, poll_interval_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._poll_interval_s = poll_interval_s
        self._clock = clock
        self._next_try_at = 0.0
        self._breaks: deque[float] = deque(maxlen=_BREAKS_TOLERATED + _MOST_DOUBLINGS)
        self._vanishing_since: float | None = None
        self._shortage: filesystem.Shortage | None = None

    @property
    def is_too_early(self) -> bool:
        """True if it is not time for the next try."""
        return self._clock() < self._next_try_at and not (self._shortage and self._shortage.have_limits_changed())

    @property
    def wait_s(self) -> float:
        """Seconds until a try may succeed."""
        wait_s = self._next_try_at - self._clock()
        return min(wait_s, self._shortage.CHECK_INTERVAL_S) if self._shortage else wait_s

    def record_success(self) -> None:
        """Record that every target is watched."""
        self._vanishing_since = self._shortage = None

    def allow_now(self) -> None:
        """Allow a try at once: what prevented it may be gone."""
        self._next_try_at = 0.0

    def delay_next(self, directory_count: int) -> None:
        """Delay the next start in proportion to its cost: it will watch ``directory_count`` directories again."""
        self._next_try_at = self._clock() + directory_count * _REST_S_PER_DIRECTORY

    def record_failure(self, error: StreamError) -> WatchProblem | None:
        """Record that a stream could not be started."""
        now = self._clock()
        if error.kind is StreamErrorKind.SILENT:
            self._next_try_at = math.inf
            return WatchProblem(str(error), SYNC_HINT)
        if error.kind is StreamErrorKind.EXHAUSTED:
            self._shortage = filesystem.Shortage()
            self._next_try_at = now + self._poll_interval_s * _RETRY_POLLS
            return filesystem.out_of_watches(str(error))
        if error.kind is StreamErrorKind.VANISHED:  # after it was found to be watchable; the next try will leave it out
            if self._vanishing_since is None:
                self._vanishing_since = now
            in_vain_s = now - self._vanishing_since
            self._next_try_at = now + max(_FIRST_RETRY_S, min(in_vain_s * _VANISHED_SHARE, self._poll_interval_s))
            if in_vain_s < _VANISHED_TOLERATED_S:
                return None
            return WatchProblem(f"directories vanish before they can be watched ({error})", SYNC_HINT)
        return self.record_break(str(error))

    def record_break(self, reason: str) -> WatchProblem | None:
        """Record that a stream broke because of ``reason``.

        After several breaks in a minute the next try is delayed, because each restart loses events.
        """
        now = self._clock()
        self._breaks.append(now)
        often = sum(now - when < _BREAKS_WINDOW_S for when in self._breaks) - _BREAKS_TOLERATED
        self._next_try_at = now + _FIRST_RETRY_S
        if often <= 0:
            return None
        self._next_try_at = now + max(self._poll_interval_s, _FIRST_RETRY_S * 2**often)
        return WatchProblem(
            f"watching breaks repeatedly ({reason})",
            "rename or ignore files whose names are not UTF-8, which can cause this",
        )
