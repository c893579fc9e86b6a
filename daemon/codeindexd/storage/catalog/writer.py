"""Writes one catalog transaction: stages it, diffs its chunks, writes the rows, updates directory hashes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, cast

from msgspec import Struct
from msgspec.structs import replace

from codeindexd.scan.merkle import node_hash
from codeindexd.scan.relpath import split
from codeindexd.storage.catalog.chunks import ChunkDiffer
from codeindexd.storage.catalog.failures import write_failures
from codeindexd.storage.catalog.outlines import OutlineDiffer
from codeindexd.storage.catalog.references import ReferenceDiffer
from codeindexd.storage.catalog.rows import FileRecord, Node, entry_row, put_text
from codeindexd.storage.catalog.skipped_texts import forget_files
from codeindexd.storage.catalog.stage import Stage, leaves, only_stat_differs
from codeindexd.storage.catalog.state import CatalogState, Tally
from codeindexd.types import CommittedChanges, Entry, NodeKind, Outcome, Transaction

_Change = tuple[bytes, Node | None, Node | None]


class WriteResult(Struct, frozen=True):
    """The result of writing a transaction; if not ``changed``, there is nothing to commit."""

    committed: CommittedChanges
    state: CatalogState
    changed: bool


def write_transaction(
    connection: sqlite3.Connection, state: CatalogState, kinds: dict[str, int], changes: Transaction
) -> WriteResult:
    """Write ``changes`` inside the SQLite transaction that is open on ``connection``.

    The generation increases by one if anything changed that a query or a tree hash depends on; mere changes of stats
    and failures are written under the present generation. Raises sqlite3.Error, and ValueError if the root would become
    a file.
    """
    stage = Stage(connection, state.next_file)
    stage.apply(changes)
    differ = ChunkDiffer(connection, state.next_chunk, kinds)
    _diff_chunks(stage, differ)
    outlines = _diff_outlines(connection, stage)
    references = _diff_references(connection, stage)
    changed = list(stage.changed())
    failed, failures_changed = write_failures(connection, changes, stage, [path for path, _, _ in changed])
    is_rewritten = bool(differ.changes.moved or outlines.is_changed or references.is_changed)
    effective = is_rewritten or not all(only_stat_differs(old, new) for _, old, new in changed)
    if not effective and not changed and not failures_changed:
        return WriteResult(CommittedChanges(state.generation), state, False)
    _write_nodes(connection, changed)
    differ.write()
    outlines.write()
    references.write()
    _rehash(connection, changed)
    tally = Tally(state.counts)
    for _, old, new in changed:
        tally.add(old, -1)
        tally.add(new, 1)
    tally.failed += failed
    committed = _committed(state.generation + 1, differ, stage) if effective else CommittedChanges(state.generation)
    state = CatalogState(committed.generation, stage.next_file, differ.changes.next_chunk, tally.counts())
    state.write(connection)
    return WriteResult(committed, state, True)


def _diff_chunks(stage: Stage, differ: ChunkDiffer) -> None:
    """Diff the chunks of updated files, and remove those of removed files."""
    before, after = leaves(stage.before.items()), leaves(stage.after.items())
    for file_id, (_, record) in before.items():
        if file_id not in after:
            differ.drop(record)
    for file_id, drafts in stage.drafts.items():
        if file_id in after:
            path, record = after[file_id]
            old = before[file_id][1] if file_id in before else None
            chunk_ids, chunk_kinds = differ.diff(old, record, drafts)
            node = stage.after[path]
            assert node is not None
            stage.after[path] = Node(node.entry, replace(record, chunk_ids=chunk_ids, chunk_kinds=chunk_kinds))


def _diff_outlines(connection: sqlite3.Connection, stage: Stage) -> OutlineDiffer:
    """Compare the definitions of updated and removed files with the stored ones."""
    differ = OutlineDiffer(connection)
    after = leaves(stage.after.items()).keys()
    for file_id in leaves(stage.before.items()):
        if file_id not in after:
            differ.drop(file_id)
    for file_id, outline in stage.outlines.items():
        if file_id in after:
            differ.diff(file_id, outline, stage.drafts[file_id])
    return differ


def _diff_references(connection: sqlite3.Connection, stage: Stage) -> ReferenceDiffer:
    """Compare the references of updated and removed files with the stored ones."""
    differ = ReferenceDiffer(connection)
    after = leaves(stage.after.items()).keys()
    for file_id in leaves(stage.before.items()):
        if file_id not in after:
            differ.drop(file_id)
    for file_id, references in stage.references.items():
        if file_id in after:
            differ.diff(file_id, references)
    return differ


def _write_nodes(connection: sqlite3.Connection, changed: Sequence[_Change]) -> None:
    """Write the rows of changed entries and of their files."""
    gone = [split(path) for path, _, new in changed if new is None]
    connection.executemany("DELETE FROM entry WHERE parent = ? AND name = ?", gone)
    nodes = [new for _, _, new in changed if new is not None]
    connection.executemany(
        "INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [entry_row(node.entry, node.file.file_id if node.file else None) for node in nodes],
    )
    before = leaves((path, old) for path, old, _ in changed)
    after = leaves((path, new) for path, _, new in changed)
    connection.executemany(
        "DELETE FROM file WHERE file_id = ?", [(file_id,) for file_id in before.keys() - after.keys()]
    )
    forget_files(connection, [file_id for file_id, (_, record) in before.items() if record.outcome is Outcome.SKIPPED])
    connection.executemany(
        "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [_file_row(path, record) for file_id, (path, record) in after.items() if before.get(file_id) != (path, record)],
    )


def _file_row(path: bytes, record: FileRecord) -> tuple[object, ...]:
    return (
        record.file_id,
        *split(path),
        int(record.outcome),
        record.language,
        record.encoding,
        record.fingerprint,
        put_text(record.reason),
        record.chunk_ids,
        record.chunk_kinds,
    )


def _rehash(connection: sqlite3.Connection, changed: Iterable[_Change]) -> None:
    """Recompute the hashes of directories above changes, deepest first, stopping where a hash stays the same."""
    by_depth: dict[int, set[bytes]] = {}
    for path, old, new in changed:
        if _hashed_part(old) != _hashed_part(new):
            if path:
                _enqueue(by_depth, split(path)[0])
            if new is not None and new.entry.kind is NodeKind.DIRECTORY:
                _enqueue(by_depth, path)
    for depth in range(max(by_depth, default=-1), -1, -1):
        for directory in by_depth.get(depth, ()):
            if _rehash_one(connection, directory) and directory:
                _enqueue(by_depth, split(directory)[0])


def _hashed_part(node: Node | None) -> tuple[NodeKind, bytes] | None:
    return None if node is None else (node.entry.kind, node.entry.hash)


def _enqueue(by_depth: dict[int, set[bytes]], directory: bytes) -> None:
    depth = directory.count(b"/") + 1 if directory else 0
    by_depth.setdefault(depth, set()).add(directory)


def _rehash_one(connection: sqlite3.Connection, directory: bytes) -> bool:
    """Update the hash of a directory; return False if the directory is gone or the hash unchanged."""
    parent_and_name = split(directory)
    row = connection.execute(
        "SELECT hash FROM entry WHERE parent = ? AND name = ? AND kind = 1", parent_and_name
    ).fetchone()
    if row is None:
        return False
    digest = _hash_of(connection, directory)
    if digest == row[0]:
        return False
    connection.execute("UPDATE entry SET hash = ? WHERE parent = ? AND name = ?", (digest, *parent_and_name))
    return True


class _Child(NamedTuple):
    """The part of an entry that :func:`node_hash` reads; creating entries would cost more than the hash."""

    path: bytes
    kind: int
    hash: bytes


def _hash_of(connection: sqlite3.Connection, directory: bytes) -> bytes:
    rows = connection.execute("SELECT name, kind, hash FROM entry WHERE parent = ? AND name > x''", (directory,))
    return node_hash(cast("Iterable[Entry]", map(_Child._make, rows)))


def _committed(generation: int, differ: ChunkDiffer, stage: Stage) -> CommittedChanges:
    before, after = _searchable(stage.before), _searchable(stage.after)
    return CommittedChanges(
        generation,
        added=differ.changes.added,
        removed=differ.changes.removed,
        paths_added=[(file_id, path) for file_id, path in after.items() if before.get(file_id) != path],
        paths_removed=[file_id for file_id, path in before.items() if after.get(file_id) != path],
    )


def _searchable(nodes: Mapping[bytes, Node | None]) -> dict[int, bytes]:
    """Return the paths of the indexed files, which can be searched, by file id."""
    return {
        file_id: path for file_id, (path, record) in leaves(nodes.items()).items() if record.outcome is Outcome.INDEXED
    }
