"""Files with several names. Writing through one sends an event for that name alone, so all are looked at together."""

from __future__ import annotations

from collections.abc import Collection

from codeindexd.merkle import collapse, is_covered
from codeindexd.scan import Scan


class LinkedFiles:
    """The paths of one root whose files have other names too, below the root or outside."""

    def __init__(self) -> None:
        self.paths: frozenset[bytes] = frozenset()

    def widened(self, below: Collection[bytes]) -> tuple[bytes, ...]:
        """``below``, with every linked path when one of them is among what is to be looked at."""
        touched = any(is_covered(path, frozenset(below)) for path in self.paths)
        return collapse([*below, *self.paths] if touched else below)

    def take(self, scan: Scan) -> bool:
        """Follow a scan. Whether only a walk can tell the other names of some file: they were linked just now."""
        covered = frozenset(scan.below)
        kept = {path for path in self.paths if not is_covered(path, covered)}
        new = frozenset(scan.linked) - self.paths
        self.paths = frozenset(scan.linked) | kept
        return bool(new) and b"" not in covered
