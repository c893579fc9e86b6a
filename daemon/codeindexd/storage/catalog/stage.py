"""Computes a transaction's effect on the tree before anything is written: every affected path, before and after.

Everything else (rows to write, chunks to diff, counters) follows from comparing the two.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from codeindexd.scan.relpath import join, split
from codeindexd.storage.catalog.outlines import Outline
from codeindexd.storage.catalog.references import FileReferences
from codeindexd.storage.catalog.rows import (
    NODE_COLUMNS,
    OUTCOMES,
    FileRecord,
    Node,
    entry_from,
    get_text,
)
from codeindexd.storage.sqlite import Row
from codeindexd.types import ChunkDraft, Entry, FileUpdate, Move, NodeKind, Outcome, Transaction

_E = ", ".join(f"e.{column}" for column in NODE_COLUMNS.split(", "))
_NODE = f"""
SELECT e.parent, e.name, {_E}, f.file_id, f.outcome, f.language, f.encoding, f.fingerprint, f.reason,
       f.chunk_ids, f.chunk_kinds
FROM entry e LEFT JOIN file f ON f.file_id = e.file_id
"""  # noqa: S608
_ONE = f"{_NODE} WHERE e.parent = ? AND e.name = ?"
_INSIDE = f"{_NODE} WHERE e.parent = ? AND e.name > x''"
_DEEPER = f"{_NODE} WHERE e.parent > ? AND e.parent < ?"
_DEEPER_THAN_ROOT = f"{_NODE} WHERE e.parent > x''"
_UNKNOWN_HASH = bytes(16)


def _node(row: Row) -> tuple[bytes, Node]:
    """Return the path and the node of a row."""
    path = join(row[0], row[1])
    entry = entry_from(path, row[2:10])
    file_id, outcome, language, encoding, fingerprint, reason, chunk_ids, chunk_kinds = row[10:]
    if file_id is None:
        return path, Node(entry)
    outcome = OUTCOMES[outcome]
    return path, Node(
        entry,
        FileRecord(file_id, outcome, language, encoding, fingerprint, get_text(reason), chunk_ids, chunk_kinds),
    )


def nodes_below(connection: sqlite3.Connection, directory: bytes) -> Iterator[tuple[bytes, Node]]:
    """Yield (path, node) for everything below a directory."""
    for row in connection.execute(_INSIDE, (directory,)):
        yield _node(row)
    if directory:
        deeper = connection.execute(_DEEPER, (directory + b"/", directory + b"0"))  # "0" follows "/"
    else:
        deeper = connection.execute(_DEEPER_THAN_ROOT)
    for row in deeper:
        yield _node(row)


class Stage:
    """Applies a transaction in memory, in the order removals, moves, directories, updates, touched.

    The sources of moves are taken out first, so that removing their directory does not remove them too. ``before`` and
    ``after`` have the nodes of all examined paths, ``drafts`` the chunks, ``outlines`` the definitions and
    ``references`` the references of updated files by file id, ``dropped`` the paths that were removed with everything
    below them.
    """

    def __init__(self, connection: sqlite3.Connection, next_file: int) -> None:
        self._connection = connection
        self.next_file = next_file
        self.before: dict[bytes, Node | None] = {}
        self.after: dict[bytes, Node | None] = {}
        self.drafts: dict[int, Sequence[ChunkDraft]] = {}
        self.outlines: dict[int, Outline] = {}
        self.references: dict[int, FileReferences] = {}
        self.dropped: list[bytes] = []
        self._fresh: set[bytes] = set()

    def apply(self, changes: Transaction) -> None:
        """Stage the whole transaction. Raises ValueError if it makes the root a file."""
        taken_out = self._take_out(changes.moves)
        for path in changes.removals:
            self._drop(path)
        for move in changes.moves:
            self._put_moved(move, taken_out.pop(move.source, None))
        for entry in changes.directories:
            self._make_directory(entry.path)
        for update in changes.updates:
            self._update(update)
        for entry in changes.touched:
            self._touch(entry)

    def changed(self) -> Iterator[tuple[bytes, Node | None, Node | None]]:
        """Yield (path, before, after) wherever the two differ."""
        for path, after in self.after.items():
            before = self.before[path]
            if before != after:
                yield path, before, after

    def node(self, path: bytes) -> Node | None:
        """Return the node at ``path`` as this transaction leaves it, None if there is none."""
        if path not in self.after:
            row = self._connection.execute(_ONE, split(path)).fetchone()
            self.before[path] = self.after[path] = None if row is None else _node(row)[1]
        return self.after[path]

    def _put(self, path: bytes, node: Node | None) -> None:
        self.after[path] = node
        if self.before[path] is None:  # not in the table, so _drop_below has to find it here
            if node is None:
                self._fresh.discard(path)
            else:
                self._fresh.add(path)

    def _take_out(self, moves: Sequence[Move]) -> dict[bytes, FileRecord]:
        """Remove the sources of moves whose content is as expected; return their records by path."""
        taken_out: dict[bytes, FileRecord] = {}
        for move in moves:
            node = self.node(move.source)
            if node is not None and node.file is not None and node.entry.hash == move.entry.hash:
                taken_out[move.source] = node.file
                self._put(move.source, None)
        return taken_out

    def _drop(self, path: bytes) -> None:
        self.dropped.append(path)
        node = self.node(path)
        if node is None:
            return
        if node.entry.kind is NodeKind.DIRECTORY:
            self._drop_below(path)
        if path:
            self._put(path, None)

    def _drop_below(self, directory: bytes) -> None:
        for path, node in nodes_below(self._connection, directory):
            self.before.setdefault(path, node)
            self.after[path] = None
        prefix = directory + b"/" if directory else b""
        for path in [path for path in self._fresh if path.startswith(prefix)]:
            self._put(path, None)

    def _make_directory(self, path: bytes) -> None:
        """Make ``path`` and everything above it directories."""
        while True:
            node = self.node(path)
            if node is not None and node.entry.kind is NodeKind.DIRECTORY:
                return
            self._put(path, Node(Entry(path, NodeKind.DIRECTORY, _UNKNOWN_HASH)))
            path = split(path)[0]

    def _clear_for_leaf(self, path: bytes) -> Node | None:
        """Make a leaf at ``path`` possible, and return the present leaf, if any. Raises ValueError for the root."""
        if not path:
            raise ValueError("the root of a tree is a directory")
        node = self.node(path)
        if node is not None and node.entry.kind is NodeKind.DIRECTORY:
            self._drop(path)
            node = None
        self._make_directory(split(path)[0])
        return node

    def _put_moved(self, move: Move, record: FileRecord | None) -> None:
        """Put the file of a move at its new path.

        If its source was gone or had different content (``record`` is None), the target becomes UNPROCESSED: it is
        processed later, instead of being missing or wrong.
        """
        if record is None:
            self._update(FileUpdate(move.entry, Outcome.UNPROCESSED))
            return
        self._clear_for_leaf(move.entry.path)
        self._put(move.entry.path, Node(move.entry, record))

    def _update(self, update: FileUpdate) -> None:
        """Stage the outcome of a processed file, which becomes a leaf at its path."""
        entry = update.entry
        if entry.kind is NodeKind.DIRECTORY:
            raise ValueError("directories are not updated, they are added")
        old = self._clear_for_leaf(entry.path)
        if old is not None and old.file is not None:
            record = old.file
        else:
            record = FileRecord(self.next_file, update.outcome)
            self.next_file += 1
        indexed = update.outcome is Outcome.INDEXED
        reason = update.reason or entry.reason
        if not reason and update.outcome is Outcome.SKIPPED:
            reason = "symlink" if entry.kind is NodeKind.SYMLINK else "other"
        record = replace(
            record,
            outcome=update.outcome,
            language=update.language,
            encoding=update.encoding,
            fingerprint=update.fingerprint,
            reason=reason,
        )
        self.drafts[record.file_id] = update.chunks if indexed else ()
        self.outlines[record.file_id] = Outline(update.definitions, update.is_partial) if indexed else Outline()
        self.references[record.file_id] = (
            FileReferences(len(update.definitions), update.references) if indexed else FileReferences()
        )
        self._put(entry.path, Node(entry, record))

    def _touch(self, entry: Entry) -> None:
        """Update the stat and the rule of a leaf; ignore it if its content changed."""
        node = self.node(entry.path)
        if node is None or node.file is None or node.entry.hash != entry.hash or node.entry.kind is not entry.kind:
            return
        self._put(entry.path, Node(entry, node.file))


def leaves(nodes: Iterable[tuple[bytes, Node | None]]) -> dict[int, tuple[bytes, FileRecord]]:
    """Return (path, record) of the leaves among ``nodes`` by file id."""
    return {node.file.file_id: (path, node.file) for path, node in nodes if node is not None and node.file is not None}


def only_stat_differs(before: Node | None, after: Node | None) -> bool:
    """Return True if a change affects no query and no tree hash, so that it needs no new generation."""
    if before is None or after is None or before.file != after.file:
        return False
    old, new = before.entry, after.entry
    return (old.kind, old.hash, old.reason, old.rule) == (new.kind, new.hash, new.reason, new.rule)
