"""Files with several names. Writing through one sends an event for that name alone, so all are looked at together."""

from __future__ import annotations

from collections.abc import Collection

from codeindexd.scan import Scan
from codeindexd.scan.relpath import collapse, is_covered


class LinkedFiles:
    """The paths of one root whose files have other names too, below the root or outside."""

    def __init__(self) -> None:
        self._files: dict[bytes, tuple[int, int]] = {}

    @property
    def paths(self) -> Collection[bytes]:
        """What has to be looked at together."""
        return self._files.keys()

    def widened(self, below: Collection[bytes]) -> tuple[bytes, ...]:
        """``below``, with every linked path when one of them is among what is to be looked at."""
        touched = any(is_covered(path, frozenset(below)) for path in self._files)
        return tuple(sorted(collapse([*below, *self._files] if touched else below)))

    def take(self, scan: Scan) -> bool:
        """Follow a scan. Whether only a walk can tell the other names of some file: they were linked just now.

        A path that was linked before may lead to another file by now, whose other names are unknown.
        """
        covered = frozenset(scan.below)
        new = scan.linked.items() - self._files.items()
        kept = {path: file for path, file in self._files.items() if not is_covered(path, covered)}
        self._files = kept | scan.linked
        return bool(new) and b"" not in covered
