"""The shutdown of one root: long work checks for it, and waiting requests fail at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from codeindexd.errors import FailedError


class Shutdown:
    """Begins once, when the root is stopped or fails.

    Everything runs on one event loop; only :attr:`begun` may be read by other threads.
    """

    def __init__(self) -> None:
        self.begun = False
        self._waiting: set[anyio.CancelScope] = set()

    def begin(self) -> None:
        """Begin, and release everybody in :meth:`limit`."""
        self.begun = True
        for scope in list(self._waiting):
            scope.cancel()

    async def begin_on_cancellation(self) -> None:
        """Wait to be cancelled, and begin then: a root that ends waits for threads, which ask whether to stop."""
        try:
            await anyio.sleep_forever()
        finally:
            self.begin()

    @contextmanager
    def limit(self, timeout_s: float, root: str) -> Iterator[anyio.CancelScope]:
        """Limit a wait for ``root`` to ``timeout_s`` seconds. Raises FailedError when the root ends meanwhile."""
        with anyio.move_on_after(timeout_s) as scope:
            self._waiting.add(scope)
            try:
                yield scope
            finally:
                self._waiting.discard(scope)
        if self.begun:
            raise FailedError(f"{root} stopped before the request finished", hint="try again; it restarts by itself")
