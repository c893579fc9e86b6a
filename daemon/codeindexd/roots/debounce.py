"""Collects hints into batches, each once it was quiet for the debounce time or its deadline passed.

Time is an argument: every method takes ``now`` in seconds of one monotonic clock. After syncthing's watch aggregator:
hints beyond the limit collapse to their parents, at last to the root, so that too many hints cost a larger scan and
never a missed change.
"""

from __future__ import annotations

from collections.abc import Iterable

from codeindexd.scan.relpath import ROOT, Batch, collapse, parent_of


class Debouncer:
    """The hints of one root that have not settled.

    A batch is due ``debounce_s`` after its newest hint and at the latest ``deadline_s`` after its oldest one, so that a
    file that is written without pause is scanned, too. It never holds more than ``max_hints`` paths.
    """

    def __init__(self, debounce_s: float, deadline_s: float, max_hints: int) -> None:
        if debounce_s < 0 or deadline_s < debounce_s:
            raise ValueError("the deadline must not be shorter than the debounce time")
        if max_hints < 1:
            raise ValueError("at least one hint must fit")
        self._debounce_s = debounce_s
        self._deadline_s = deadline_s
        self._max_hints = max_hints
        self._paths: set[bytes] = set()
        self._oldest = 0.0
        self._newest = 0.0

    def __len__(self) -> int:
        return len(self._paths)

    def add(self, paths: Iterable[bytes], now: float) -> None:
        """Add hints: paths relative to the root, ``b""`` for the root. Adding none changes no deadline."""
        new = set(paths)
        if not new:
            return
        if not self._paths:
            self._oldest = self._newest = now
        self._newest = max(now, self._newest)
        if ROOT in self._paths:
            return
        self._paths |= new
        if ROOT in new or len(self._paths) > self._max_hints:
            self._paths = _narrow(self._paths, self._max_hints)

    def next_due(self) -> float | None:
        """Return when the present batch is due, or None when it is empty."""
        if not self._paths:
            return None
        return min(self._newest + self._debounce_s, self._oldest + self._deadline_s)

    def due(self, now: float) -> Batch | None:
        """Return the present batch if it is due, and start a new one; otherwise None."""
        when = self.next_due()
        return self.flush(now) if when is not None and now >= when else None

    def flush(self, now: float) -> Batch | None:
        """Return the present batch, due or not, and start a new one; None when it is empty."""
        if not self._paths:
            return None
        batch = collapse(self._paths)
        self._paths = set()
        return batch


def _narrow(paths: set[bytes], limit: int) -> set[bytes]:
    """Return at most ``limit`` paths that cover all of ``paths``, by replacing the deepest ones with their parents."""
    narrowed = set(collapse(paths))
    while len(narrowed) > limit:
        depth = max(path.count(b"/") for path in narrowed)
        narrowed = set(collapse(parent_of(path) if path.count(b"/") == depth else path for path in narrowed))
    return narrowed
