"""Compares the disk below some hints with the catalogued tree."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

from codeindexd.indexing.queue import Task
from codeindexd.scan.merkle import diff
from codeindexd.scan.relpath import is_covered
from codeindexd.scan.scanner import NOTHING_APPLIED, NOTHING_DECIDED, Scan, Scanner
from codeindexd.scan.tracked import RepositoryPaths
from codeindexd.storage.catalog import Catalog
from codeindexd.types import Diff, Entry, FileStat, FileUpdate, NodeKind, Outcome, Transaction

_TRANSACTION_LEAVES = 2_000
_MOST_SIZED = 100  # if more files changed at once, none of them counts as busy


class Reconciliation(Struct, frozen=True):
    """The differences that a scan found: ``transactions`` that need no worker, and ``files`` that do.

    ``gone`` are paths that no longer need to be processed. Those of them in ``overtaken`` were being processed, so it
    is not known whether the catalog has them: they must be scanned again once no commit is in progress.
    ``changed_sizes`` maps changed files to their sizes in bytes; it is empty if there are more than 100.
    """

    transactions: tuple[Transaction, ...]
    files: tuple[Entry, ...]
    gone: frozenset[bytes]
    overtaken: frozenset[bytes]
    scan: Scan
    changed_sizes: Mapping[bytes, int] = field(default_factory=dict)


def reconcile(
    scanner: Scanner,
    catalog: Catalog,
    below: Sequence[bytes],
    in_flight: Iterable[Task] = (),
    decided_by_git: Mapping[bytes, RepositoryPaths] = NOTHING_DECIDED,
    applied_rules: Mapping[bytes, FileStat] = NOTHING_APPLIED,
    should_stop: Callable[[], bool] = bool,
    most_leaves: int | None = None,
) -> Reconciliation:
    """Scan the paths ``below`` and return the differences from the catalog. Blocking.

    ``in_flight`` are tasks whose files may have been read before the scan; ``decided_by_git``, ``applied_rules``,
    ``should_stop`` and ``most_leaves`` are as in :meth:`Scanner.scan`. Raises as that does, and StoreFullError if the
    catalog cannot be read now.
    """
    known = catalog.tree()
    scan = scanner.scan(
        below,
        known,
        now_ns=time.time_ns(),
        decided_by_git=decided_by_git,
        applied_rules=applied_rules,
        should_stop=should_stop,
        most_leaves=most_leaves,
    )
    difference = diff(known, scan.tree, below=scan.below)
    again, overtaken = _overtaken(scan, in_flight)
    return Reconciliation(
        transactions=tuple(_transactions(difference)),
        files=tuple(
            entry for entry in (*difference.added, *difference.modified, *again) if entry.kind is NodeKind.FILE
        ),
        gone=frozenset(entry.path for entry in difference.removed)
        | {move.source for move in difference.moved}
        | overtaken,
        overtaken=overtaken,
        scan=scan,
        changed_sizes=_sizes_of(scanner.root, difference.modified),
    )


def _sizes_of(root: Path, modified: Sequence[Entry]) -> dict[bytes, int]:
    if len(modified) > _MOST_SIZED:
        return {}
    sizes = {}
    for entry in modified:
        with contextlib.suppress(OSError):  # the next event triggers another scan
            sizes[entry.path] = os.lstat(os.fsencode(root) + b"/" + entry.path).st_size
    return sizes


def _overtaken(scan: Scan, in_flight: Iterable[Task]) -> tuple[list[Entry], frozenset[bytes]]:
    """Return the files in flight that must be read again, and the paths in flight that are no longer files.

    Comparing with the catalog does not find them, because their results are not in it yet: a file may have been deleted
    meanwhile, or changed back to its catalogued content.
    """
    files: list[Entry] = []
    gone: set[bytes] = set()
    for task in in_flight:
        if not is_covered(task.path, scan.below):
            continue
        node = scan.tree.node(task.path)
        if node is None or node.kind is not NodeKind.FILE:
            gone.add(task.path)
        elif node.hash != task.entry.hash:
            files.append(node)
    return files, frozenset(gone)


def _transactions(difference: Diff) -> list[Transaction]:
    """Return the changes that need no worker, removals first, in transactions with a bounded number of leaves."""
    leaves = [
        FileUpdate(entry, Outcome.SKIPPED, reason=entry.reason or "symlink")
        for entry in (*difference.added, *difference.modified)
        if entry.kind in (NodeKind.SKIPPED, NodeKind.SYMLINK)
    ]
    first = Transaction(
        updates=leaves[:_TRANSACTION_LEAVES],
        removals=[entry.path for entry in difference.removed],
        moves=difference.moved,
        directories=[entry for entry in difference.added if entry.kind is NodeKind.DIRECTORY],
        touched=difference.touched,
    )
    rest = [
        Transaction(updates=leaves[at : at + _TRANSACTION_LEAVES])
        for at in range(_TRANSACTION_LEAVES, len(leaves), _TRANSACTION_LEAVES)
    ]
    empty = not (first.updates or first.removals or first.moves or first.directories or first.touched)
    return ([] if empty else [first]) + rest
