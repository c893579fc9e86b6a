"""The entries of ``status``, encoded once and kept for as long as a root's status stays the same.

An entry has some sixty values. Collecting and encoding them took 0.3 ms a root, most of what ``status`` cost with many
idle roots.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from codeindexd.daemon import left_out, responses
from codeindexd.daemon.encoding import encoded
from codeindexd.roots import Root
from codeindexd.roots.root import StatusKey


class StatusEntries:
    """Encoded entries by the id of their root. Any thread may ask."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[StatusKey, msgspec.Raw]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, roots: Sequence[Root]) -> list[msgspec.Raw]:
        """Return the entries of ``roots``, as :func:`responses.root_status` has them. Blocking: asks catalogs."""
        return [self._entry(root) for root in roots]

    def keep_only(self, roots: Sequence[Root]) -> None:
        """Forget the entries of all roots but these."""
        for superfluous in self._kept.keys() - {root.spec.id for root in roots}:
            self._kept.pop(superfluous, None)

    def _entry(self, root: Root) -> msgspec.Raw:
        identity = root.spec.id
        before = root.status_key()
        kept = self._kept.get(identity)
        if kept is not None and before is not None and kept[0] == before:
            return kept[1]
        found = responses.root_status(root)
        entry = msgspec.Raw(encoded(found))
        if before is not None and not found["failures"] and not left_out.may_be_suspicious(before.counts):
            self._kept[identity] = before, entry
        return entry
