"""Retries of stores and worker pools that cannot be used now, and of failed files."""

from __future__ import annotations

import time
from collections.abc import Iterable

import anyio

from codeindexd.indexing.policy import retry_delay_ns
from codeindexd.types import Failure
from codeindexd.waiting import Backoff, Broadcast
from codeindexd.workers.jobs import FileResult

_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 10.0  # the longest wait after disk space was freed; a failed try is cheap


class RetryPause:
    """Growing pauses between tries; ``hurry`` ends a pause early."""

    def __init__(self, hurry: Broadcast) -> None:
        self._hurry = hurry
        self._backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)

    async def wait(self) -> None:
        """Wait for the next pause after a failure."""
        with anyio.move_on_after(self._backoff.next_s()):
            await self._hurry.wait()

    def reset(self) -> None:
        """Start over with a short pause, after a success."""
        self._backoff.reset()


class FailedFiles:
    """Counts how often each file has failed since it last succeeded, starting with the ``recorded`` failures."""

    def __init__(self, recorded: Iterable[Failure]) -> None:
        self._attempts = {failure.path: failure.attempts for failure in recorded}

    def add(self, result: FileResult) -> Failure:
        """Count a failure, and return the record of it, which says when the file is due again."""
        attempts = self._attempts.get(result.path, 0) + 1
        self._attempts[result.path] = attempts
        next_retry_ns = 0 if result.quarantined else time.time_ns() + retry_delay_ns(attempts, result.stage)
        return Failure(result.path, result.stage, result.error, attempts, next_retry_ns, result.quarantined)

    def forget(self, path: bytes) -> None:
        """Reset the count of a file that was processed."""
        self._attempts.pop(path, None)
