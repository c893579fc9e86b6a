"""Polling for something another process or task does, with an error when it does not happen."""

from __future__ import annotations

from collections.abc import Callable

import anyio


async def eventually(condition: Callable[[], object], *, seconds: float = 20.0) -> None:
    """Return as soon as ``condition()`` is true. Raises TimeoutError after ``seconds``."""
    with anyio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for cannot set an event
            await anyio.sleep(0.01)
