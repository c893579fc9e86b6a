"""From hints to the difference they stand for: scan below them, diff against the catalogued tree."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from codeindexd.indexing.queue import Task
from codeindexd.scan.merkle import diff
from codeindexd.scan.relpath import is_covered
from codeindexd.scan.scanner import Scan, Scanner
from codeindexd.storage.catalog import Catalog
from codeindexd.types import Diff, Entry, FileUpdate, NodeKind, Outcome, Transaction

_TRANSACTION_LEAVES = 2_000


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a reconciliation found: slices that need no worker, files that do, and what the scan saw on its way.

    ``gone`` are files that nobody needs to read any more. Those ``overtaken`` among them were in flight, so whether the
    catalog has them is not known: look again once no commit is in progress.
    """

    transactions: tuple[Transaction, ...]
    files: tuple[Entry, ...]
    gone: frozenset[bytes]
    overtaken: frozenset[bytes]
    scan: Scan


def reconcile(scanner: Scanner, catalog: Catalog, below: Sequence[bytes], in_flight: Iterable[Task] = ()) -> Reconciled:
    """Scan ``below`` (paths under the root) and return what differs from the catalog. Blocking: run it in a thread.

    ``in_flight`` are files that may have been read before the scan.
    """
    known = catalog.tree()
    scan = scanner.scan(below, known, now_ns=time.time_ns())
    difference = diff(known, scan.tree, below=scan.below)
    again, overtaken = _overtaken(scan, in_flight)
    return Reconciled(
        tuple(_transactions(difference)),
        tuple(entry for entry in (*difference.added, *difference.modified, *again) if entry.kind is NodeKind.FILE),
        frozenset(entry.path for entry in difference.removed) | {move.source for move in difference.moved} | overtaken,
        overtaken,
        scan,
    )


def _overtaken(scan: Scan, in_flight: Iterable[Task]) -> tuple[list[Entry], frozenset[bytes]]:
    """What the scan says about files that a worker may have read before it: (to be read again, no files any more).

    The catalog does not hold them yet, so the difference to it can be nothing where a result is on its way that must
    not stay: of a file that was deleted meanwhile, or that is again what it had been before.
    """
    files: list[Entry] = []
    gone: set[bytes] = set()
    for ticket in in_flight:
        if not is_covered(ticket.path, scan.below):
            continue
        node = scan.tree.node(ticket.path)
        if node is None or node.kind is not NodeKind.FILE:
            gone.add(ticket.path)
        elif node.hash != ticket.entry.hash:
            files.append(node)
    return files, frozenset(gone)


def _transactions(difference: Diff) -> list[Transaction]:
    """Everything that needs no parsing, removals first; leaves without text in parts of bounded size."""
    bare = [
        FileUpdate(entry, Outcome.SKIPPED, reason=entry.reason or "symlink")
        for entry in (*difference.added, *difference.modified)
        if entry.kind in (NodeKind.SKIPPED, NodeKind.SYMLINK)
    ]
    first = Transaction(
        updates=bare[:_TRANSACTION_LEAVES],
        removals=[entry.path for entry in difference.removed],
        moves=difference.moved,
        directories=[entry for entry in difference.added if entry.kind is NodeKind.DIRECTORY],
        touched=difference.touched,
    )
    rest = [
        Transaction(updates=bare[at : at + _TRANSACTION_LEAVES])
        for at in range(_TRANSACTION_LEAVES, len(bare), _TRANSACTION_LEAVES)
    ]
    empty = not (first.updates or first.removals or first.moves or first.directories or first.touched)
    return ([] if empty else [first]) + rest
