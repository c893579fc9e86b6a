"""Tracks files with several names, which are scanned together: a write sends an event for one of the names only."""

from __future__ import annotations

from collections.abc import Collection

from codeindexd.scan.relpath import ROOT, collapse, is_covered
from codeindexd.scan.scanner import Scan


class LinkedFiles:
    """The paths of one root whose files have further names, below the root or outside."""

    def __init__(self) -> None:
        self._files: dict[bytes, tuple[int, int]] = {}

    @property
    def paths(self) -> Collection[bytes]:
        """The paths that have to be scanned together."""
        return self._files.keys()

    def widen(self, below: Collection[bytes]) -> tuple[bytes, ...]:
        """Return ``below``, plus all linked paths if at least one of them is at or below one of these paths."""
        touched = any(is_covered(path, frozenset(below)) for path in self._files)
        return tuple(sorted(collapse([*below, *self._files] if touched else below)))

    def update(self, scan: Scan) -> bool:
        """Apply the results of ``scan``; return True if a new hard link requires a full walk to find its other names.

        A path that was linked before may be a different file by now, whose other names are unknown.
        """
        covered = frozenset(scan.below)
        new = scan.linked.items() - self._files.items()
        kept = {path: file for path, file in self._files.items() if not is_covered(path, covered)}
        self._files = kept | scan.linked
        return bool(new) and ROOT not in covered
