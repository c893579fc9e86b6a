"""From hints to the difference they stand for: scan below them, diff against the catalogued tree."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from codeindexd.catalog import Catalog
from codeindexd.merkle import diff
from codeindexd.model import Diff, Entry, FileUpdate, NodeKind, Outcome, Slice
from codeindexd.scan import Scan, Scanner

_SLICE_LEAVES = 2_000


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a reconciliation found: slices that need no worker, files that do, and what the scan saw on its way."""

    slices: tuple[Slice, ...]
    files: tuple[Entry, ...]
    gone: frozenset[bytes]
    changed: frozenset[bytes]
    scan: Scan


def reconcile(scanner: Scanner, catalog: Catalog, below: Sequence[bytes]) -> Reconciled:
    """Scan ``below`` (paths under the root) and return what differs from the catalog. Blocking: run it in a thread."""
    known = catalog.tree()
    scan = scanner.scan(below, known, now_ns=time.time_ns())
    difference = diff(known, scan.tree, below=scan.below)
    return Reconciled(
        tuple(_ready_slices(difference)),
        tuple(entry for entry in (*difference.added, *difference.modified) if entry.kind is NodeKind.FILE),
        frozenset(entry.path for entry in difference.removed) | {move.source for move in difference.moved},
        frozenset(entry.path for entry in (*difference.added, *difference.modified, *difference.removed)),
        scan,
    )


def _ready_slices(difference: Diff) -> list[Slice]:
    """Everything that needs no parsing, removals first; leaves without text in parts of bounded size."""
    bare = [
        FileUpdate(entry, Outcome.SKIPPED, reason=entry.reason or "symlink")
        for entry in (*difference.added, *difference.modified)
        if entry.kind in (NodeKind.SKIPPED, NodeKind.SYMLINK)
    ]
    first = Slice(
        updates=bare[:_SLICE_LEAVES],
        removals=[entry.path for entry in difference.removed],
        moves=difference.moved,
        directories=[entry for entry in difference.added if entry.kind is NodeKind.DIRECTORY],
        touched=difference.touched,
    )
    rest = [Slice(updates=bare[at : at + _SLICE_LEAVES]) for at in range(_SLICE_LEAVES, len(bare), _SLICE_LEAVES)]
    empty = not (first.updates or first.removals or first.moves or first.directories or first.touched)
    return ([] if empty else [first]) + rest
