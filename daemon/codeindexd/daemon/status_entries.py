"""The entries of ``status``, encoded once and kept for as long as a root's status stays the same.

An entry has some sixty values. Collecting and encoding them took 0.3 ms a root, most of the time of ``status`` with
many idle roots.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from codeindexd.daemon import left_out, root_responses
from codeindexd.daemon.encoding import encode_json
from codeindexd.roots import Root
from codeindexd.roots.root_status import StatusKey


class StatusEntries:
    """Encoded entries by root id. May be used from any thread."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[StatusKey, msgspec.Raw]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def entries_of(self, roots: Sequence[Root]) -> list[msgspec.Raw]:
        """Return the :func:`root_responses.root_status` of each root, encoded. Blocking: reads catalogs."""
        return [self._entry(root) for root in roots]

    def keep_only(self, roots: Sequence[Root]) -> None:
        """Forget the entries of all roots but ``roots``."""
        for identity in self._kept.keys() - {root.spec.id for root in roots}:
            self._kept.pop(identity, None)

    def _entry(self, root: Root) -> msgspec.Raw:
        """Return the entry of a root, a kept one if its key is the same.

        Entries with failures or notes on rules are not kept, since the key does not cover these.
        """
        identity = root.spec.id
        before = root.status_key()
        kept = self._kept.get(identity)
        if kept is not None and before is not None and kept[0] == before:
            return kept[1]
        found = root_responses.root_status(root)
        entry = msgspec.Raw(encode_json(found))
        if before is not None and not found["failures"] and not left_out.may_be_suspicious(before.counts):
            self._kept[identity] = before, entry
        return entry
