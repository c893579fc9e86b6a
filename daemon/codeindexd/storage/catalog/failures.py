"""Writes the failures of a transaction: clears or moves failures of its files, and adds new ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from codeindexd.scan.relpath import is_covered, split
from codeindexd.storage.catalog.rows import Node, failure_from, failure_row
from codeindexd.storage.catalog.stage import Stage
from codeindexd.types import Failure, Outcome, Transaction

_ALL = "SELECT parent, name, stage, error, attempts, next_retry_ns, quarantined FROM failure"


def write_failures(
    connection: sqlite3.Connection, changes: Transaction, stage: Stage, changed: Iterable[bytes]
) -> tuple[int, bool]:
    """Update the failure table for a staged transaction.

    ``changed`` are the paths whose node changed; a failure's path need not be in the tree. Returns the change in the
    number of failed paths, and whether any failure changed.
    """
    added = {failure.path: failure for failure in changes.failures}
    named = [update.entry.path for update in changes.updates] + [move.entry.path for move in changes.moves]
    paths = {*changed, *added, *stage.dropped, *named}
    before = _stored(connection, paths, stage.dropped)
    after = _outcome(before, added, changes, stage) if before or added else {}
    connection.executemany(
        "DELETE FROM failure WHERE parent = ? AND name = ?", [split(path) for path in before.keys() - after.keys()]
    )
    rows = [failure_row(failure) for path, failure in after.items() if before.get(path) != failure]
    connection.executemany("INSERT OR REPLACE INTO failure VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    growth = 0
    for path in paths | before.keys() | after.keys():
        node = stage.node(path)
        growth += path in after or _has_failed(node)
        growth -= path in before or _has_failed(stage.before[path])
    return growth, bool(rows) or before.keys() != after.keys()


def _has_failed(node: Node | None) -> bool:
    return node is not None and node.file is not None and node.file.outcome is Outcome.FAILED


def _stored(connection: sqlite3.Connection, paths: Iterable[bytes], dropped: Iterable[bytes]) -> dict[bytes, Failure]:
    """Return the stored failures of ``paths``, and of everything below the ``dropped`` paths, by path."""
    if connection.execute("SELECT 1 FROM failure LIMIT 1").fetchone() is None:
        return {}
    rows = []
    for path in paths:
        rows += connection.execute(f"{_ALL} WHERE parent = ? AND name = ?", split(path)).fetchall()
    for path in dropped:
        if not path:
            rows += connection.execute(_ALL).fetchall()
            continue
        inside = connection.execute(
            f"{_ALL} WHERE parent = ? OR (parent > ? AND parent < ?)", (path, path + b"/", path + b"0")
        )
        rows += inside.fetchall()
    failures = map(failure_from, rows)
    return {failure.path: failure for failure in failures}


def _outcome(
    before: Mapping[bytes, Failure], added: Mapping[bytes, Failure], changes: Transaction, stage: Stage
) -> dict[bytes, Failure]:
    """Return the failures after the transaction by path, given the failures ``before`` it and the added ones."""
    after = dict(before)
    moved = {path for move in changes.moves for path in (move.source, move.entry.path)}
    targets = [(move, before[move.source]) for move in changes.moves if move.source in before]
    updated = {update.entry.path for update in changes.updates}
    for path in before:
        stage.node(path)
        if path in updated or path in moved or _is_no_longer_leaf(path, stage) or is_covered(path, stage.dropped):
            del after[path]
    for move, failure in targets:
        node = stage.after.get(move.entry.path)
        if node is not None and move.entry.path not in updated:
            after[move.entry.path] = replace(failure, path=move.entry.path)
    after.update(added)
    return after


def _is_no_longer_leaf(path: bytes, stage: Stage) -> bool:
    old, new = stage.before[path], stage.after[path]
    return old is not None and old.file is not None and (new is None or new.file is None)
