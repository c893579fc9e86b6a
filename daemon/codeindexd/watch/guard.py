"""Looks every few seconds at what sends no events: the root's identity, the clocks, the cookie directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio

from codeindexd.watch import filesystem
from codeindexd.watch.cookies import Cookies

_EVERY_S = 2.0


class Guard:
    """Knows which directory the root is; all callbacks run in the event loop.

    ``on_root(message)`` is called when the root vanished, came back or is another directory, ``on_cookies(message)``
    when the cookie directory is not the one that is watched, ``on_jump(reason)`` after sleep or a set clock.
    """

    def __init__(
        self,
        root: Path,
        cookies: Cookies,
        *,
        on_root: Callable[[str], None],
        on_cookies: Callable[[str], None],
        on_jump: Callable[[str], None],
    ) -> None:
        self._root = root
        self._cookies = cookies
        self._on_root = on_root
        self._on_cookies = on_cookies
        self._on_jump = on_jump
        self._identity = filesystem.identity(root)
        self._gone = False
        self._look = anyio.Event()

    @property
    def root_exists(self) -> bool:
        """Whether there was a directory at the last look."""
        return self._identity is not None

    def look(self, *, gone: bool = False) -> None:
        """Look now; ``gone``: an event said that the root went, so it is another one even if it looks the same."""
        self._gone |= gone
        self._look.set()

    async def is_same(self) -> bool:
        """Whether the root still is the directory that is watched: what is mounted over it sends no event."""
        if await self._found() == self._identity:
            return True
        self.look()
        return False

    async def _found(self) -> tuple[int, int] | None:
        return await anyio.to_thread.run_sync(filesystem.identity, self._root, abandon_on_cancel=True)

    async def serve(self) -> None:
        """Look until cancelled."""
        clocks = filesystem.Clocks()
        while True:
            with anyio.move_on_after(_EVERY_S):
                await self._look.wait()
            self._look = anyio.Event()
            found = await self._found()
            if found != self._identity or self._gone:
                self._gone = False
                self._identity = found
                self._on_root("the root is another directory" if found else "the root vanished")
            elif self._cookies.identity not in (None, filesystem.identity(self._cookies.directory)):
                self._on_cookies("the cookie directory vanished")
            if jump := clocks.jump():
                self._on_jump(jump)
