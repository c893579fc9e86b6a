"""Stores of roots that are not used: closed, and opened again by the next use."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from codeindexd.errors import StoreFullError
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.storage.resting import AwakeStores
from codeindexd.storage.vectors import VectorStore
from codeindexd.types import Transaction
from storage import index_writers
from storage.index_writers import dense_ids, found, open_index
from support.limits import no_open_files

pytestmark = pytest.mark.anyio


class Stores:
    def __init__(self, *, busy: bool = False) -> None:
        self.busy = busy
        self.rests = 0

    def rest(self) -> bool:
        self.rests += not self.busy
        return not self.busy


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_least_recently_used_stores_beyond_the_limit_rest() -> None:
    awake = AwakeStores(3)
    stores = [Stores() for _ in range(5)]
    for one in stores[:3]:
        awake.mark_used(one)
    awake.mark_used(stores[0])
    for one in stores[3:]:
        awake.mark_used(one)
    wait_until(lambda: len(awake) == 3)
    assert [one.rests for one in stores] == [0, 1, 1, 0, 0]


def test_stores_in_use_are_passed_over() -> None:
    awake = AwakeStores(1)
    busy, idle, last = Stores(busy=True), Stores(), Stores()
    for one in (busy, idle, last):
        awake.mark_used(one)
    wait_until(lambda: idle.rests == 1)
    busy.busy = False
    wait_until(lambda: len(awake) == 1)


def save(path: str, word: str) -> Transaction:
    """Return a change that leaves no projection behind."""
    [update] = index_writers.save(path, word).updates
    trigrams = np.array([1, 2, 3], dtype="<u4").tobytes()
    return Transaction(updates=[replace(update, trigrams=trigrams)])


@pytest.fixture
def index(tmp_path: Path) -> Iterator[IndexWriter]:
    vectors = VectorStore.open(tmp_path / "vectors.db")
    index = open_index(tmp_path, vectors)
    yield index
    index.close()
    vectors.close()


def open_files(index: IndexWriter) -> list[str]:
    links = list(Path("/proc/self/fd").iterdir())
    return [target for link in links if (target := os.path.realpath(link)).startswith(f"{index.directory}/")]


@pytest.mark.skipif(sys.platform != "linux", reason="lists descriptors by /proc")
async def test_an_index_at_rest_has_no_open_files_and_answers_as_before(index: IndexWriter) -> None:
    await index.write(index.commit, save("a.py", "alpha"))
    root_hash = index.catalog.root_hash
    for _ in range(3):
        assert index.rest()
        assert open_files(index) == []
        assert (index.current.generation, index.current.identity) == (1, "space-one")
        assert (index.catalog.generation, index.catalog.root_hash) == (1, root_hash)
        assert index.catalog.counts().files == 1
        assert index.catalog.failures() == []
        assert open_files(index) == [], "none of these needs a file"
        assert found(index, "alpha") == dense_ids(index) == [1]
        assert open_files(index)


async def test_an_index_at_rest_is_written_as_before(index: IndexWriter) -> None:
    for generation, word in enumerate(["alpha", "beta", "gamma"], 1):
        await index.write(index.commit, save("a.py", word))
        assert index.rest()
        assert index.rest(), "it rests already"
        assert index.current.generation == generation
    assert found(index, "gamma") == dense_ids(index) == [3]
    assert found(index, "beta") == []
    assert (index.lag.lexical, index.lag.dense) == (False, False)


async def test_a_catalog_at_rest_is_read_without_the_projections(index: IndexWriter) -> None:
    await index.write(index.commit, save("a.py", "alpha"))
    assert index.rest()
    assert index.catalog.tree().directories() == [b""]
    with index.catalog.snapshot() as snapshot:
        assert snapshot.generation == 1
        assert not index.rest(), "a snapshot is in use"
    assert index.rest()


async def test_an_index_in_use_does_not_rest(index: IndexWriter) -> None:
    await index.write(index.commit, save("a.py", "alpha"))
    with index.current.pin() as snapshot:
        assert not index.rest()
        assert snapshot is not None
        assert list(snapshot.catalog.all_chunks())
    assert index.rest()
    assert await index.write(index.rest) is False, "it is used by a writing thread, which may call anything"


async def test_a_projection_damaged_at_rest_is_rebuilt_and_reported(index: IndexWriter) -> None:
    lags: list[bool] = []
    index.on_lag = lambda: lags.append(True)
    await index.write(index.commit, save("a.py", "alpha"))
    assert index.rest()
    (index.directory / "lexical/meta.json").write_text("{")
    assert found(index, "alpha") == []
    assert index.lag.lexical
    assert lags == [True]


async def test_a_moment_without_open_files_is_an_error_of_one_query(index: IndexWriter) -> None:
    await index.write(index.commit, save("a.py", "alpha"))
    assert index.rest()
    with no_open_files(), pytest.raises(StoreFullError):
        found(index, "alpha")
    assert found(index, "alpha") == [1]


async def test_queries_commits_and_rests_at_once(index: IndexWriter) -> None:
    await index.write(index.commit, save("a.py", "alpha"))
    errors: list[BaseException] = []
    stop = threading.Event()

    def repeat(function: Callable[[], object]) -> None:
        try:
            while not stop.is_set():
                function()
        except BaseException as error:
            errors.append(error)
            raise

    def query() -> None:
        with index.current.pin() as snapshot:
            assert snapshot is not None
            assert snapshot.generation == snapshot.lexical.generation
            assert len(list(snapshot.catalog.all_chunks())) == len(snapshot.dense.ids()) == 1

    threads = [threading.Thread(target=repeat, args=(function,)) for function in (query, query, index.rest)]
    for thread in threads:
        thread.start()
    for number in range(30):
        await index.write(index.commit, save("a.py", f"word{number}"))
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors
    assert index.current.generation == 31
