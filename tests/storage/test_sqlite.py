"""What all our SQLite files share: private permissions, and errors translated by what to do."""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path

import pytest

from codeindexd.errors import FailedError, StoreDamagedError, StoreFullError
from codeindexd.storage import sqlite
from codeindexd.storage.sqlite import (
    Reader,
    TranslatedErrors,
    create_private,
    file_identity,
    in_lists,
    remove_database,
    rollback,
)
from support.limits import unreadable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (x UNIQUE); INSERT INTO t VALUES (1), (2)")
    connection.close()
    return path


def error_with(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("odd")
    error.sqlite_errorcode, error.sqlite_errorname = code, "SQLITE_ODD"
    return error


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR | (3 << 8)])
def test_temporary_errors_are_store_full(code: int) -> None:
    with pytest.raises(StoreFullError, match="SQLITE_ODD"), TranslatedErrors(Path("x")):
        raise error_with(code)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR | (2 << 8)])
def test_permanent_errors_are_damage(code: int) -> None:
    with pytest.raises(StoreDamagedError), TranslatedErrors(Path("x")):
        raise error_with(code)


def test_misuse_is_not_translated(path: Path) -> None:
    reader = Reader(path)
    with pytest.raises(sqlite3.ProgrammingError):
        reader.rows("SELECT ?", (1, 2))
    with pytest.raises(ZeroDivisionError), TranslatedErrors(path):
        _ = 1 / 0
    reader.close()


def test_a_locked_database_is_full_and_not_damaged(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.01)
    one, other = sqlite.connect(path, read_only=False), sqlite.connect(path, read_only=False)
    one.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreFullError), TranslatedErrors(path):
        other.execute("BEGIN IMMEDIATE")
    rollback(one)
    rollback(one)
    one.close()
    other.close()


def test_lists_of_all_lengths_make_few_statements() -> None:
    parts = {length: list(in_lists(range(length))) for length in range(1, 1200)}
    assert len({marks for every in parts.values() for marks, _ in every}) == 10
    for length, every in parts.items():
        assert {value for _, values in every for value in values} == set(range(length))
        assert all(marks.count("?") == len(values) <= 512 for marks, values in every)
    assert list(in_lists([])) == []


def test_readers_read_only(path: Path) -> None:
    reader = Reader(path)
    assert reader.rows("SELECT x FROM t ORDER BY x") == [(1,), (2,)]
    assert reader.rows_in(lambda marks: f"SELECT x FROM t WHERE x IN ({marks})", range(-2_000, 2)) == [(1,)]
    assert reader.row("SELECT x FROM t WHERE x = 9") is None
    with pytest.raises(StoreFullError):
        reader.rows("DELETE FROM t")
    with pytest.raises(StoreDamagedError):
        reader.rows("SELECT * FROM not_there")
    reader.close()
    reader.close()
    with pytest.raises(FailedError):
        reader.rows("SELECT 1")


def test_a_pin_that_fails_closes_the_reader(path: Path) -> None:
    reader = Reader(path)
    assert reader.pin("SELECT count(*) FROM t") == (2,)
    with pytest.raises(StoreDamagedError):
        reader.pin("SELECT * FROM not_there")
    with pytest.raises(FailedError):
        reader.row("SELECT 1")
    assert reader.detach() is None


@pytest.mark.skipif(sys.platform != "linux", reason="swaps descriptors by /proc")
def test_a_read_that_ends_the_transaction_closes_a_pinned_reader(path: Path) -> None:
    pinned, loose = Reader(path), Reader(path)
    pinned.pin("SELECT count(*) FROM t")
    for reader in (pinned, loose):
        assert reader.rows("SELECT x FROM t") == [(1,), (2,)]
        assert reader._connection is not None
        reader._connection.execute("PRAGMA shrink_memory")
        with unreadable(path), pytest.raises(StoreFullError):
            reader.rows("SELECT x FROM t")
    assert (pinned.is_closed, loose.is_closed) == (True, False)
    with pytest.raises(FailedError):
        pinned.row("SELECT x FROM t")
    assert loose.rows("SELECT x FROM t") == [(1,), (2,)]
    loose.close()


def test_a_wrong_statement_keeps_the_pin(path: Path) -> None:
    reader = Reader(path)
    reader.pin("SELECT count(*) FROM t")
    with pytest.raises(StoreDamagedError):
        reader.rows("SELECT * FROM not_there")
    with pytest.raises(sqlite3.ProgrammingError):
        reader.row("SELECT ?", (1, 2))
    assert reader.rows("SELECT x FROM t") == [(1,), (2,)]
    reader.close()


def test_a_missing_file_is_damage_for_a_reader(tmp_path: Path) -> None:
    with pytest.raises(StoreDamagedError, match="deleted"):
        Reader(tmp_path / "none.db")


def test_odd_directory_names(tmp_path: Path) -> None:
    path = tmp_path / "a b%20?x#y" / "ü.db"
    create_private(path)
    connection = sqlite.connect(path, read_only=False)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    assert [p.name for p in path.parent.iterdir()] == ["ü.db"]


def test_private_from_the_first_moment_and_narrowed_later(tmp_path: Path) -> None:
    path = tmp_path / "new" / "store.db"
    before = os.umask(0)
    try:
        create_private(path)
    finally:
        os.umask(before)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    path.chmod(0o666)
    create_private(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_database_is_removed_with_all_its_files(path: Path) -> None:
    for suffix in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).write_bytes(b"")
    first = file_identity(path)
    assert first is not None
    remove_database(path)
    remove_database(path)
    assert list(path.parent.iterdir()) == []
    assert file_identity(path) is None
    path.mkdir()
    with pytest.raises(StoreFullError):
        remove_database(path)
