"""Checks every few seconds what sends no events: the root's identity, mounts, rule files outside the root, clocks."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread

from codeindexd.scan.relpath import ROOT
from codeindexd.scan.rule_files import RuleFiles
from codeindexd.waiting import Signal
from codeindexd.watch import filesystem, mounts, rounds
from codeindexd.watch.cookies import Cookies

_INTERVAL_S = 2.0


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one check found; ``rules`` and ``mounted`` are None if no file could be opened."""

    root: tuple[int, int] | None
    rules: RuleFiles | None = None
    mounted: frozenset[mounts.Mount] | None = None

    @classmethod
    def now(cls, root: Path, rules: RuleFiles) -> _Seen:
        """Check everything now. Blocking."""
        identity = filesystem.identity(root)
        try:
            return cls(identity, rules.now(), mounts.TABLE.below(root))
        except OSError:
            return cls(identity)


class EnvironmentMonitor:
    """Reports changes of one root's environment; all callbacks run in the event loop.

    ``on_root(message)`` is called when the root vanished, came back or was replaced, ``on_mounts(points)`` when file
    systems were mounted at these paths below it or unmounted, ``on_rules(hints)`` when a rule file changed,
    ``on_cookies(message)`` when the cookie directory was replaced, ``on_jump(reason)`` after sleep or a set clock.
    """

    def __init__(
        self,
        root: Path,
        cookies: Cookies,
        rules: RuleFiles,
        *,
        on_root: Callable[[str], None],
        on_mounts: Callable[[Set[bytes]], None],
        on_rules: Callable[[Set[bytes]], None],
        on_cookies: Callable[[str], None],
        on_jump: Callable[[str], None],
    ) -> None:
        self._root = root
        self._cookies = cookies
        self.rules = rules  # as they were when they were read, or when their change was reported
        self._on_root = on_root
        self._on_mounts = on_mounts
        self._on_rules = on_rules
        self._on_cookies = on_cookies
        self._on_jump = on_jump
        self._mounted: frozenset[mounts.Mount] = frozenset()
        self._identity = filesystem.identity(root)
        self._gone = False
        self._look_now = Signal()
        self._mounts_version = -1
        self._loop: asyncio.AbstractEventLoop

    @property
    def root_exists(self) -> bool:
        """True if the root was a directory at the last check."""
        return self._identity is not None

    def look(self, *, gone: bool = False) -> None:
        """Check now. ``gone``: an event said that the root vanished, so it was replaced even if it looks the same."""
        self._gone |= gone
        self._look_now.set()

    async def is_unchanged(self) -> bool:
        """Return True if nothing differs from what was last reported; otherwise a report follows soon.

        Mounting over a directory sends no event, and neither do changes of some rule files.
        """
        rules = self.rules
        seen = await self._see()
        same = seen.root == self._identity and seen.mounted == self._mounted
        if same and seen.rules is not None and ROOT not in (hints := seen.rules.changed_from(self.rules)):
            if hints:  # git's index: a hint of that is enough, and the caller waits for it
                self.rules = seen.rules if self.rules is rules else self.rules
                self._on_rules(hints)
            return True
        self.look()
        return False

    async def _see(self) -> _Seen:
        return await anyio.to_thread.run_sync(_Seen.now, self._root, self.rules, abandon_on_cancel=True)

    def check(self, now: rounds.Round) -> None:
        """Look closer if something may have changed. Called in the thread of the rounds; raises RuntimeError."""
        known = self._cookies.identity
        same = (
            not self._gone
            and filesystem.identity(self._root) == self._identity
            and known in (None, filesystem.identity(self._cookies.directory))
            and self.rules.seem_unchanged(now.stat)
            and self._mounts_seem_unchanged()
        )
        if not same:
            self._loop.call_soon_threadsafe(self._look_now.set)

    def _mounts_seem_unchanged(self) -> bool:
        version = mounts.TABLE.last_version()
        if version != self._mounts_version:  # containers and other programs mount elsewhere all the time
            try:
                if mounts.TABLE.below(self._root) != self._mounted:
                    return False
            except OSError:
                return False
            self._mounts_version = version
        return True

    def report_jump(self, reason: str) -> None:
        """Pass on that the machine slept or its clock was set. Called in the thread of the rounds."""
        self._loop.call_soon_threadsafe(self._on_jump, reason)

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Check until cancelled; started when changes from now on will be reported."""
        self._loop = asyncio.get_running_loop()
        self._mounts_version = mounts.TABLE.last_version()
        self._mounted = (await self._see()).mounted or frozenset()
        # a server that does not answer must not keep the others from being checked
        alone = bool(await anyio.to_thread.run_sync(filesystem.reason_to_poll, self._root))
        if not alone:
            rounds.SHARED.join(self)
        task_status.started()
        try:
            while True:
                with anyio.move_on_after(_INTERVAL_S if alone else math.inf):
                    await self._look_now.wait()
                rules = self.rules
                self._mounts_version = mounts.TABLE.last_version()
                self._report_changes(await self._see(), rules)
        finally:
            rounds.SHARED.leave(self)

    def _report_changes(self, seen: _Seen, rules: RuleFiles) -> None:
        """Report what changed; ``rules`` are those that ``seen`` was compared with."""
        if seen.mounted is not None and seen.mounted != self._mounted:
            points = {mounts.relative(mount, self._root) for mount in seen.mounted ^ self._mounted}
            self._mounted = seen.mounted
            self._on_mounts(points)
        if seen.root != self._identity or self._gone:
            self._gone = False
            self._identity = seen.root
            self._on_root("the root was replaced" if seen.root else "the root vanished")
        elif self._cookies.identity not in (None, filesystem.identity(self._cookies.directory)):
            self._on_cookies("the cookie directory vanished")
        if seen.rules is not None and self.rules is rules:  # otherwise a walk has just read them
            self.rules = seen.rules
            if hints := seen.rules.changed_from(rules):
                self._on_rules(hints)
