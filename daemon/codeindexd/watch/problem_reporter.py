"""Reports problems with watching a root that its user should know of, each once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import structlog

from codeindexd.scan.relpath import collapse

log = structlog.get_logger(__name__)

SYNC_HINT = "to find changes at once: codeindex sync"


class WatchProblem(NamedTuple):
    """Why a root, or a part of it, is polled, and what its user can do about it."""

    message: str
    hint: str


class ProblemReporter:
    """Calls ``on_degraded(message, hint)`` when the problem changes, and ``on_recovered()`` when it ends."""

    def __init__(self, root: Path, on_degraded: Callable[[str, str], None], on_recovered: Callable[[], None]) -> None:
        self._root = root
        self._on_degraded = on_degraded
        self._on_recovered = on_recovered
        self._reported: WatchProblem | None = None

    def report(self, problem: WatchProblem | None) -> None:
        """Set the current problem; None if there is none."""
        if problem == self._reported:
            return
        self._reported = problem
        if problem is None:
            self._on_recovered()
        else:
            log.warning("watching_degraded", root=str(self._root), message=problem.message)
            self._on_degraded(*problem)


def polling_problem(polled: Mapping[bytes, str], interval_s: float) -> WatchProblem | None:
    """Return the problem to report for polled directories, or None.

    ``polled`` maps each to its file system's type; "" means that it is polled for another reason.
    """
    tops = sorted(collapse(path for path, kind in polled.items() if kind))
    if not tops:
        return None
    place = tops[0].decode("utf-8", "backslashreplace")
    more = f" and {len(tops) - 1} more" if len(tops) > 1 else ""
    what = f"on a file system without change events ({polled[tops[0]]})"
    return WatchProblem(f"{place}{more}: {what}, so it is scanned every {interval_s:g} s", SYNC_HINT)
