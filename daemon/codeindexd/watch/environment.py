"""Checks every few seconds what sends no events: the root's identity, mounts, rule files outside the root, clocks."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Set
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
from msgspec import Struct

from codeindexd.scan.mount_table import Mount
from codeindexd.scan.relpath import ROOT
from codeindexd.scan.rule_files import RuleFiles
from codeindexd.waiting import Signal
from codeindexd.watch import filesystem, mounts, rounds
from codeindexd.watch.cookies import Cookies

_INTERVAL_S = 2.0


class _EnvironmentState(Struct, frozen=True):
    """What one check found.

    ``root`` is (device, inode), None if the root is not a directory; ``rules`` and ``mounted`` are None if they could
    not be read because no file could be opened.
    """

    root: tuple[int, int] | None
    rules: RuleFiles | None = None
    mounted: frozenset[Mount] | None = None

    @classmethod
    def read(cls, root: Path, rules: RuleFiles) -> _EnvironmentState:
        """Return the present state, with the files of ``rules`` read again. Blocking."""
        identity = filesystem.identity(root)
        try:
            return cls(identity, rules.now(), mounts.TABLE.all_below(root))
        except OSError:
            return cls(identity)


class EnvironmentMonitor:
    """Reports changes of one root's environment; all callbacks run in the event loop.

    - ``on_root(message)``: the root vanished, came back or was replaced.
    - ``on_mounts(points)``: file systems were mounted or unmounted at these paths, relative to the root.
    - ``on_rules(hints)``: rule files changed; ``hints`` are the paths to scan.
    - ``on_cookies(message)``: the cookie directory vanished or was replaced.
    - ``on_jump(reason)``: the machine slept or its clock was set.
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
        self.rules = rules  # as last read by a walk or reported as changed
        self._on_root = on_root
        self._on_mounts = on_mounts
        self._on_rules = on_rules
        self._on_cookies = on_cookies
        self._on_jump = on_jump
        self._mounted: frozenset[Mount] = frozenset()
        self._identity = filesystem.identity(root)
        self._gone = False
        self._check_requested = Signal()
        self._mounts_version = -1
        self._loop: asyncio.AbstractEventLoop

    @property
    def root_exists(self) -> bool:
        """True if the root was a directory at the last check."""
        return self._identity is not None

    def request_check(self, *, gone: bool = False) -> None:
        """Check soon. ``gone``: an event said that the root vanished, so report it even if the directory is back."""
        self._gone |= gone
        self._check_requested.set()

    async def is_unchanged(self) -> bool:
        """Return True if nothing differs from what was last reported; otherwise a report follows soon.

        Needed before answering ``sync``: mounting over a directory sends no event, and neither do changes of some rule
        files. A change of git's index alone is reported here, and True is returned.
        """
        rules = self.rules
        seen = await self._see()
        same = seen.root == self._identity and seen.mounted == self._mounted
        if same and seen.rules is not None and ROOT not in (hints := seen.rules.changed_from(self.rules)):
            if hints:  # git's index: a hint is enough, and the caller waits for its scan
                self.rules = seen.rules if self.rules is rules else self.rules
                self._on_rules(hints)
            return True
        self.request_check()
        return False

    async def _see(self) -> _EnvironmentState:
        return await anyio.to_thread.run_sync(_EnvironmentState.read, self._root, self.rules, abandon_on_cancel=True)

    def check(self, this_round: rounds.Round) -> None:
        """Request a check if something may have changed; as :meth:`rounds.Member.check`."""
        known = self._cookies.identity
        same = (
            not self._gone
            and filesystem.identity(self._root) == self._identity
            and known in (None, filesystem.identity(self._cookies.directory))
            and self.rules.seem_unchanged(this_round.stat)
            and self._mounts_seem_unchanged()
        )
        if not same:
            self._loop.call_soon_threadsafe(self._check_requested.set)

    def _mounts_seem_unchanged(self) -> bool:
        version = mounts.TABLE.last_version()
        if version != self._mounts_version:  # containers and other programs mount elsewhere all the time
            try:
                if mounts.TABLE.all_below(self._root) != self._mounted:
                    return False
            except OSError:
                return False
            self._mounts_version = version
        return True

    def report_jump(self, reason: str) -> None:
        """Report that the machine slept or its clock was set; as :meth:`rounds.Member.report_jump`."""
        self._loop.call_soon_threadsafe(self._on_jump, reason)

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Check until cancelled. ``task_status`` is set once all later changes will be reported."""
        self._loop = asyncio.get_running_loop()
        self._mounts_version = mounts.TABLE.last_version()
        self._mounted = (await self._see()).mounted or frozenset()
        # a network file system whose server does not answer must not delay the checks of other roots
        alone = bool(await anyio.to_thread.run_sync(filesystem.reason_to_poll, self._root))
        if not alone:
            rounds.SHARED.join(self)
        task_status.started()
        try:
            while True:
                with anyio.move_on_after(_INTERVAL_S if alone else math.inf):
                    await self._check_requested.wait()
                rules = self.rules
                self._mounts_version = mounts.TABLE.last_version()
                self._report_changes(await self._see(), rules)
        finally:
            rounds.SHARED.leave(self)

    def _report_changes(self, seen: _EnvironmentState, rules: RuleFiles) -> None:
        """Report what changed; ``rules`` were current when ``seen`` was read."""
        if seen.mounted is not None and seen.mounted != self._mounted:
            points = {mounts.relative_point(mount, self._root) for mount in seen.mounted ^ self._mounted}
            self._mounted = seen.mounted
            self._on_mounts(points)
        if seen.root != self._identity or self._gone:
            self._gone = False
            self._identity = seen.root
            self._on_root("the root was replaced" if seen.root else "the root vanished")
        elif self._cookies.identity not in (None, filesystem.identity(self._cookies.directory)):
            self._on_cookies("the cookie directory vanished")
        if seen.rules is not None and self.rules is rules:  # otherwise a walk read newer ones meanwhile
            self.rules = seen.rules
            if hints := seen.rules.changed_from(rules):
                self._on_rules(hints)
