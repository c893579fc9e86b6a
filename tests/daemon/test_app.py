"""Errors of housekeeping, which must not end the daemon."""

from __future__ import annotations

from pathlib import Path

import anyio
from structlog.testing import capture_logs

from codeindexd.config import Config
from codeindexd.daemon.app import Daemon
from codeindexd.daemon.paths import Paths
from codeindexd.errors import StoreFullError


def test_failed_housekeeping_is_logged_and_ends_nothing(tmp_path: Path) -> None:
    daemon = Daemon(Config(), Paths(tmp_path, tmp_path, tmp_path, tmp_path, tmp_path / "s"))

    async def overflow() -> None:
        int(float("inf"))

    async def fill() -> None:
        raise StoreFullError("the disk is full", hint="Make room.")

    with capture_logs() as logs:
        anyio.run(daemon._attempt, "prune vectors", overflow)
        anyio.run(daemon._attempt, "prune vectors", fill)
    assert [(one["log_level"], one["what"]) for one in logs] == [
        ("error", "prune vectors"),
        ("warning", "prune vectors"),
    ]
    assert logs[0]["error"].startswith("OverflowError (test_app.py:")
    assert (logs[1]["error"], logs[1]["hint"]) == ("the disk is full", "Make room.")
