"""The clients that subscribed to roots, and what they are sent, at a bounded rate."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Protocol

import anyio

from codeindexd.daemon import responses
from codeindexd.protocol.places import path_to_json
from codeindexd.roots import RootEvent
from codeindexd.waiting import Broadcast

_PROGRESS_EVERY_S = 0.1
_WAIT_S = 1.0


class Subscriber(Protocol):
    """Who takes notifications: a connection of the server. ``notify`` never blocks; a slow reader is dropped."""

    def notify(self, method: str, params: dict[str, Any]) -> None:
        """Queue one notification."""


class Subscriptions:
    """Passes the events of roots on. ``progress`` is sent at most ten times a second, the rest as it happens."""

    def __init__(self) -> None:
        self._subscribers: dict[Subscriber, frozenset[str] | None] = {}
        self._events: defaultdict[str, Broadcast] = defaultdict(Broadcast)  # by root id
        self._last_progress: dict[str, float] = {}

    def subscribe(self, subscriber: Subscriber, root_ids: Sequence[str] | None) -> None:
        """Send ``subscriber`` the events of these roots, None for all; replaces its earlier subscription."""
        self._subscribers[subscriber] = None if root_ids is None else frozenset(root_ids)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Send ``subscriber`` no more events; harmless when it never subscribed."""
        self._subscribers.pop(subscriber, None)

    async def wait(self, root_id: str) -> None:
        """Wait for the next event of a root, or a second, since some states change by time alone."""
        with anyio.move_on_after(_WAIT_S):
            await self._events[root_id].wait()

    def publish(self, event: RootEvent) -> None:
        """Send an event to its subscribers."""
        root_id = event.spec.id
        self._events[root_id].notify_all()
        if not self._subscribers:
            return
        now = time.monotonic()
        place = path_to_json(event.spec.raw, key="root")
        state = event.state.value
        self._send(root_id, event.kind.value, {**place, "clock": event.clock, "state": state})
        if now - self._last_progress.get(root_id, 0.0) >= _PROGRESS_EVERY_S or event.progress.is_idle:
            self._last_progress[root_id] = now
            self._send(root_id, "progress", {**place, "state": state, **responses.progress_entry(event.progress)})

    def _send(self, root_id: str, method: str, params: dict[str, Any]) -> None:
        for subscriber, root_ids in list(self._subscribers.items()):
            if root_ids is None or root_id in root_ids:
                subscriber.notify(method, params)
