"""Problems with watching a root that the user should know of, each reported once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from codeindexd.scan.relpath import collapse

log = structlog.get_logger(__name__)

Problem = tuple[str, str]
"""A message, and a hint."""

SYNC_HELPS = "run `codeindex sync` to find changes at once"


class Problems:
    """Calls ``on_degraded(message, hint)`` when the problem changes, and ``on_recovered`` when it ends."""

    def __init__(self, root: Path, on_degraded: Callable[[str, str], None], on_recovered: Callable[[], None]) -> None:
        self._root = root
        self._on_degraded = on_degraded
        self._on_recovered = on_recovered
        self._reported: Problem | None = None

    def report(self, problem: Problem | None) -> None:
        """Report that there is this problem now, or none."""
        if problem == self._reported:
            return
        self._reported = problem
        if problem is None:
            self._on_recovered()
        else:
            log.warning("watching_degraded", root=str(self._root), message=problem[0])
            self._on_degraded(*problem)


def polled_parts(polled: Mapping[bytes, str], interval_s: float) -> Problem | None:
    """Return the problem of directories on file systems without events, whose types ``polled`` holds; "" is no such."""
    tops = sorted(collapse(path for path, kind in polled.items() if kind))
    if not tops:
        return None
    place = tops[0].decode("utf-8", "backslashreplace")
    more = f" and {len(tops) - 1} more" if len(tops) > 1 else ""
    what = f"on a file system without change events ({polled[tops[0]]})"
    return f"{place}{more}: {what}, so it is scanned every {interval_s:g} s", SYNC_HELPS
