"""Files by what they hold, which exact search knows by its hash, and by their name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from codeindexd.storage.catalog.rows import STORED_FILE, stored_file
from codeindexd.storage.sqlite import Reader
from codeindexd.types import NodeKind, Outcome, StoredFile

INDEX = "CREATE INDEX IF NOT EXISTS entry_hash ON entry (hash) WHERE kind = 2"  # NodeKind.FILE
_PAGE = 5_000
_BY_HASH = STORED_FILE.replace(
    "FROM file f JOIN entry e ON e.parent = f.parent AND e.name = f.name",
    "FROM entry e CROSS JOIN file f ON f.file_id = e.file_id",
)
_CONTENTS = f"""
SELECT f.file_id, e.hash FROM file f JOIN entry e ON e.parent = f.parent AND e.name = f.name
WHERE f.outcome = {int(Outcome.INDEXED)} AND f.file_id > ? ORDER BY f.file_id LIMIT {_PAGE}
"""  # noqa: S608


def files_with(reader: Reader, contents: Sequence[bytes]) -> list[StoredFile]:
    """Return the indexed files that hold any of ``contents``."""
    rows = reader.rows_in(
        lambda marks: f"{_BY_HASH} WHERE e.kind = {int(NodeKind.FILE)} AND e.hash IN ({marks})", contents
    )
    files = map(stored_file, rows)
    return [file for file in files if file.outcome is Outcome.INDEXED]


def files_named(reader: Reader, names: Sequence[bytes]) -> list[StoredFile]:
    """Return the indexed files with any of these names, in any directory. Reads all files, however many names."""
    rows = reader.rows_in(
        lambda marks: f"{STORED_FILE} WHERE f.outcome = {int(Outcome.INDEXED)} AND f.name IN ({marks})", names
    )
    return list(map(stored_file, rows))


def indexed_contents(reader: Reader) -> Iterator[bytes]:
    """Yield the hash of every indexed file's content; files of equal content come more than once."""
    last = 0
    while True:
        rows = reader.rows(_CONTENTS, (last,))
        yield from (row[1] for row in rows)
        if len(rows) < _PAGE:
            return
        last = rows[-1][0]


def files_without_chunks(reader: Reader, skipped_for: Collection[str]) -> list[StoredFile]:
    """Return the files that are there and not indexed: failed, not processed yet, or skipped for these reasons."""
    marks = ", ".join("?" * len(skipped_for))
    rows = reader.rows(
        f"{STORED_FILE} WHERE f.outcome IN ({int(Outcome.FAILED)}, {int(Outcome.UNPROCESSED)})"
        f" OR (f.outcome = {int(Outcome.SKIPPED)} AND coalesce(nullif(f.reason, ''), e.reason) IN ({marks}))",
        tuple(skipped_for),
    )
    return list(map(stored_file, rows))
