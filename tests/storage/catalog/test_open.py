"""Opening a catalog: permissions, rejected files, recovery."""

from __future__ import annotations

import os
import random
import sqlite3
from pathlib import Path

import pytest

from codeindexd.errors import FailedError, StoreDamagedError, StoreFullError
from codeindexd.storage.catalog import Catalog
from codeindexd.types import Transaction
from storage.catalog.transactions import update


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "roots" / "r" / "catalog.db"


def fill(path: Path, files: int = 200) -> None:
    catalog = Catalog.open(path, root_id="r")
    catalog.commit(Transaction(updates=[update(f"d{i % 9}/f{i}.py", f"a{i} b{i} c{i}") for i in range(files)]))
    catalog.close()


def test_nobody_else_may_read_it_from_the_first_moment(path: Path) -> None:
    before = os.umask(0)
    try:
        catalog = Catalog.open(path, root_id="r")
        catalog.commit(Transaction(updates=[update("a", "x")]))
        modes = {p.name: p.stat().st_mode & 0o777 for p in path.parent.iterdir()}
        assert modes == {"catalog.db": 0o600, "catalog.db-wal": 0o600, "catalog.db-shm": 0o600}
        assert path.parent.stat().st_mode & 0o777 == 0o700
        catalog.close()
        path.chmod(0o644)
        Catalog.open(path, root_id="r").close()
        assert path.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


def test_it_opens_again_as_it_was(path: Path) -> None:
    catalog = Catalog.open(path, root_id="r")
    catalog.commit(Transaction(updates=[update("a", "x")]))
    before = (catalog.store_uuid, catalog.generation, catalog.root_hash, catalog.counts())
    catalog.close()
    catalog = Catalog.open(path, root_id="r", verify=True)
    assert (catalog.store_uuid, catalog.generation, catalog.root_hash, catalog.counts()) == before
    catalog.close()
    catalog.close()
    with pytest.raises(FailedError):
        catalog.commit(Transaction())
    with pytest.raises(FailedError):
        catalog.snapshot()
    with pytest.raises(FailedError):
        catalog.tree().node(b"")


def test_two_catalogs_are_two_stores(path: Path) -> None:
    first, second = Catalog.open(path, root_id="r"), Catalog.open(path.with_name("2.db"), root_id="r")
    assert first.store_uuid != second.store_uuid
    first.close()
    second.close()


@pytest.mark.parametrize(
    "statement",
    ["PRAGMA user_version = 1", "PRAGMA application_id = 7", "UPDATE meta SET value = 'other' WHERE key = 'root_id'"],
)
def test_a_foreign_file_is_rejected_with_a_hint(path: Path, statement: str) -> None:
    fill(path)
    other = sqlite3.connect(path)
    other.execute(statement)
    other.commit()
    other.close()
    with pytest.raises(StoreDamagedError) as caught:
        Catalog.open(path, root_id="r")
    assert "rebuilt" in caught.value.hint


def test_a_foreign_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir(parents=True)
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    with pytest.raises(StoreDamagedError):
        Catalog.open(path, root_id="r")


def test_a_file_that_is_no_database_is_damaged(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database, but long enough to be looked at" * 100)
    with pytest.raises(StoreDamagedError):
        Catalog.open(path, root_id="r")
    Catalog.remove(path)
    Catalog.open(path, root_id="r").close()


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_damaged(path: Path, keep: float) -> None:
    fill(path)
    os.truncate(path, int(path.stat().st_size * keep))
    with pytest.raises(StoreDamagedError):
        Catalog.open(path, root_id="r")


def test_an_emptied_file_becomes_an_empty_catalog(path: Path) -> None:
    fill(path)
    os.truncate(path, 0)
    catalog = Catalog.open(path, root_id="r")
    assert catalog.generation == 0
    catalog.close()


def test_flipped_bits_are_found_or_harmless_and_never_a_foreign_error(path: Path) -> None:
    fill(path, 60)
    whole = path.read_bytes()
    chance = random.Random(5)
    places = [*range(0, 100, 2), *(chance.randrange(len(whole)) for _ in range(70))]
    refused = 0
    for place in places:
        broken = bytearray(whole)
        broken[place] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        try:
            catalog = Catalog.open(path, root_id="r", verify=True)
        except (StoreDamagedError, StoreFullError):
            refused += 1
            continue
        try:
            catalog.check()
            with catalog.snapshot() as snapshot:
                list(snapshot.all_chunks())
                list(snapshot.files())
            catalog.commit(Transaction(updates=[update("d1/f1.py", "new")]))
        except (StoreDamagedError, StoreFullError):
            refused += 1
        finally:
            catalog.close()
    assert refused > 20


def test_a_deleted_catalog_is_noticed(path: Path) -> None:
    catalog = Catalog.open(path, root_id="r")
    Catalog.remove(path)
    with pytest.raises(StoreDamagedError, match="deleted"):
        catalog.commit(Transaction(updates=[update("a", "x")]))
    with pytest.raises(StoreDamagedError, match="deleted"):
        catalog.snapshot()
    catalog.close()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreFullError):
        Catalog.open(tmp_path / "file" / "catalog.db", root_id="r")


def test_closing_removes_the_side_files(path: Path) -> None:
    fill(path)
    assert [p.name for p in path.parent.iterdir()] == ["catalog.db"]
