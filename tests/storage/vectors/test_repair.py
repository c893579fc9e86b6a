"""Repair of a vector store: intact vectors survive a full disk, a lack of open files and a kill at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from xxhash import xxh3_128_digest

from codeindexd.errors import StoreDamagedError, StoreFullError
from codeindexd.storage.vectors import VectorStore
from support.limits import largest_file, no_open_files

pytestmark = pytest.mark.processes

MANY = {xxh3_128_digest(str(n).encode()): np.full(256, n, dtype="<f2").tobytes() for n in range(1_000)}
MORE = {b"m" * 16: bytes(512)}


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "vectors.db"
    store = VectorStore.open(path)
    store.put_many("m", MANY.items())
    store.close()
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield path
    signal.signal(signal.SIGXFSZ, before)


def break_a_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 & -4096
    content[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(content)


def files(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir())


def test_a_damaged_store_that_cannot_be_repaired_now_is_repaired_at_its_next_use(path: Path) -> None:
    break_a_page(path)
    store = VectorStore.open(path)
    with largest_file(1 << 18):
        for _ in range(2):
            with pytest.raises(StoreFullError) as caught:
                store.repair_if_damaged(thoroughly=True)
            assert caught.value.hint
            assert files(path) == ["vectors.db", "vectors.db-shm", "vectors.db-wal"]
        with pytest.raises(StoreFullError):
            store.put_many("m", MORE.items())
    store.put_many("m", MORE.items())
    assert store.get_many("m", MORE) == MORE
    assert 900 < len(store.get_many("m", MANY)) < 1_000
    assert store.check() == []
    store.close()


def test_a_deleted_store_that_cannot_be_recreated_now_is_recreated_at_its_next_use(path: Path) -> None:
    store = VectorStore.open(path)
    for file in path.parent.iterdir():
        file.unlink()
    with largest_file(4096), pytest.raises(StoreFullError):
        store.repair_if_damaged()
    store.put_many("m", MORE.items())
    assert store.get_many("m", [*MANY, *MORE]) == MORE
    store.close()


def test_a_store_that_cannot_be_opened_at_the_start_is_opened_at_its_next_use(path: Path) -> None:
    with no_open_files():
        store = VectorStore.open_or_repair(path)
        with pytest.raises(StoreFullError):
            store.known("m", MANY)
    store.put_many("m", MORE.items())
    assert store.known("m", [*MANY, *MORE]) == {*MANY, *MORE}
    store.close()
    with pytest.raises(StoreFullError, match="not open"):
        store.put_many("m", MORE.items())
    with pytest.raises(StoreFullError, match="not open"):
        store.repair()


def test_a_lack_of_open_files_during_a_repair_loses_no_vector(path: Path) -> None:
    store = VectorStore.open(path)
    with no_open_files(), pytest.raises(StoreFullError):
        store.repair()
    assert store.known("m", MANY) == MANY.keys()
    store.close()


_MENDER = """
import os, signal, sys
from pathlib import Path
from codeindexd.storage.vectors import VectorStore

passing = int(sys.argv[2])

def deadly(call):
    def wrapper(*arguments, **more):
        global passing
        passing -= 1
        if passing == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **more)
    return wrapper

store = VectorStore.open(Path(sys.argv[1]))
store.put_many("m", [(b"m" * 16, bytes(512))])  # only in the write-ahead log
os.unlink, os.rename, os.open = deadly(os.unlink), deadly(os.rename), deadly(os.open)
assert store.repair() == 1001
store.close()
"""


def test_a_kill_at_any_step_of_a_repair_loses_no_vector(path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    whole = {name: (path.parent / name).read_bytes() for name in files(path)}
    for passing in range(1, 40):
        for name in files(path):
            (path.parent / name).unlink()
        for name, content in whole.items():
            (path.parent / name).write_bytes(content)
        status = subprocess.run([sys.executable, "-c", _MENDER, str(path), str(passing)], env=env).returncode
        store = VectorStore.open_or_repair(path)
        assert store.known("m", [*MANY, *MORE]) == {*MANY, *MORE}, f"killed at step {passing}"
        assert store.check() == []
        store.close()
        assert files(path) == ["vectors.db"]
        if status == 0:
            break
        assert status == -signal.SIGKILL
    assert status == 0
    assert passing > 8


def test_an_unfinished_copy_never_replaces_the_file(path: Path) -> None:
    path.with_name("vectors.db.new").write_bytes(path.read_bytes()[:8192])
    store = VectorStore.open(path)
    assert store.known("m", MANY) == MANY.keys()
    store.close()
    assert files(path) == ["vectors.db"]


def test_only_a_thorough_check_finds_hidden_damage(path: Path) -> None:
    break_a_page(path)
    store = VectorStore.open_or_repair(path)
    store.repair_if_damaged()
    with pytest.raises(StoreDamagedError):
        store.check_structure()
    store.repair_if_damaged(thoroughly=True)
    store.check_structure()
    assert 900 < len(store.get_many("m", MANY)) < 1_000
    store.close()
