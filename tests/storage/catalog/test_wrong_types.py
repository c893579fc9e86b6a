"""Values of wrong types: one flipped bit turns an empty text into a number, which SQLite's checks may accept."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from codeindexd.errors import StoreDamagedError
from codeindexd.storage.catalog import Catalog
from codeindexd.storage.catalog.rows import get_text, put_text
from codeindexd.types import Failure, Transaction
from storage.catalog.transactions import failed, skipped, update


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "catalog.db"
    catalog = Catalog.open(path, root_id="r")
    updates = [
        update("src/a.py", "alpha beta"),
        skipped("b.bin"),
        failed("c.py"),
        skipped("d.key", "sensitive", "*.key"),
    ]
    catalog.commit(Transaction(updates=updates, failures=[Failure(b"c.py", "parse", "odd", 1, 5, quarantined=False)]))
    catalog.close()
    return path


def without_types(path: Path, statement: str) -> int:
    """Run a statement without the column types, which would convert the values."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        kept = connection.execute("SELECT rowid, sql FROM sqlite_master WHERE type = 'table'").fetchall()
        connection.execute("PRAGMA writable_schema = ON")
        for rowid, sql in kept:
            bare = (
                sql.replace(" TEXT", "")
                .replace(" INTEGER NOT NULL", " NOT NULL")
                .replace("file_id INTEGER,", "file_id,")
            )
            connection.execute("UPDATE sqlite_master SET sql = ? WHERE rowid = ?", (bare, rowid))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        changed = connection.execute(statement).rowcount
        connection.execute("PRAGMA writable_schema = ON")
        connection.executemany(
            "UPDATE sqlite_master SET sql = ? WHERE rowid = ?", [(sql, rowid) for rowid, sql in kept]
        )
    return changed


# by table: its key, the columns that never hold a number, and those that never hold a blob
COLUMNS = {
    "state": ("one", "skipped", "generation next_file next_chunk files chunks failed pending"),
    "entry": ("name", "parent name hash reason rule", "kind size mtime_ns ctime_ns inode file_id"),
    "file": ("file_id", "parent name language encoding fingerprint reason chunk_ids chunk_kinds", "outcome"),
    "chunk": ("chunk_id", "kind symbol symbols span_hash embed_hash", "file_id start_byte end_byte end_line terms"),
    "kind": ("code", "name", ""),
    "symbol": ("name", "name", "chunk_id"),
    "failure": ("name", "parent name stage error", "attempts next_retry_ns quarantined"),
}
CASES = [
    (table, column, value)
    for table, (_, textual, numeric) in COLUMNS.items()
    for columns, value in ((textual, "1"), (numeric, "x'ff00ff'"))
    for column in columns.split()
]


@pytest.mark.parametrize(("table", "column", "value"), CASES)
def test_a_value_of_a_wrong_type_is_found_as_damage(path: Path, table: str, column: str, value: str) -> None:
    key = COLUMNS[table][0]
    where = f"WHERE {key} = (SELECT max({key}) FROM {table})"
    assert without_types(path, f"UPDATE {table} SET {column} = {value} {where}") > 0
    with pytest.raises(StoreDamagedError) as caught:
        Catalog.open(path, root_id="r", verify=True)
    assert caught.value.hint
    try:
        catalog = Catalog.open(path, root_id="r")
    except StoreDamagedError:
        return
    assert catalog.check() != []
    catalog.close()


def test_text_is_text_or_damage() -> None:
    for text in ("", "abc", "é", "\udcff"):
        assert get_text(put_text(text)) == text
    for odd in (1, 0, 2.5, None, b"\xff\xff"):
        with pytest.raises(StoreDamagedError):
            get_text(odd)


@pytest.mark.parametrize(("table", "column"), [("entry", "reason"), ("file", "reason"), ("chunk", "symbol")])
def test_reading_a_row_with_a_wrong_type_raises_damage_only(path: Path, table: str, column: str) -> None:
    without_types(path, f"UPDATE {table} SET {column} = 1")
    catalog = Catalog.open(path, root_id="r")
    with catalog.snapshot() as snapshot, pytest.raises(StoreDamagedError, match="instead of text"):
        list(snapshot.all_chunks() if table == "chunk" else snapshot.files())
    catalog.close()
