from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from codeindexd.errors import CodeindexError, FailedError, StoreFullError
from codeindexd.roots import maintenance
from support.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Quiet:
    """As much of a root as upkeep sees: nothing to do, and stores that are maintained as told."""

    caught_up = True
    stopping = False

    def __init__(self, outcome: Callable[[int], bool]) -> None:
        self.indexer = self.current = self.work = self
        self.idle = True
        self.generation = 1
        self.rounds = 0
        self.problems: list[str] = []
        self._outcome = outcome

    async def maintain(self, should_stop: Callable[[], bool]) -> bool:
        self.rounds += 1
        return self._outcome(self.rounds)

    def set_problem(self, key: str, message: str, hint: str) -> None:
        self.problems.append(message)


async def rounds_of(root: Any, *, then: Callable[[], None] = lambda: None) -> list[int]:
    """How many rounds of upkeep there are until it rests, and how many after ``then``."""
    found = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(maintenance.keep_tidy, root)
        for _ in range(2):
            before = -1
            while before != root.rounds:
                before = root.rounds
                await anyio.sleep(0.1)  # time for a hundred rounds: that there are no more is what is tested
            found.append(root.rounds)
            then()
        tasks.cancel_scope.cancel()
    return found


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "_EVERY_S", 0.001)


async def test_stores_are_maintained_once_a_generation() -> None:
    root = Quiet(lambda _: True)

    def commit() -> None:
        root.generation += 1

    assert await rounds_of(root, then=commit) == [1, 2]


async def test_what_is_not_done_is_tried_again_for_a_while_and_anew_after_a_commit() -> None:
    root = Quiet(lambda _: False)

    def commit() -> None:
        root.generation += 1

    assert await rounds_of(root, then=commit) == [6, 12]


@pytest.mark.parametrize("error", [StoreFullError("no room"), FailedError("not now")])
async def test_trouble_is_told_and_tried_again(error: CodeindexError) -> None:
    def outcome(number: int) -> bool:
        if number < 3:
            raise error
        return True

    root = Quiet(outcome)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(maintenance.keep_tidy, root)
        await eventually(lambda: root.problems == [error.message, error.message, ""])
        tasks.cancel_scope.cancel()
