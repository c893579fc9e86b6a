from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest

from codeindexd.roots.debounce import Debouncer
from codeindexd.roots.hints import Hints

pytestmark = pytest.mark.anyio


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def hints(clock: Callable[[], float], debounce_s: float = 0.05) -> Hints:
    return Hints(Debouncer(debounce_s, 10.0, 1000), later_s=0.5, clock=clock)


async def test_a_batch_is_returned_once_it_settled() -> None:
    clock = Clock()
    collected = hints(clock)
    collected.add([b"a", b"b"])
    assert await collected.next_batch(0.0) is None, "not quiet for long enough"
    clock.now += 0.06
    taken = await collected.next_batch(0.0)
    assert taken is not None
    number, batch = taken
    assert batch == {b"a", b"b"}
    assert collected.are_outstanding, "it is being scanned"
    collected.mark_done(number)
    assert not collected.are_outstanding


async def test_later_hints_are_not_early_and_delay_no_others() -> None:
    clock = Clock()
    collected = hints(clock)
    collected.add_later([b"young"])
    collected.add([b"saved"])
    clock.now += 0.06
    taken = await collected.next_batch(0.0)
    assert taken is not None
    assert taken[1] == {b"saved"}
    collected.mark_done(taken[0])
    clock.now += 0.5
    assert await collected.next_batch(0.0) is None
    clock.now += 0.06
    taken = await collected.next_batch(0.0)
    assert taken is not None
    assert taken[1] == {b"young"}


async def test_held_hints_are_returned_after_release() -> None:
    clock = Clock()
    collected = hints(clock)
    collected.hold()
    collected.add([b"a"])
    clock.now += 5
    assert await collected.next_batch(0.0) is None
    collected.release()
    taken = await collected.next_batch(0.0)
    assert taken is not None
    assert taken[1] == {b"a"}


async def test_flushed_waits_for_earlier_hints_without_settling() -> None:
    collected = hints(Clock(), debounce_s=9.0)
    collected.add([b"a"])
    order: list[str] = []

    async def consume() -> None:
        while True:
            taken = await collected.next_batch(3600.0)
            assert taken is not None
            order.append(f"took {sorted(taken[1])}")
            collected.add([b"during"])
            await anyio.lowlevel.checkpoint()
            collected.mark_done(taken[0])
            order.append("done")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(consume)
        with anyio.fail_after(5):
            await collected.wait_until_flushed()
        order.append("flushed")
        tasks.cancel_scope.cancel()
    assert order[:3] == ["took [b'a']", "done", "flushed"]


async def test_flushed_returns_at_once_without_hints() -> None:
    with anyio.fail_after(5):
        await hints(Clock()).wait_until_flushed()


async def test_a_check_is_scanned_but_is_not_outstanding() -> None:
    clock = Clock()
    collected = hints(clock)
    collected.check_later([b"young"])
    assert not collected.are_outstanding
    clock.now += 0.5
    assert await collected.next_batch(0.0) is None
    clock.now += 0.06
    taken = await collected.next_batch(0.0)
    assert taken is not None
    assert taken[1] == {b"young"}
    assert not collected.are_outstanding
    collected.mark_done(taken[0])


async def test_a_hint_is_outstanding_though_checks_share_its_batch() -> None:
    clock = Clock()
    collected = hints(clock)
    collected.check_later([b"young"])
    clock.now += 0.5
    assert await collected.next_batch(0.0) is None
    collected.add([b"saved"])
    assert collected.are_outstanding
    clock.now += 0.06
    taken = await collected.next_batch(0.0)
    assert taken is not None
    assert taken[1] == {b"young", b"saved"}
    assert collected.are_outstanding
    collected.mark_done(taken[0])
    assert not collected.are_outstanding
    collected.add_later([b"changed"])
    assert collected.are_outstanding


async def test_a_scan_replaces_the_second_look_that_was_to_come() -> None:
    clock = Clock()
    collected = hints(clock)
    collected.add_later([b"dir/changed", b"other"])
    collected.add_later([b"dir"], 3.0)
    collected.add([b"dir"])
    clock.now += 0.06
    taken = await collected.next_batch(0.0)
    assert taken is not None
    collected.mark_done(taken[0])
    clock.now += 0.5
    assert await collected.next_batch(0.0) is None
    clock.now += 0.06
    taken = await collected.next_batch(0.0)
    assert taken is not None
    assert taken[1] == {b"other"}
    collected.mark_done(taken[0])
    assert collected.are_outstanding, "a retry with a time of its own stays"
