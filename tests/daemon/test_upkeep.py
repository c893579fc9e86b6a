"""Errors of the upkeep, which must not end the daemon."""

from __future__ import annotations

import anyio
from structlog.testing import capture_logs

from codeindexd.daemon.upkeep import attempt
from codeindexd.errors import StoreFullError


def test_failed_upkeep_is_logged_and_ends_nothing() -> None:
    async def overflow() -> None:
        int(float("inf"))

    async def fill() -> None:
        raise StoreFullError("the disk is full", hint="make room")

    with capture_logs() as logs:
        anyio.run(attempt, "prune_vectors", overflow)
        anyio.run(attempt, "prune_vectors", fill)
    assert [(one["log_level"], one["what"]) for one in logs] == [
        ("error", "prune_vectors"),
        ("warning", "prune_vectors"),
    ]
    assert logs[0]["error"].startswith("OverflowError (test_upkeep.py:")
    assert (logs[1]["error"], logs[1]["hint"]) == ("the disk is full", "make room")
