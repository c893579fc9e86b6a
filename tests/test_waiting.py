"""Signals, broadcasts, gates and pauses between retries."""

from __future__ import annotations

import anyio
import pytest

from codeindexd.waiting import Backoff, Broadcast, Gate, Signal

pytestmark = pytest.mark.anyio


async def is_waiting(waitable: Signal | Broadcast | Gate) -> bool:
    """Return True if a wait that starts now does not return at once."""
    with anyio.move_on_after(0) as scope:
        await waitable.wait()
    return scope.cancelled_caught


async def test_a_signal_set_early_is_kept_for_one_wait() -> None:
    signal = Signal()
    signal.set()
    assert signal.is_set()
    await signal.wait()
    assert not signal.is_set()
    assert await is_waiting(signal)


async def test_a_signal_wakes_a_waiting_task() -> None:
    signal = Signal()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(signal.wait)
        await anyio.wait_all_tasks_blocked()
        signal.clear()
        signal.set()
    assert not signal.is_set()


async def test_a_cleared_signal_is_forgotten() -> None:
    signal = Signal()
    signal.set()
    signal.clear()
    assert await is_waiting(signal)


async def test_a_broadcast_wakes_every_waiting_task_and_no_later_one() -> None:
    broadcast = Broadcast()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(broadcast.wait)
        tasks.start_soon(broadcast.wait)
        await anyio.wait_all_tasks_blocked()
        broadcast.notify_all()
    assert await is_waiting(broadcast)


async def test_a_gate_lets_tasks_pass_while_it_is_open() -> None:
    gate = Gate(is_open=False)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(gate.wait)
        await anyio.wait_all_tasks_blocked()
        gate.close()
        gate.open()
    assert gate.is_open
    await gate.wait()
    gate.close()
    assert not gate.is_open
    assert await is_waiting(gate)


def test_pauses_double_up_to_the_longest_until_reset() -> None:
    backoff = Backoff(0.5, 3.0)
    assert [backoff.next_s() for _ in range(4)] == [0.5, 1.0, 2.0, 3.0]
    assert backoff.failures == 4
    backoff.reset()
    assert backoff.failures == 0
    assert backoff.next_s() == 0.5


def test_a_pause_can_be_bounded_once() -> None:
    backoff = Backoff(2.0, 100.0)
    backoff.next_s()
    assert backoff.next_s(at_most_s=3.0) == 3.0
    assert backoff.next_s() == 6.0
