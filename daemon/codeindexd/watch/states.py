"""The states of a watcher and their transitions."""

from __future__ import annotations

import enum


class WatchState(enum.Enum):
    """How changes below the root are found. The value says why some may be missed; "" if none are.

    ::

        UNWATCHED -- a main stream was started ------------------> WATCHED
        WATCHED ---- a stream broke, or events were lost --------> UNWATCHED, until streams are replaced
        either ----- streams cannot be started, or keep breaking > POLLED
        POLLED ----- everything that can be watched is watched --> WATCHED

    A watcher that is configured to poll is always POLLED.
    """

    UNWATCHED = "the root is not watched at the moment"
    WATCHED = ""
    POLLED = "the root is polled"
