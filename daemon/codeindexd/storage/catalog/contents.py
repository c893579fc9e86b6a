"""Looks up files by content hash, as exact search stores it, or by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from codeindexd.storage.catalog.rows import STORED_FILE, STORED_FILE_OF_ENTRY, stored_file
from codeindexd.storage.sqlite import Reader
from codeindexd.types import NodeKind, Outcome, StoredFile

UNINDEXED = f"outcome <> {int(Outcome.INDEXED)}"
"""The condition of an index on files: SQLite uses it only for queries that repeat the condition."""

INDEXES = (
    "CREATE INDEX IF NOT EXISTS entry_hash ON entry (hash) WHERE kind = 2",  # NodeKind.FILE
    "CREATE INDEX IF NOT EXISTS file_name ON file (name)",
    f"CREATE INDEX IF NOT EXISTS file_unindexed ON file (outcome, reason) WHERE {UNINDEXED}",
)
_PAGE = 5_000
_CONTENTS = f"""
SELECT f.file_id, e.hash FROM file f JOIN entry e ON e.parent = f.parent AND e.name = f.name
WHERE f.outcome = {int(Outcome.INDEXED)} AND f.file_id > ? ORDER BY f.file_id LIMIT {_PAGE}
"""  # noqa: S608


def files_with_hashes(reader: Reader, content_hashes: Sequence[bytes]) -> list[StoredFile]:
    """Return the indexed files whose content has one of these hashes."""
    rows = reader.rows_in(
        lambda marks: f"{STORED_FILE_OF_ENTRY} WHERE e.kind = {int(NodeKind.FILE)} AND e.hash IN ({marks})",
        content_hashes,
    )
    files = map(stored_file, rows)
    return [file for file in files if file.outcome is Outcome.INDEXED]


def files_named(reader: Reader, names: Sequence[bytes]) -> list[StoredFile]:
    """Return the indexed files that have one of ``names`` (last path components)."""
    rows = reader.rows_in(
        lambda marks: f"{STORED_FILE} WHERE f.outcome = {int(Outcome.INDEXED)} AND f.name IN ({marks})", names
    )
    return list(map(stored_file, rows))


def indexed_content_hashes(reader: Reader) -> Iterator[bytes]:
    """Yield the content hash of every indexed file; a hash repeats if several files have equal content."""
    last = 0
    while True:
        rows = reader.rows(_CONTENTS, (last,))
        yield from (row[1] for row in rows)
        if len(rows) < _PAGE:
            return
        last = rows[-1][0]


def directories_with(reader: Reader, name: bytes) -> list[bytes]:
    """Return the directories that have an entry of this name that is left out."""
    rows = reader.rows(f"SELECT f.parent FROM file f WHERE f.{UNINDEXED} AND f.name = ?", (name,))  # noqa: S608
    return [row[0] for row in rows]


def files_to_read(reader: Reader) -> list[StoredFile]:
    """Return the files of whose content nothing is known: failed or not yet processed."""
    rows = reader.rows(
        f"{STORED_FILE} WHERE f.{UNINDEXED} AND f.outcome IN ({int(Outcome.FAILED)}, {int(Outcome.UNPROCESSED)})"
    )
    return list(map(stored_file, rows))
