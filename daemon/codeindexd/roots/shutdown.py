"""The end of a root: what takes long asks for it, and those who wait are told instead of waiting on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from codeindexd.errors import FailedError


class Shutdown:
    """Begins once, when the root is stopped or fails; all on one event loop, but for reading :attr:`begun`."""

    def __init__(self) -> None:
        self.begun = False
        self._waiting: set[anyio.CancelScope] = set()

    def begin(self) -> None:
        """The root ends now."""
        self.begun = True
        for scope in list(self._waiting):
            scope.cancel()

    async def note(self) -> None:
        """Let the end begin when this is cancelled: the root waits for threads, and they ask whether to stop."""
        try:
            await anyio.sleep_forever()
        finally:
            self.begin()

    @contextmanager
    def limit(self, timeout_s: float, what: str) -> Iterator[anyio.CancelScope]:
        """A wait of at most ``timeout_s`` seconds for the root ``what``. Raises FailedError when the root ends."""
        with anyio.move_on_after(timeout_s) as scope:
            self._waiting.add(scope)
            try:
                yield scope
            finally:
                self._waiting.discard(scope)
        if self.begun:
            raise FailedError(f"{what} ended while it was waited for", hint="ask again: it starts again by itself")
