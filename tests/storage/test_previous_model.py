"""The switch from one model to another: which one answers, and until when."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeindexd.errors import StoreFullError
from codeindexd.storage.durable import lock_directory
from codeindexd.storage.previous_model import PreviousModelIndex
from codeindexd.storage.snapshot import SnapshotHolder
from codeindexd.storage.vectors import VectorStore
from codeindexd.types import VectorSpace
from storage.index_writers import SPACE, dense_ids, open_index, save, vector_of

NEW = VectorSpace("space-two", 8)


@pytest.fixture
def vectors(tmp_path: Path) -> Iterator[VectorStore]:
    store = VectorStore.open(tmp_path / "vectors.db")
    yield store
    store.close()


def test_the_previous_model_answers_until_the_new_one_is_complete(tmp_path: Path, vectors: VectorStore) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha"))
    index.close()
    index = open_index(tmp_path, vectors, NEW, old=SPACE)
    assert index.current.identity == SPACE.identity
    assert len(dense_ids(index)) == 1
    index.add_vectors({chunk_id: vector_of("other") for chunk_id in index.pending_vectors})
    assert index.current.identity == NEW.identity
    assert [place.name for place in (tmp_path / "root/dense").iterdir()] == [NEW.identity]
    index.close()


def test_a_previous_model_without_embedder_is_not_kept(tmp_path: Path, vectors: VectorStore) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha"))
    index.close()
    index = open_index(tmp_path, vectors, NEW)
    assert index.current.identity == NEW.identity
    assert dense_ids(index) == []
    assert len(index.pending_vectors) == 1
    index.close()


def test_a_previous_model_ahead_of_the_catalog_is_not_used(tmp_path: Path, vectors: VectorStore) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha"))
    index.close()
    shutil.copy(tmp_path / "root/catalog.db", tmp_path / "old.db")
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "beta"))
    index.close()
    shutil.copy(tmp_path / "old.db", tmp_path / "root/catalog.db")
    index = open_index(tmp_path, vectors, NEW, old=SPACE)
    assert index.previous_model is None
    assert index.current.identity == NEW.identity
    index.close()


def test_a_refused_text_does_not_delay_the_new_model(tmp_path: Path, vectors: VectorStore) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha", "odd"))
    index.close()
    index = open_index(tmp_path, vectors, NEW, old=SPACE)
    known, odd = sorted(index.pending_vectors)
    index.refuse_vectors([odd])
    assert index.current.identity == SPACE.identity, "one vector is still pending"
    index.add_vectors({known: vector_of("other")})
    assert index.current.identity == NEW.identity
    assert dense_ids(index) == [known]
    assert list(index.pending_vectors) == [odd], "status counts it"
    index.commit(save("b.py", "beta"))
    assert len(dense_ids(index)) == 2, "new code is found by its meaning, too"
    index.commit(save("a.py", "alpha"))
    assert (index.pending_vectors, index.refused_vectors) == ({}, set())
    index.close()


@pytest.mark.parametrize("last", ["vector", "refusal"])
def test_the_new_model_takes_over_after_the_last_vector_or_refusal(
    tmp_path: Path, vectors: VectorStore, last: str
) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha", "odd"))
    index.close()
    index = open_index(tmp_path, vectors, NEW, old=SPACE)
    known, odd = sorted(index.pending_vectors)
    if last == "vector":
        index.refuse_vectors([odd])
    index.add_vectors({known: vector_of("other")})
    if last == "refusal":
        index.refuse_vectors([odd])
    assert index.current.identity == NEW.identity
    index.close()


def test_a_model_that_refuses_everything_never_takes_over(tmp_path: Path, vectors: VectorStore) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha"))
    index.close()
    index = open_index(tmp_path, vectors, NEW, old=SPACE)
    index.refuse_vectors(list(index.pending_vectors))
    assert index.current.identity == SPACE.identity
    index.close()


def test_the_more_complete_of_two_previous_models_answers(tmp_path: Path, vectors: VectorStore) -> None:
    second, third = VectorSpace("b", 8), VectorSpace("c", 8)
    first = VectorSpace("z", 8)
    index = open_index(tmp_path, vectors, first)
    index.commit(save("a.py", "alpha", "beta"))
    index.close()
    index = open_index(tmp_path, vectors, second, first=first)
    index.add_vectors({1: vector_of("other")})
    index.close()
    index = open_index(tmp_path, vectors, third, first=first, second=second)
    assert index.current.identity == first.identity
    assert sorted(dense_ids(index)) == [1, 2]
    assert sorted(place.name for place in (tmp_path / "root/dense").iterdir()) == ["c", "z"]
    index.close()


def test_a_previous_model_locked_by_another_process_is_kept(tmp_path: Path, vectors: VectorStore) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha"))
    index.close()
    lock = lock_directory(tmp_path / "root/dense" / SPACE.identity, "dense index")
    index = open_index(tmp_path, vectors, NEW, old=SPACE)
    assert index.current.identity == NEW.identity
    index.close()
    os.close(lock)
    index = open_index(tmp_path, vectors, NEW, old=SPACE)
    assert (index.current.identity, dense_ids(index)) == (SPACE.identity, [1])
    index.close()


def test_a_damaged_previous_model_is_deleted(tmp_path: Path, vectors: VectorStore) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha"))
    index.close()
    (tmp_path / "root/dense" / SPACE.identity / "manifest.json").write_text("{")
    index = open_index(tmp_path, vectors, NEW, old=SPACE)
    assert index.current.identity == NEW.identity
    assert [place.name for place in (tmp_path / "root/dense").iterdir()] == [NEW.identity]
    index.close()


@pytest.mark.parametrize(
    "step", [(SnapshotHolder, "publish"), (PreviousModelIndex, "__init__")], ids=["the last step", "its own"]
)
def test_a_temporary_error_does_not_delete_the_previous_model(
    tmp_path: Path, vectors: VectorStore, monkeypatch: pytest.MonkeyPatch, step: tuple[type, str]
) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha"))
    index.close()

    def fail(*_: object) -> None:
        raise StoreFullError("too many open files")

    with monkeypatch.context() as once:
        once.setattr(*step, fail)
        with pytest.raises(StoreFullError):
            open_index(tmp_path, vectors, NEW, old=SPACE)
    index = open_index(tmp_path, vectors, NEW, old=SPACE)
    assert (index.current.identity, dense_ids(index)) == (SPACE.identity, [1])
    index.close()


def test_dense_contents_are_those_of_the_new_model(tmp_path: Path, vectors: VectorStore) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha", "beta"))
    index.close()
    index = open_index(tmp_path, vectors, NEW, old=SPACE)
    for expected in ([], [1], [1, 2]):
        wanted, held = index.dense_contents()
        assert wanted.tolist() == held.tolist() == expected
        index.add_vectors({chunk_id: vector_of("other") for chunk_id in list(index.pending_vectors)[:1]})
    index.dense.apply(index.dense.generation, add=[], remove=[2])
    wanted, held = index.dense_contents()
    assert (wanted.tolist(), held.tolist()) == ([1, 2], [1])
    index.close()
    index.close()
