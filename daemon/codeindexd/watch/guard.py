"""Looks every few seconds at what sends no events: the root's identity, rules elsewhere, the cookies' place, clocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio

from codeindexd.scan import RuleFiles
from codeindexd.watch import filesystem
from codeindexd.watch.cookies import Cookies

_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one look found; ``rules`` is None when this process could open nothing."""

    root: tuple[int, int] | None
    rules: RuleFiles | None

    @classmethod
    def now(cls, root: Path, rules: RuleFiles) -> _Seen:
        """Blocking."""
        try:
            return cls(filesystem.identity(root), rules.now())
        except OSError:
            return cls(filesystem.identity(root), None)


class Guard:
    """Knows which directory the root is, and the rules it is walked by; all callbacks run in the event loop.

    ``on_root(message)`` is called when the root vanished, came back or is another directory, ``on_rules()`` when a file
    with rules changed, ``on_cookies(message)`` when the cookie directory is not the one that is watched,
    ``on_jump(reason)`` after sleep or a set clock.
    """

    def __init__(
        self,
        root: Path,
        cookies: Cookies,
        rules: RuleFiles,
        *,
        on_root: Callable[[str], None],
        on_rules: Callable[[], None],
        on_cookies: Callable[[str], None],
        on_jump: Callable[[str], None],
    ) -> None:
        self._root = root
        self._cookies = cookies
        self.rules = rules  # as they were when they were read, or when a change of them was told
        self._on_root = on_root
        self._on_rules = on_rules
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
        """Whether the root still is the directory that is watched, and its rules are those that are known.

        What is mounted over it sends no event, nor do all of the files with rules.
        """
        seen = await self._see()
        if seen.root == self._identity and seen.rules is not None and seen.rules.agree_with(self.rules):
            return True
        self.look()
        return False

    async def _see(self) -> _Seen:
        return await anyio.to_thread.run_sync(_Seen.now, self._root, self.rules, abandon_on_cancel=True)

    async def serve(self) -> None:
        """Look until cancelled."""
        clocks = filesystem.Clocks()
        while True:
            with anyio.move_on_after(_EVERY_S):
                await self._look.wait()
            self._look = anyio.Event()
            rules = self.rules
            seen = await self._see()
            if seen.root != self._identity or self._gone:
                self._gone = False
                self._identity = seen.root
                self._on_root("the root is another directory" if seen.root else "the root vanished")
            elif self._cookies.identity not in (None, filesystem.identity(self._cookies.directory)):
                self._on_cookies("the cookie directory vanished")
            if seen.rules is not None and self.rules is rules:  # else a walk has just read them
                self.rules = seen.rules
                if not seen.rules.agree_with(rules):
                    self._on_rules()
            if jump := clocks.jump():
                self._on_jump(jump)
