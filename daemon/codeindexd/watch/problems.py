"""What the user should know about how a root is watched, told once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from codeindexd.scan.relpath import collapse

log = structlog.get_logger(__name__)

Problem = tuple[str, str]
"""A message, and a hint what to do."""

SYNC_HELPS = "`codeindex sync` finds changes at once"


class Problems:
    """Tells ``on_degraded(message, hint)`` of a problem that is another than the last, ``on_recovered`` of its end."""

    def __init__(self, root: Path, on_degraded: Callable[[str, str], None], on_recovered: Callable[[], None]) -> None:
        self._root = root
        self._on_degraded = on_degraded
        self._on_recovered = on_recovered
        self.told: Problem | None = None

    def tell(self, problem: Problem | None) -> None:
        """There is this problem now, or none."""
        if problem == self.told:
            return
        self.told = problem
        if problem is None:
            self._on_recovered()
        else:
            log.warning("watching is degraded", root=str(self._root), message=problem[0])
            self._on_degraded(*problem)


def polled_parts(polled: Mapping[bytes, str], interval_s: float) -> Problem | None:
    """That directories are on file systems without events: ``polled`` has the type of each, "" for other reasons."""
    tops = sorted(collapse(path for path, kind in polled.items() if kind))
    if not tops:
        return None
    place = tops[0].decode("utf-8", "backslashreplace")
    more = f" and {len(tops) - 1} more" if len(tops) > 1 else ""
    what = f"on a file system without change events ({polled[tops[0]]})"
    return f"{place}{more}: {what}, so it is looked at every {interval_s:g} s", SYNC_HELPS
