"""The write-ahead log stays small although there is always a pinned snapshot."""

from __future__ import annotations

import _sqlite3
import contextlib
import ctypes
from pathlib import Path

import pytest

from codeindexd.storage.catalog import Catalog, store
from codeindexd.types import Transaction
from storage.catalog.transactions import leaf, update


def wal(catalog: Catalog) -> int:
    return catalog.path.with_name(catalog.path.name + "-wal").stat().st_size


@pytest.mark.parametrize("by_hand", [True, False])
def test_two_thousand_commits_with_a_snapshot_always_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_hand: bool
) -> None:
    limit = 1 << 20
    monkeypatch.setattr(store, "_LOG_LIMIT", 1 << 40 if by_hand else limit)
    catalog = Catalog.open(tmp_path / "catalog.db", root_id="r")
    current = catalog.snapshot()
    largest = 0
    for number in range(2_000):
        catalog.commit(Transaction(updates=[update(f"d{number % 20}/f.py", f"w{number} same")]))
        previous, current = current, catalog.snapshot()
        previous.close()
        if by_hand and number % 50 == 49:
            assert catalog.checkpoint()
        largest = max(largest, wal(catalog))
        assert current.generation == number + 1
    assert largest < 2 * limit + (512 << 10)
    current.close()
    catalog.close()


def test_commits_without_a_generation_do_not_fill_the_log_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_LOG_LIMIT", 256 << 10)
    catalog = Catalog.open(tmp_path / "catalog.db", root_id="r")
    catalog.commit(Transaction(updates=[update("a", "x")]))
    with catalog.snapshot() as snapshot:
        for seed in range(500):
            catalog.commit(Transaction(touched=[leaf("a", "x", seed=seed)]))
        assert wal(catalog) < 512 << 10
        assert snapshot.generation == 1
    catalog.close()


def test_a_snapshot_of_an_older_generation_keeps_what_it_sees(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path / "catalog.db", root_id="r")
    catalog.commit(Transaction(updates=[update("a", "x")]))
    with catalog.snapshot() as old:
        catalog.commit(Transaction(updates=[update("a", "y")]))
        assert not catalog.checkpoint()
        catalog.commit(Transaction(removals=[b"a"]))
        assert [c.span.symbol for c in old.chunks_of_file(b"a")] == ["x"]
    assert catalog.checkpoint()
    catalog.close()


def test_pins_moved_by_a_checkpoint_are_stable_again(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path / "catalog.db", root_id="r")
    catalog.commit(Transaction(updates=[update("a", "x")]))
    with catalog.snapshot() as pinned:
        assert catalog.checkpoint()
        for word in ("y", "z"):
            catalog.commit(Transaction(updates=[update("a", word)]))
            catalog.checkpoint()
        assert [c.span.symbol for c in pinned.chunks_of_file(b"a")] == ["x"]
        assert pinned.generation == 1
    catalog.close()


def test_free_pages_are_returned(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path / "catalog.db", root_id="r")
    text = " ".join(f"w{i}" for i in range(2_000))
    catalog.commit(Transaction(updates=[update(f"f{i}", text) for i in range(5)]))
    catalog.checkpoint()
    before = catalog.path.stat().st_size
    catalog.commit(Transaction(removals=[b""]))
    catalog.vacuum(100_000)
    catalog.checkpoint()
    assert catalog.path.stat().st_size < before / 5
    assert catalog.check() == []
    catalog.close()


def sqlite_memory() -> int:
    library = ctypes.CDLL(_sqlite3.__file__)
    library.sqlite3_memory_used.restype = ctypes.c_int64
    return int(library.sqlite3_memory_used())


@pytest.mark.skipif(not hasattr(_sqlite3, "__file__"), reason="SQLite's own figures are out of reach in this Python")
def test_release_caches_frees_pages_and_readers(tmp_path: Path) -> None:
    before = sqlite_memory()
    catalog = Catalog.open(tmp_path / "catalog.db", root_id="r")
    for start in range(0, 4_000, 500):
        catalog.commit(Transaction(updates=[update(f"d{n}/f.py", f"w{n} same") for n in range(start, start + 500)]))
    snapshots = [catalog.snapshot() for _ in range(5)]
    for snapshot in snapshots:
        assert len(list(snapshot.files())) == 4_000
        assert len(snapshot.chunks(snapshot.all_chunk_ids().tolist())) >= 4_000
    for snapshot in snapshots:
        snapshot.close()
    busy = sqlite_memory() - before
    catalog.release_caches()
    at_rest = sqlite_memory() - before
    assert at_rest < busy / 4
    assert at_rest < 3 << 20
    with contextlib.closing(catalog.snapshot()) as snapshot:
        assert len(list(snapshot.files())) == 4_000
    assert catalog.commit(Transaction(updates=[update("more.py", "w")])).generation == 9
    catalog.close()
