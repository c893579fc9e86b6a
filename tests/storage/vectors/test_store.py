"""The vector store: what it stores, for which identity, how much, and what its readers see."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xxhash import xxh3_128_digest

from codeindexd.errors import StoreDamagedError, StoreFullError
from codeindexd.storage.sqlite import remove_database
from codeindexd.storage.vectors import VectorStore, today
from support.limits import largest_file

DIMENSIONS = 8


def vector(number: int, dimensions: int = DIMENSIONS) -> bytes:
    return np.full(dimensions, number, dtype="<f2").tobytes()


def item(number: int, dimensions: int = DIMENSIONS) -> tuple[bytes, bytes]:
    return xxh3_128_digest(str(number).encode()), vector(number, dimensions)


def items(*numbers: int) -> dict[bytes, bytes]:
    return dict(item(number) for number in numbers)


def emptied(path: Path) -> VectorStore:
    remove_database(path)
    return VectorStore.open(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "vectors.db"


@pytest.fixture
def store(path: Path) -> Iterator[VectorStore]:
    store = VectorStore.open(path)
    yield store
    store.close()


def test_stored_vectors_are_returned_by_identity(store: VectorStore) -> None:
    store.put_many("m1", items(1, 2).items())
    store.put_many("m2", [item(1, 4)])
    assert store.get_many("m1", items(1, 2, 3)) == items(1, 2)
    assert store.get_many("m2", items(1, 2)) == dict([item(1, 4)])
    assert store.get_many("m3", items(1)) == {}
    assert store.get_many("m1", []) == {}
    assert store.known("m1", items(2, 3)) == set(items(2))
    assert (store.count("m1"), store.count("m2"), store.count("m3")) == (2, 1, 0)
    assert store.check() == []


def test_known_vectors_stay_as_they_are(store: VectorStore) -> None:
    (digest, first), (_, other) = item(1), item(2)
    store.put_many("m", [(digest, first)])
    store.put_many("m", [(digest, other), item(3)])
    store.put_many("m", [])
    assert store.get_many("m", [digest, *items(3)]) == {digest: first, **items(3)}


def test_many_at_once(store: VectorStore, path: Path) -> None:
    many = items(*range(2_345))
    store.put_many("m", many.items())
    assert store.get_many("m", [*many, *many]) == many
    store.close()
    store = VectorStore.open(path)
    store.put_many("m", [item(5_000)])
    assert store.get_many("m", many) == many
    assert store.check() == []
    store.close()


@pytest.mark.parametrize("bad", [vector(1, DIMENSIONS + 1), vector(1)[:-1], b""])
def test_a_vector_of_another_length_is_refused_with_its_batch(store: VectorStore, bad: bytes) -> None:
    store.put_many("m", [item(1)])
    with pytest.raises(ValueError, match="16 bytes"):
        store.put_many("m", [item(2), (b"h" * 16, bad)])
    assert store.known("m", items(1, 2)) == set(items(1))
    with pytest.raises(ValueError, match="float16"):
        store.put_many("new", [(b"h" * 16, b"")])
    store.put_many("new", [item(1, 3)])


def test_nobody_else_may_read_it(path: Path) -> None:
    before = os.umask(0)
    try:
        store = VectorStore.open(path)
        store.put_many("m", [item(1)])
        assert {p.stat().st_mode & 0o777 for p in path.parent.iterdir()} == {0o600}
        assert len(list(path.parent.iterdir())) == 3
        assert path.parent.stat().st_mode & 0o777 == 0o700
        store.close()
    finally:
        os.umask(before)


# readers


def test_a_reader_waits_for_the_store_without_error(path: Path) -> None:
    reader = VectorStore.open(path, read_only=True)
    assert reader.get_many("m", items(1)) == {}
    path.parent.mkdir()
    path.touch()
    assert (reader.known("m", items(1)), reader.count("m"), reader.size_bytes(), reader.check()) == (set(), 0, 0, [])
    half_made = sqlite3.connect(path)
    half_made.execute("PRAGMA journal_mode = WAL")
    assert reader.get_many("m", items(1)) == {}
    half_made.close()
    writer = VectorStore.open(path)
    assert reader.get_many("m", items(1)) == {}
    writer.put_many("m", [item(1)])
    assert reader.get_many("m", items(1)) == items(1)
    writer.close()
    writer = emptied(path)
    assert reader.get_many("m", items(1)) == {}
    writer.put_many("m", [item(2)])
    assert reader.get_many("m", items(1, 2)) == items(2)
    with pytest.raises(StoreFullError):
        reader.put_many("m", [item(3)])
    reader.close()
    writer.close()
    assert not path.with_name("vectors.db-wal").exists()


_READER = """
import sys
from pathlib import Path
from codeindexd.storage.sqlite import remove_database
from codeindexd.storage.vectors import VectorStore, today
store = VectorStore.open(Path(sys.argv[1]), read_only=True)
print("ready", flush=True)
for line in sys.stdin:
    print(len(store.known("m", [bytes.fromhex(line.strip())])), flush=True)
"""


def test_another_process_sees_what_is_committed(path: Path) -> None:
    command = [sys.executable, "-c", _READER, str(path)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    digest = next(iter(items(1)))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask() -> int:
            assert process.stdin is not None
            assert process.stdout is not None
            print(digest.hex(), file=process.stdin, flush=True)
            return int(process.stdout.readline())

        assert process.stdout.readline() == "ready\n"
        assert ask() == 0
        store = VectorStore.open(path)
        assert ask() == 0
        store.put_many("m", [item(1)])
        assert ask() == 1
        store.close()
        assert ask() == 1
        process.stdin.close()


def test_threads_take_turns(store: VectorStore) -> None:
    stop = threading.Event()

    def read() -> int:
        seen = 0
        while not stop.is_set():
            seen = len(store.get_many("m", items(*range(100))))
        return seen

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for number in range(100):
                store.put_many("m", [item(number)])
        finally:
            stop.set()
        assert all(reader.result() <= 100 for reader in readers)
    assert store.count("m") == 100


# size


def fill(store: VectorStore, identity: str, first: int, count: int, day: int) -> dict[bytes, bytes]:
    many = dict(item(number, 256) for number in range(first, first + count))
    store.put_many(identity, many.items(), day=day)
    return many


def test_pruning_drops_other_identities_then_the_least_recently_used(store: VectorStore) -> None:
    old = fill(store, "now", 0, 1_000, day=100)
    new = fill(store, "now", 1_000, 1_000, day=150)
    fill(store, "gone", 2_000, 1_000, day=160)
    full = store.size_bytes()
    assert store.prune(full, keep=["now"]) == 0
    dropped = store.prune(full * 3 // 4, keep=["now"])
    assert 600 < dropped < 900
    assert (store.count("now"), store.count("gone")) == (2_000, 1_000 - dropped)
    store.prune(full // 2, keep=["now"])
    assert store.size_bytes() <= full // 2
    assert store.count("gone") == 0
    assert len(store.known("now", new)) == 1_000
    assert len(store.known("now", old)) < 1_000
    assert store.prune(0) > 1_000
    assert (store.count("now"), store.prune(0)) == (0, 0)
    assert store.check() == []


def test_a_store_over_its_budget_keeps_vectors_in_use(store: VectorStore) -> None:
    yesterday = today() - 1
    held = fill(store, "m", 0, 1_000, day=yesterday)
    fill(store, "m", 1_000, 1_000, day=yesterday)
    full = store.size_bytes()
    assert store.keep_within(full, "m", lambda: [held]) == 0
    assert store.keep_within(full - 1, "m", lambda: [list(held)[:500], list(held)[500:]]) > 0
    assert store.keep_within(full * 2 // 3, "m", lambda: [held]) > 0
    assert store.size_bytes() < full * 2 // 3
    assert len(store.known("m", held)) == 1_000


def test_pruning_makes_the_file_smaller(store: VectorStore, path: Path) -> None:
    fill(store, "m", 0, 5_000, day=1)
    store.prune(1 << 30)
    before = path.stat().st_size + path.with_name("vectors.db-wal").stat().st_size
    store.prune(500_000)
    assert path.stat().st_size <= 500_000 < before
    assert path.with_name("vectors.db-wal").stat().st_size == 0


def test_recent_use_protects_a_vector(store: VectorStore) -> None:
    first, second = fill(store, "m", 0, 500, day=10), fill(store, "m", 500, 500, day=11)
    store.mark_used("m", first, day=40)
    store.mark_used("none", first, day=40)
    store.prune(store.size_bytes() // 2 + 40_000)
    assert len(store.known("m", first)) == 500
    assert len(store.known("m", second)) < 300
    third = fill(store, "m", 0, 500, day=90)
    assert len(store.known("m", third)) == 500


def test_use_is_recorded_once_a_week_at_most(store: VectorStore) -> None:
    some = fill(store, "m", 0, 100, day=10)
    connection = store._connection
    assert connection is not None
    before = connection.total_changes
    store.mark_used("m", some, day=16)
    assert connection.total_changes == before
    store.mark_used("m", some, day=17)
    assert connection.total_changes == before + 100


# trouble


@pytest.mark.parametrize("content", [b"not a database at all " * 50, b"SQLite format 3\0" + b"\xff" * 5_000])
def test_a_damaged_store_is_replaced(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StoreDamagedError):
        VectorStore.open(path)
    reader = VectorStore.open(path, read_only=True)
    with pytest.raises(StoreDamagedError):
        reader.get_many("m", items(1))
    store = emptied(path)
    store.put_many("m", [item(1)])
    assert reader.get_many("m", items(1)) == items(1)
    store.close()
    reader.close()


@pytest.mark.parametrize("statement", ["PRAGMA user_version = 9", "PRAGMA application_id = 1"])
def test_another_schema_is_refused(path: Path, statement: str) -> None:
    VectorStore.open(path).close()
    other = sqlite3.connect(path)
    other.execute(statement)
    other.close()
    with pytest.raises(StoreDamagedError):
        VectorStore.open(path)


def test_a_truncated_file_is_found_when_it_is_read(path: Path) -> None:
    store = VectorStore.open(path)
    many = fill(store, "m", 0, 2_000, day=1)
    store.close()
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(StoreDamagedError), closing(VectorStore.open(path)) as opened:
        opened.get_many("m", many)


def test_a_deleted_store_is_noticed(path: Path, store: VectorStore) -> None:
    path.unlink()
    with pytest.raises(StoreDamagedError):
        store.put_many("m", [item(1)])
    with pytest.raises(StoreDamagedError):
        store.get_many("m", items(1))


def test_a_full_disk_stores_nothing_and_later_puts_work(store: VectorStore) -> None:
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with largest_file(1 << 20), pytest.raises(StoreFullError):
            fill(store, "m", 0, 5_000, day=1)
    finally:
        signal.signal(signal.SIGXFSZ, before)
    assert store.count("m") == 0
    assert len(fill(store, "m", 0, 5_000, day=1)) == store.count("m") == 5_000
    assert store.check() == []


put_and_reopen = st.tuples(st.sampled_from(["m1", "m2"]), st.lists(st.integers(0, 30), max_size=8), st.booleans())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["m1", "m2"]), st.lists(st.integers(0, 30), max_size=8), st.booleans()), max_size=8
    )
)
def test_any_sequence_leaves_what_a_dictionary_would(path: Path, puts: list[tuple[str, list[int], bool]]) -> None:
    path.unlink(missing_ok=True)
    store = emptied(path)
    model: dict[str, dict[bytes, bytes]] = {"m1": {}, "m2": {}}
    for identity, numbers, reopen in puts:
        store.put_many(identity, items(*numbers).items())
        model[identity] = items(*numbers) | model[identity]
        if reopen:
            store.close()
            store = VectorStore.open(path)
    everything = items(*range(31))
    assert {identity: store.get_many(identity, everything) for identity in model} == model
    assert store.check() == []
    store.close()
