"""Waits until what was changed before a request can be searched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Final

import anyio

from codeindexd.daemon.subscriptions import Subscriptions
from codeindexd.errors import FailedError, TimedOutError, UsageError
from codeindexd.roots import Root, SyncResult
from codeindexd.roots.supervisor import RootSupervisor
from codeindexd.waiting import run_all

SEARCH_SYNC_TIMEOUT_S: Final = 30.0
_RAISE_PRIORITY_AFTER_S = 0.5


class Synchronizer:
    """Syncs roots, and waits for generations. ``at_normal_priority`` raises the workers' priority inside its block."""

    def __init__(
        self,
        roots: RootSupervisor,
        subscriptions: Subscriptions,
        *,
        at_normal_priority: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._roots = roots
        self._subscriptions = subscriptions
        self._at_normal_priority = at_normal_priority

    async def sync_before_search(self, roots: Sequence[Root], *, named: bool) -> None:
        """Sync the ``roots`` to search. Those that cannot be synced are left out unless the request ``named`` roots.

        Raises TimedOutError after half a minute.
        """
        await self.sync_all(roots if named else that_can_be_synced(roots), SEARCH_SYNC_TIMEOUT_S)

    async def sync_all(self, roots: Sequence[Root], timeout_s: float) -> list[SyncResult]:
        """Sync all roots concurrently, and return the results in the same order.

        If that takes long, the workers get normal priority. They do not get it from the start, because that replaces
        worker processes, and nearly every sync needs no worker.
        """
        done = anyio.Event()

        async def sync() -> list[SyncResult]:
            try:
                return await run_all(partial(root.sync, timeout_s) for root in roots)
            finally:
                done.set()

        async def raise_priority() -> list[SyncResult]:
            with anyio.move_on_after(_RAISE_PRIORITY_AFTER_S):
                await done.wait()
            if not done.is_set():
                with self._at_normal_priority():
                    await done.wait()
            return []

        synced, _ = await run_all([sync, raise_priority])
        return synced

    async def wait_for_clock(self, clock: str, timeout_s: float) -> str:
        """Wait until each root in ``clock`` has reached its generation, and return the clock of these roots then.

        Raises UsageError, FailedError and TimedOutError.
        """
        wanted = _parse_clock(clock)
        roots = {root.spec.id: root for root in self._roots.running_roots()}
        if missing := wanted.keys() - roots.keys():
            raise FailedError(
                f"the clock names a root that was removed or is not running: {min(missing)}",
                hint="get a new clock: codeindex sync",
            )
        with anyio.move_on_after(timeout_s) as scope:
            for identity, generation in wanted.items():
                while roots[identity].generation < generation:
                    await self._subscriptions.wait(identity)
        if scope.cancelled_caught:
            raise TimedOutError(f"the clock {clock} was not reached in {timeout_s:g} s", hint="use a longer timeout")
        return ",".join(roots[identity].clock for identity in wanted)


def that_can_be_synced(roots: Sequence[Root]) -> list[Root]:
    """Return the roots for which a request about all roots waits.

    One that is missing or paused must not fail such a request; the answer says that it is.
    """
    return [root for root in roots if root.obstacle_to_sync is None]


def _parse_clock(clock: str) -> dict[str, int]:
    """Return the generations in a clock by root id. Raises UsageError."""
    try:
        return {identity: int(number) for identity, _, number in (part.partition(":") for part in clock.split(","))}
    except ValueError:
        raise UsageError(
            f"invalid clock: {clock!r}", hint="pass a clock from an answer, or get a new one: codeindex sync"
        ) from None
