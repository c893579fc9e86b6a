"""The shutdown of one root: long work checks for it, and waiting requests fail at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from codeindexd.errors import FailedError


class Shutdown:
    """The state of a shutdown, which begins when the root is stopped or fails.

    Methods must be called in one event loop; :attr:`begun` may be read in any thread.
    """

    def __init__(self) -> None:
        self.begun = False
        self._waiting: set[anyio.CancelScope] = set()

    def begin(self) -> None:
        """Begin the shutdown, and end every wait in :meth:`limit`."""
        self.begun = True
        for scope in list(self._waiting):
            scope.cancel()

    async def begin_on_cancellation(self) -> None:
        """Wait to be cancelled, then begin the shutdown, so that threads that the root waits for see it and stop."""
        try:
            await anyio.sleep_forever()
        finally:
            self.begin()

    @contextmanager
    def limit(self, timeout_s: float, root: str) -> Iterator[anyio.CancelScope]:
        """Limit the waits in the block to ``timeout_s`` seconds. Raises FailedError if the root stops meanwhile.

        ``root`` is its path, for the message. Provides the cancel scope, which tells whether the time ran out.
        """
        with anyio.move_on_after(timeout_s) as scope:
            self._waiting.add(scope)
            try:
                yield scope
            finally:
                self._waiting.discard(scope)
        if self.begun:
            raise FailedError(f"{root} stopped before the request finished", hint="try again; it restarts by itself")
