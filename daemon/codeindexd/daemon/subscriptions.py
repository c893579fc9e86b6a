"""Sends the events of roots to the clients that subscribed to them, at a bounded rate."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import anyio

from codeindexd.daemon.root_responses import progress_entry
from codeindexd.indexing.progress import Progress
from codeindexd.protocol.places import path_to_json
from codeindexd.roots import Root, RootEvent
from codeindexd.roots.registry import RootSpec
from codeindexd.types import RootState
from codeindexd.waiting import Broadcast

_PROGRESS_EVERY_S = 0.1
_WAIT_S = 1.0


class Subscriber(Protocol):
    """A receiver of notifications, such as a connection. ``notify`` never blocks; a slow reader is dropped."""

    def notify(self, method: str, params: dict[str, Any]) -> None:
        """Queue one notification."""


class Subscriptions:
    """Forwards the events of roots. ``progress`` is sent at most ten times a second for a root, the rest at once."""

    def __init__(self) -> None:
        self._subscribers: dict[Subscriber, frozenset[str] | None] = {}
        self._events: defaultdict[str, Broadcast] = defaultdict(Broadcast)  # by root id
        self._last_progress: dict[str, float] = {}

    def subscribe(self, subscriber: Subscriber, root_ids: Sequence[str] | None) -> None:
        """Send ``subscriber`` the events of these roots, None for all; replaces its earlier subscription."""
        self._subscribers[subscriber] = None if root_ids is None else frozenset(root_ids)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Send ``subscriber`` no more events. Does nothing if it is not subscribed."""
        self._subscribers.pop(subscriber, None)

    @contextlib.contextmanager
    def following(self, subscriber: Subscriber, root_ids: Sequence[str]) -> Iterator[None]:
        """Send ``subscriber`` the events of these roots inside the block, in addition to its subscription."""
        before = self._subscribers.get(subscriber, frozenset())
        self._subscribers[subscriber] = None if before is None else before.union(root_ids)
        try:
            yield
        finally:
            if subscriber in self._subscribers:  # else it unsubscribed, or is gone
                if before is None or before:
                    self._subscribers[subscriber] = before
                else:
                    del self._subscribers[subscriber]

    async def wait(self, root_id: str) -> None:
        """Wait for the next event of a root, but only a second, since some states change by time alone."""
        with anyio.move_on_after(_WAIT_S):
            await self._events[root_id].wait()

    def publish(self, event: RootEvent) -> None:
        """Send an event to its subscribers, and wake all that :meth:`wait` for one."""
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
            self._send_progress(event.spec, event.state, event.progress)

    def repeat_progress(self, root: Root) -> None:
        """Send the progress of a root to its subscribers once more, as long as nothing happens that reports it."""
        self._send_progress(root.spec, root.state, root.progress)

    def _send_progress(self, spec: RootSpec, state: RootState, progress: Progress) -> None:
        place = path_to_json(spec.raw, key="root")
        entry = {**place, "activity": "index", "state": state.value, **progress_entry(progress)}
        self._send(spec.id, "progress", entry)

    def _send(self, root_id: str, method: str, params: dict[str, Any]) -> None:
        for subscriber, root_ids in list(self._subscribers.items()):
            if root_ids is None or root_id in root_ids:
                subscriber.notify(method, params)


class VerifyProgress:
    """Notifies a subscriber of the progress of verifying a root, at most ten times a second."""

    def __init__(self, subscriber: Subscriber, root: Root) -> None:
        self._subscriber = subscriber
        self._root = root
        self._started = time.monotonic()
        self._last = 0.0

    def report(self, files_done: int, files_total: int, chunks_done: int) -> None:
        """Notify the subscriber, unless the last time was too recent. A run begins with a ``files_done`` of 0."""
        now = time.monotonic()
        if files_done == 0:
            self._started = now
        elif now - self._last < _PROGRESS_EVERY_S and files_done < files_total:
            return
        self._last = now
        left = files_total - files_done
        progress = Progress(files_done, left, chunks_done, now - self._started, is_idle=not left)
        place = path_to_json(self._root.spec.raw, key="root")
        entry = {**place, "activity": "verify", "state": self._root.state.value, **progress_entry(progress)}
        self._subscriber.notify("progress", entry)
