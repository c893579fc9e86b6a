"""Limits how many roots have open stores: beyond a limit, those used least recently are closed (at rest).

The open stores of a small root take 17 file descriptors, seven threads and 3 MB. At rest they take none, and opening
them again takes about 10 ms.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

MOST_AWAKE = 16  # more than anybody works in at the same time
_ROOM = 4  # times as many may be open while they are opened faster than others are closed
_LONGEST_WAIT_S = 5.0
_RETRY_S = 0.5  # when all open ones are in use
_END_S = 5.0


class Closable(Protocol):
    """Stores that can be closed for a while."""

    def rest(self) -> bool:
        """Close everything until the next use; return False if something is in use now. Any thread may call."""


class AwakeStores:
    """The stores that are open, least recently used first. A thread closes those beyond ``most``. Thread-safe."""

    def __init__(self, most: int = MOST_AWAKE) -> None:
        self.most = most
        self._changed = threading.Condition()
        self._awake: dict[Closable, None] = {}
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._awake)

    def mark_used(self, stores: Closable) -> None:
        """Record that ``stores`` are open and in use now."""
        with self._changed:
            self._awake.pop(stores, None)
            self._awake[stores] = None
            if len(self._awake) > self.most:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="resting", daemon=True)
                    self._thread.start()
                self._changed.notify_all()

    def forget(self, stores: Closable) -> None:
        """Record that ``stores`` are closed."""
        with self._changed:
            self._awake.pop(stores, None)
            self._changed.notify_all()

    def wait_for_room(self) -> None:
        """Wait while more than four times ``most`` stores are open, but at most five seconds."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._awake) <= _ROOM * self.most, _LONGEST_WAIT_S)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: len(self._awake) > self.most, _END_S):
                    self._thread = None
                    return
                superfluous = list(self._awake)[: len(self._awake) - self.most]
            if sum(map(self._rest, superfluous)) == 0:
                time.sleep(_RETRY_S)

    def _rest(self, stores: Closable) -> bool:
        """Close ``stores``, and return True; if they are in use, try the others first next time."""
        try:
            if stores.rest():
                self.forget(stores)
                return True
        except Exception:
            log.exception("stores_not_closed")
        with self._changed:  # it is in use
            if stores in self._awake:
                self._awake.pop(stores)
                self._awake[stores] = None
        return False


AWAKE = AwakeStores()
"""The open stores of this process."""
