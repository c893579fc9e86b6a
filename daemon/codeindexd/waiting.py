"""Synchronisation of tasks in one event loop: signals, broadcasts, gates, backoff, and running functions together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import anyio
import anyio.from_thread

from codeindexd.errors import CodeindexError

T = TypeVar("T")


class Signal:
    """Wakes one waiting task. A signal that is set while nobody waits is kept for the next wait."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def is_set(self) -> bool:
        """Return True if the next wait returns at once."""
        return self._event.is_set()

    def set(self) -> None:
        """Wake the waiting task, or let the next wait return at once."""
        self._event.set()

    def clear(self) -> None:
        """Discard a signal that no task has waited for yet."""
        if self._event.is_set():  # a task may be waiting for an event that is not set
            self._event = anyio.Event()

    async def wait(self) -> None:
        """Wait until the signal is set, then clear it."""
        await self._event.wait()
        self._event = anyio.Event()


class Broadcast:
    """Wakes all tasks that are waiting at that moment. A broadcast for which no task waits is lost."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def notify_all(self) -> None:
        """Wake all tasks that are waiting now."""
        self._event.set()
        self._event = anyio.Event()

    async def wait(self) -> None:
        """Wait for the next :meth:`notify_all`."""
        await self._event.wait()


class Gate:
    """Lets tasks pass while it is open, and makes them wait while it is closed."""

    def __init__(self, *, is_open: bool) -> None:
        self._event = anyio.Event()
        if is_open:
            self._event.set()

    @property
    def is_open(self) -> bool:
        return self._event.is_set()

    def open(self) -> None:
        """Let all tasks pass, waiting or not, until the gate is closed."""
        self._event.set()

    def close(self) -> None:
        """Make tasks wait from now on."""
        if self._event.is_set():  # tasks may be waiting for an event that is not set
            self._event = anyio.Event()

    async def wait(self) -> None:
        """Wait until the gate is open."""
        await self._event.wait()


class Backoff:
    """Pauses between retries: ``first_s`` seconds, then twice as long each time, up to ``longest_s``.

    ``failures`` counts the pauses since the last :meth:`reset`.
    """

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s
        self.failures = 0

    def next_s(self, *, at_most_s: float | None = None) -> float:
        """Count a failure, and return the seconds to pause, at most ``at_most_s``."""
        longest_s = self._longest_s if at_most_s is None else min(self._longest_s, at_most_s)
        pause_s = min(self._next_s, longest_s)
        self._next_s = min(2 * pause_s, self._longest_s)
        self.failures += 1
        return pause_s

    def reset(self) -> None:
        """Start over with the first pause, after a success."""
        self._next_s = self._first_s
        self.failures = 0


async def run_all(functions: Iterable[Callable[[], Awaitable[T]]]) -> list[T]:
    """Run all functions concurrently, and return their results in order.

    If some raise a CodeindexError, the first of these is raised once all functions have ended. Any other error cancels
    the rest, and is raised in an exception group. The error of a single function is raised as it is.
    """
    functions = list(functions)
    if len(functions) == 1:  # most queries have one root, and a task costs as much as a small search
        return [await functions[0]()]
    results: dict[int, T] = {}
    errors: list[CodeindexError] = []

    async def run(number: int, function: Callable[[], Awaitable[T]]) -> None:
        try:
            results[number] = await function()
        except CodeindexError as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        for number, function in enumerate(functions):
            tasks.start_soon(run, number, function)
    if errors:
        raise errors[0]
    return [results[number] for number in sorted(results)]


def thread_is_cancelled() -> bool:
    """Return False, or raise the cancellation if the task that waits for this thread was cancelled."""
    anyio.from_thread.check_cancelled()
    return False
