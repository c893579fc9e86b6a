"""Tells subscribers what happens to roots, at a bounded rate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

import anyio

from codeindexd.daemon import responses
from codeindexd.protocol.places import path_to_json
from codeindexd.roots import Root

_PROGRESS_EVERY_S = 0.1


class Subscriber(Protocol):
    """Who takes notifications: a connection of the server. ``notify`` never blocks; a slow reader is dropped."""

    def notify(self, method: str, params: dict[str, Any]) -> None:
        """Queue one notification."""


class Subscriptions:
    """Fans out what roots report. ``progress`` is sent at most ten times a second, the rest as it happens."""

    def __init__(self) -> None:
        self._subscribers: dict[Subscriber, frozenset[str] | None] = {}
        self._changed: dict[str, anyio.Event] = {}
        self._last_progress: dict[str, float] = {}

    def subscribe(self, subscriber: Subscriber, identities: Sequence[str] | None) -> None:
        """Tell ``subscriber`` of these roots, or of all when None; replaces what it subscribed to before."""
        self._subscribers[subscriber] = None if identities is None else frozenset(identities)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Stop telling ``subscriber``; harmless when it never subscribed."""
        self._subscribers.pop(subscriber, None)

    async def changed(self, root: Root) -> None:
        """Wait for the next report of ``root``; a second at most, since time itself changes some states."""
        event = self._changed.setdefault(root.spec.id, anyio.Event())
        with anyio.move_on_after(1.0):
            await event.wait()

    def report(self, what: str, root: Root) -> None:
        """``root`` has a new generation or state."""
        identity = root.spec.id
        if event := self._changed.pop(identity, None):
            event.set()
        if not self._subscribers:
            return
        now = time.monotonic()
        place = path_to_json(root.spec.raw, key="root")
        self._send(identity, what, {**place, "clock": root.clock, "state": root.state.value})
        if now - self._last_progress.get(identity, 0.0) >= _PROGRESS_EVERY_S or root.work.idle:
            self._last_progress[identity] = now
            self._send(identity, "progress", {**place, "state": root.state.value, **responses.progress(root)})

    def _send(self, identity: str, method: str, params: dict[str, Any]) -> None:
        for subscriber, identities in list(self._subscribers.items()):
            if identities is None or identity in identities:
                subscriber.notify(method, params)
