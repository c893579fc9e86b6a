"""A sync that takes long gets normal priority; one that does not leaves the processes alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import anyio
import pytest

from codeindexd.daemon import synchronizer
from codeindexd.daemon.synchronizer import Synchronizer
from codeindexd.errors import TimedOutError
from codeindexd.roots import Root
from support.waiting import eventually

pytestmark = pytest.mark.anyio


class Waiting:
    """Counts who is waited for now, and who ever was."""

    def __init__(self) -> None:
        self.now = self.ever = 0

    @contextmanager
    def at_normal_priority(self) -> Iterator[None]:
        self.now += 1
        self.ever += 1
        try:
            yield
        finally:
            self.now -= 1


class SlowRoot:
    """A root whose sync ends when it is told to, with ``error`` if there is one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.finish = anyio.Event()
        self._error = error

    async def sync(self, timeout_s: float) -> str:
        await self.finish.wait()
        if self._error is not None:
            raise self._error
        return "synced"


async def sync(waiting: Waiting, root: SlowRoot) -> object:
    unused: Any = None
    made = Synchronizer(unused, unused, at_normal_priority=waiting.at_normal_priority)
    return await made.sync_all([cast("Root", root)], 1.0)


async def test_a_short_sync_is_not_waited_for() -> None:
    waiting, root = Waiting(), SlowRoot()
    root.finish.set()
    assert await sync(waiting, root) == ["synced"]
    assert waiting.ever == 0


@pytest.mark.parametrize("error", [None, TimedOutError("it took too long")])
async def test_a_long_sync_is_waited_for_until_it_ends(
    monkeypatch: pytest.MonkeyPatch, error: TimedOutError | None
) -> None:
    monkeypatch.setattr(synchronizer, "_RAISE_PRIORITY_AFTER_S", 0.0)
    waiting, root = Waiting(), SlowRoot(error)
    outcome: list[object] = []

    async def run() -> None:
        try:
            outcome.append(await sync(waiting, root))
        except TimedOutError as raised:
            outcome.append(raised)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await eventually(lambda: waiting.now == 1)
        root.finish.set()
    assert outcome == [error or ["synced"]]
    assert waiting.now == 0
