"""Collects hints into batches. A batch is due after a quiet moment, or when its deadline passes.

Time is an argument: every method takes ``now``, in seconds of one monotonic clock. Modelled on syncthing's watch
aggregator: hints beyond the limit are replaced by their parents, and finally by the root, so that too many hints cause
a larger scan but never a missed change.
"""

from __future__ import annotations

from collections.abc import Iterable

from codeindexd.scan.relpath import ROOT, Batch, collapse, parent_of


class Debouncer:
    """The hints of one root that have not settled.

    A batch is due ``debounce_s`` seconds after its newest hint, but no later than ``deadline_s`` seconds after its
    oldest one, so that a file that is written without pause is scanned too. It has at most ``max_hints`` paths.
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
        """Add hints: paths relative to the root, b"" for the root itself. Adding none changes no deadline."""
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
        """Return the time when the present batch is due; None if it is empty."""
        if not self._paths:
            return None
        return min(self._newest + self._debounce_s, self._oldest + self._deadline_s)

    def due(self, now: float) -> Batch | None:
        """Return the present batch if it is due, and start a new one; otherwise None."""
        when = self.next_due()
        return self.flush() if when is not None and now >= when else None

    def flush(self) -> Batch | None:
        """Return the present batch, due or not, and start a new one; None if it is empty."""
        if not self._paths:
            return None
        batch = collapse(self._paths)
        self._paths = set()
        return batch


def _narrow(paths: set[bytes], limit: int) -> set[bytes]:
    """Return at most ``limit`` paths that cover all of ``paths``, by replacing the deepest paths by their parents."""
    narrowed = set(collapse(paths))
    while len(narrowed) > limit:
        depth = max(path.count(b"/") for path in narrowed)
        narrowed = set(collapse(parent_of(path) if path.count(b"/") == depth else path for path in narrowed))
    return narrowed
