"""The line about all roots that the service manager shows, made again only when a root reported a change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from codeindexd.indexing.progress import Progress
from codeindexd.types import RootState

_UNCHANGED_ROUNDS = 30


class Reporting(Protocol):
    """A root, as far as the line is concerned."""

    @property
    def state(self) -> RootState:
        """Its state now."""

    @property
    def progress(self) -> Progress:
        """How far its indexing is."""


class StatusLine:
    """Makes the line. Asking a thousand roots every two seconds would take half of what an idle daemon may cost."""

    def __init__(self, roots: Callable[[], Sequence[Reporting]]) -> None:
        self._roots = roots
        self._changed = True
        self._rounds = 0
        self._shown = ""

    def changed(self) -> None:
        """Note that a root reported a change."""
        self._changed = True

    def current(self) -> str:
        """Return the line as it is now."""
        roots = self._roots()
        busy = [root for root in roots if root.state is not RootState.FRESH]
        if not busy:
            return f"{len(roots)} roots, all fresh"
        left = sum(root.progress.files_left for root in busy)
        return f"{len(roots)} roots, {len(busy)} {busy[0].state.value}, {left} files to go"

    def update(self) -> str | None:
        """Return the line if it is another than last time; call this every few seconds.

        Every thirtieth time, roots are asked although none reported a change: the line must not stay wrong.
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
