"""A full disk: nothing is committed, nothing is lost, and commits work once there is space again."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeindexd.errors import StoreFullError
from codeindexd.storage.catalog import Catalog
from codeindexd.types import Transaction
from storage.catalog.transactions import update
from support.limits import largest_file


def big(number: int) -> Transaction:
    text = " ".join(f"w{number}_{i}" for i in range(300))
    return Transaction(updates=[update(f"d/f{number}_{i}.py", text) for i in range(10)])


def commit_until_full(catalog: Catalog, attempts: int = 200) -> int:
    for number in range(attempts):
        generation, root_hash, counts = catalog.generation, catalog.root_hash, catalog.counts()
        try:
            catalog.commit(big(number))
        except StoreFullError:
            assert (catalog.generation, catalog.root_hash, catalog.counts()) == (generation, root_hash, counts)
            with catalog.snapshot() as snapshot:
                assert len(list(snapshot.all_chunks())) == counts.chunks
            assert catalog.check() == []
            return number
    pytest.fail("it never got full")


def test_a_full_database(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path / "catalog.db", root_id="r")
    catalog._connection.execute("PRAGMA max_page_count = 300")
    number = commit_until_full(catalog)
    catalog._connection.execute("PRAGMA max_page_count = 100000")
    assert len(catalog.commit(big(number)).added) == 3_000
    assert catalog.check() == []
    catalog.close()


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path / "catalog.db", root_id="r")
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with largest_file(2 << 20):
            number = commit_until_full(catalog)
    finally:
        signal.signal(signal.SIGXFSZ, before)
    assert len(catalog.commit(big(number)).added) == 3_000
    assert catalog.checkpoint()
    assert catalog.check() == []
    catalog.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (2 << 20))
    catalog = Catalog.open(small_disk / "catalog.db", root_id="r")
    number = commit_until_full(catalog)
    ballast.unlink()
    assert catalog.commit(big(number)).generation == number + 1
    assert catalog.check() == []
    catalog.close()
    catalog = Catalog.open(small_disk / "catalog.db", root_id="r")
    assert catalog.generation == number + 1
    catalog.close()


def test_no_room_for_a_new_catalog(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
    with pytest.raises(StoreFullError):
        Catalog.open(small_disk / "catalog.db", root_id="r")
    ballast.unlink()
    Catalog.open(small_disk / "catalog.db", root_id="r").close()
