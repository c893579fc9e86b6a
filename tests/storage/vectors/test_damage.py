"""Damage to the vector store that SQLite itself cannot detect, and stores of the version without checksums."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from xxhash import xxh3_128_digest

from codeindexd.errors import StoreDamagedError
from codeindexd.storage.vectors import VectorStore


def item(number: int, dimensions: int = 8) -> tuple[bytes, bytes]:
    return xxh3_128_digest(str(number).encode()), np.full(dimensions, number, dtype="<f2").tobytes()


def items(*numbers: int) -> dict[bytes, bytes]:
    return dict(item(number) for number in numbers)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vectors.db"


def falsify(path: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement, values)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE vector SET data = zeroblob(16) WHERE id = 1",
        "UPDATE vector SET data = substr(data, 1, 14) WHERE id = 1",
        "UPDATE vector SET data = 7 WHERE id = 1",
        "UPDATE vector SET checksum = checksum + 1 WHERE id = 1",
        "UPDATE key SET vector_id = 2 WHERE vector_id = 1",
        "DELETE FROM vector WHERE id = 1",
    ],
)
def test_a_damaged_vector_counts_as_missing_until_it_is_stored_again(path: Path, statement: str) -> None:
    store = VectorStore.open(path)
    for number in (1, 2, 3):
        store.put_many("m", [item(number)])
    store.close()
    falsify(path, statement)
    store, reader = VectorStore.open(path), VectorStore.open(path, read_only=True)
    for one in (store, reader):
        assert one.get_many("m", items(1, 2, 3)) == items(2, 3)
    assert store.check() == ["1 keys have no intact vector"]
    store.put_many("m", items(1, 2).items())
    for one in (store, reader):
        assert one.get_many("m", items(1, 2, 3)) == items(1, 2, 3)
        assert one.check() == []
    store.close()
    reader.close()


def test_a_vector_of_another_model_is_not_returned(path: Path) -> None:
    store = VectorStore.open(path)
    store.put_many("m1", [item(1)])
    store.put_many("m2", [item(2)])
    store.close()
    falsify(path, "UPDATE key SET identity = 2 WHERE identity = 1")
    store = VectorStore.open(path)
    assert store.get_many("m2", items(1, 2)) == items(2)
    store.close()


def test_damaged_dimensions_are_repaired_from_the_vectors(path: Path) -> None:
    store = VectorStore.open(path)
    store.put_many("m", [item(1)])
    store.close()
    falsify(path, "UPDATE identity SET dimensions = 9")
    store = VectorStore.open(path)
    store.put_many("m", [item(2)])
    with pytest.raises(ValueError, match="16 bytes"):
        store.put_many("m", [item(3, 9)])
    assert store.get_many("m", items(1, 2)) == items(1, 2)
    store.close()


def test_a_store_of_the_first_version_keeps_its_vectors(path: Path) -> None:
    store = VectorStore.open(path)
    many = dict(item(number) for number in range(1_234))
    store.put_many("m", many.items())
    store.put_many("other", [item(1, 4)])
    store.close()
    falsify(path, "ALTER TABLE vector DROP COLUMN checksum")
    falsify(path, "PRAGMA user_version = 1")
    assert VectorStore.open(path, read_only=True).get_many("m", many) == {}, "not before the daemon has upgraded it"
    store = VectorStore.open(path)
    assert store.get_many("m", many) == many
    assert store.get_many("other", items(1)) == dict([item(1, 4)])
    assert store.check() == []
    store.put_many("m", [item(5_000)])
    store.close()


def test_intact_vectors_of_a_damaged_file_are_kept_and_readers_follow(path: Path) -> None:
    many = dict(item(number, 256) for number in range(1_000))
    store = VectorStore.open(path)
    store.put_many("m", many.items())
    store.close()
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 & -4096
    content[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    store, reader = VectorStore.open(path), VectorStore.open(path, read_only=True)
    with pytest.raises(StoreDamagedError):
        store.check_structure()
    with pytest.raises(StoreDamagedError):
        reader.get_many("m", many)
    kept = store.repair()
    assert 900 < kept < 1_000
    for one in (store, reader):
        assert one.check() == []
        found = one.get_many("m", many)
        assert len(found) == kept
        assert all(many[digest] == data for digest, data in found.items())
    store.put_many("m", many.items())
    assert store.get_many("m", many) == many
    assert sorted(file.name for file in path.parent.iterdir()) == ["vectors.db", "vectors.db-shm", "vectors.db-wal"]
    store.close()
    reader.close()


@pytest.mark.parametrize("content", [b"", b"not a database at all " * 500])
def test_an_unreadable_file_is_replaced_by_an_empty_store(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    store = VectorStore.open_or_repair(path)
    assert store.count("m") == 0
    store.put_many("m", [item(1)])
    assert store.get_many("m", items(1)) == items(1)
    store.close()
