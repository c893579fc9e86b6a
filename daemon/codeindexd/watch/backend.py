"""The configured ways to notice changes, and the source of events of each."""

from __future__ import annotations

import enum

from codeindexd.watch import inotify, portable
from codeindexd.watch.stream import SOURCE, EventSource


class Backend(enum.StrEnum):
    """How changes are noticed, as configured."""

    AUTO = "auto"
    INOTIFY = "inotify"
    WATCHFILES = "watchfiles"
    POLL = "poll"

    @property
    def source(self) -> EventSource:
        """The source of events; unused with POLL."""
        if self is Backend.INOTIFY:
            return inotify.SHARED
        return portable.watch if self is Backend.WATCHFILES else SOURCE
