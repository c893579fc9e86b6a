"""The line about all roots that the service manager shows, computed again only after a root reported a change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from codeindexd.indexing.progress import Progress
from codeindexd.quantities import quantity
from codeindexd.types import RootState

_UNCHANGED_ROUNDS = 30


class RootLike(Protocol):
    """The part of a root that the line needs."""

    @property
    def state(self) -> RootState:
        """The present state."""

    @property
    def progress(self) -> Progress:
        """The progress of indexing."""


class StatusLine:
    """Computes the line. Asking a thousand roots every two seconds would take half of an idle daemon's CPU budget."""

    def __init__(self, roots: Callable[[], Sequence[RootLike]]) -> None:
        self._roots = roots
        self._changed = True
        self._rounds = 0
        self._shown = ""

    def mark_changed(self) -> None:
        """Record that a root reported a change."""
        self._changed = True

    def current(self) -> str:
        """Return the line for the present states of the roots."""
        roots = self._roots()
        busy = [root for root in roots if root.state is not RootState.FRESH]
        if not busy:
            return f"{quantity(len(roots), 'root')}, all fresh"
        left = sum(root.progress.files_left for root in busy)
        return f"{quantity(len(roots), 'root')}, {len(busy)} {busy[0].state.value}, {quantity(left, 'file')} to go"

    def update(self) -> str | None:
        """Return the line if it has changed since the last call, else None. Call this every few seconds.

        Every thirtieth call asks the roots even if none reported a change, so that a wrong line does not stay.
        """
        self._rounds += 1
        if not self._changed and self._rounds < _UNCHANGED_ROUNDS:
            return None
        self._changed, self._rounds = False, 0
        line = self.current()
        if line == self._shown:
            return None
        self._shown = line
        return line
