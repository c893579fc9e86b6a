"""Snapshots after temporary errors: the next query is answered, and never from two generations."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeindexd.errors import FailedError, StoreFullError
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.storage.vectors import VectorStore
from storage.index_writers import dense_ids, found, open_index, save
from support.limits import no_open_files, unreadable

pytestmark = pytest.mark.anyio


@pytest.fixture
def index(tmp_path: Path) -> Iterator[IndexWriter]:
    vectors = VectorStore.open(tmp_path / "vectors.db")
    index = open_index(tmp_path, vectors)
    yield index
    index.close()
    vectors.close()


def symbols(index: IndexWriter) -> list[str]:
    with index.current.pin() as snapshot:
        assert snapshot is not None
        return [chunk.span.symbol for chunk in snapshot.catalog.all_chunks()]


def interrupt(index: IndexWriter) -> None:
    """Make every further statement of the published snapshot fail."""
    with index.current.pin() as snapshot:
        assert snapshot is not None
        connection = snapshot.catalog._reader._connection
        assert connection is not None
        connection.set_progress_handler(lambda: 1, 1)


async def test_queries_are_answered_after_failed_maintenance(index: IndexWriter) -> None:
    index.commit(save("a.py", "alpha"))
    interrupt(index)
    with pytest.raises(StoreFullError):
        await index.maintain(lambda: False)
    assert symbols(index) == ["alpha"]
    assert found(index, "alpha") == dense_ids(index) == [1]
    assert index.current.generation == 1
    assert await index.maintain(lambda: False)
    index.commit(save("a.py", "beta"))
    assert symbols(index) == ["beta"]
    assert index.catalog.checkpoint(), "no snapshot was left behind"


@pytest.mark.skipif(sys.platform != "linux", reason="swaps descriptors by /proc")
async def test_a_snapshot_never_changes_its_generation_after_a_failed_read(index: IndexWriter) -> None:
    index.commit(save("a.py", "alpha"))
    await index.maintain(lambda: False)
    with index.current.pin() as snapshot:
        assert snapshot is not None
        connection = snapshot.catalog._reader._connection
        assert connection is not None
        connection.execute("PRAGMA shrink_memory")
        with unreadable(index.catalog.path), pytest.raises(StoreFullError):
            snapshot.catalog.chunks_of_file(b"a.py")
        index.commit(save("a.py", "beta"))
        with pytest.raises(FailedError, match="closed"):
            snapshot.catalog.chunks_of_file(b"a.py")
    assert symbols(index) == ["beta"]


async def test_a_lost_snapshot_is_not_renewed_while_a_commit_is_unpublished(index: IndexWriter) -> None:
    index.commit(save("a.py", "alpha"))
    interrupt(index)
    with pytest.raises(StoreFullError):
        await index.maintain(lambda: False)
    index.catalog.commit(save("a.py", "beta"))  # the readers do not see it yet
    with pytest.raises(FailedError, match="closed"):
        symbols(index)
    index.commit(save("b.py", "gamma"))
    assert symbols(index) == ["beta", "gamma"]


async def test_a_lost_snapshot_is_renewed_when_files_can_be_opened_again(index: IndexWriter) -> None:
    index.commit(save("a.py", "alpha"))
    interrupt(index)
    with pytest.raises(StoreFullError):
        await index.maintain(lambda: False)
    index.catalog.release_caches()
    with no_open_files(), pytest.raises(FailedError, match="closed"):
        symbols(index)
    assert symbols(index) == ["alpha"]
