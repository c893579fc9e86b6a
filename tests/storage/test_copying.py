"""The stores of one root as a copy for another: equal at first, and never changed by what the other one does."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
import xxhash

from codeindexd.errors import CodeindexError, FailedError, StoreFullError
from codeindexd.storage import sharing
from codeindexd.storage.catalog import store
from codeindexd.storage.dense import index as dense_index
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.storage.lexical import index as lexical_index
from codeindexd.storage.text import Document
from codeindexd.storage.text import index as text_index
from codeindexd.storage.vectors import VectorStore
from codeindexd.types import Transaction
from storage.index_writers import SPACE, dense_ids, found, open_index, save

WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")


@pytest.fixture
def vectors(tmp_path: Path) -> Iterator[VectorStore]:
    opened = VectorStore.open(tmp_path / "vectors.db")
    yield opened
    opened.close()


@pytest.fixture
def source(tmp_path: Path, vectors: VectorStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexWriter]:
    """An index with several lexical segments, some with deletions, a dense segment and two text segments."""
    monkeypatch.setattr(dense_index, "_SHARED_TAIL_ROWS", 2)
    index = open_index(tmp_path, vectors)
    for number, word in enumerate(WORDS):
        save_text(index, word, f"{word}_too")
        if number == 2:
            index.text.flush()
    index.commit(Transaction(removals=[b"zeta.py"]))
    yield index
    index.close()


def save_text(index: IndexWriter, word: str, *more: str) -> None:
    """Save a file with these words, and add its text to the text index."""
    index.text.apply(index.text.generation, [document(word, *more)])
    index.commit(save(f"{word}.py", word, *more))


def document(*words: str) -> Document:
    content = xxhash.xxh3_128_digest("".join(words).encode())
    text = words[0].encode()
    trigrams = sorted({int.from_bytes(text[at : at + 3], "big") for at in range(len(text) - 2)})
    return Document(content, np.array(trigrams, "<u4"), False)


def copy_of(source: IndexWriter, tmp_path: Path, vectors: VectorStore, name: str = "copy") -> IndexWriter:
    anyio.run(source.copy_to, tmp_path / name, name)
    return IndexWriter(tmp_path / name, root_id=name, vectors=vectors, space=SPACE)


def files_of(index: IndexWriter) -> dict[str, str]:
    """Return the digest of every file of the projections, by its path."""
    return {
        str(path.relative_to(index.directory)): xxhash.xxh3_128_hexdigest(path.read_bytes())
        for name in ("lexical", "dense", "text")
        for path in sorted((index.directory / name).rglob("*"))
        if path.is_file()
    }


def answers(index: IndexWriter) -> dict[str, list[int]]:
    return {word: found(index, word) for word in (*WORDS, "changed")} | {"dense": dense_ids(index)}


def shared(index: IndexWriter) -> set[str]:
    return {name for name in files_of(index) if (index.directory / name).stat().st_nlink > 1}


def test_a_copy_answers_as_its_source_and_lags_behind_nothing(
    source: IndexWriter, tmp_path: Path, vectors: VectorStore
) -> None:
    copy = copy_of(source, tmp_path, vectors)
    assert not copy.lag.has_lag
    assert not copy.lag.notes
    assert not copy.recovery.needs_verify
    assert answers(copy) == answers(source)
    assert copy.catalog.root_hash == source.catalog.root_hash
    assert copy.catalog.generation == source.catalog.generation
    assert copy.catalog.check() == []
    assert sorted(copy.text.missing_from([document(word, f"{word}_too").content for word in WORDS])) == []
    copy.close()


def test_no_file_of_a_copy_has_a_stat(source: IndexWriter, tmp_path: Path, vectors: VectorStore) -> None:
    copy = copy_of(source, tmp_path, vectors)
    for index, has_stat in ((source, True), (copy, False)):
        with index.catalog.snapshot() as snapshot:
            assert {file.entry.stat is not None for file in snapshot.files()} == {has_stat}
    copy.close()


def test_segments_are_shared_and_what_is_written_again_is_not(
    source: IndexWriter, tmp_path: Path, vectors: VectorStore
) -> None:
    copy = copy_of(source, tmp_path, vectors)
    kinds = {name.rpartition(".")[2] for name in shared(copy)}
    assert kinds >= {"term", "idx", "pos", "fast", "store", "del", "i8", "codes", "ids", "trigrams"}
    assert not any(Path(name).name.startswith(("tail", "manifest", "meta", "lock", ".")) for name in shared(copy))
    assert (copy.directory / "catalog.db").stat().st_nlink == 1
    copy.close()


@pytest.mark.parametrize("is_copy", [True, False], ids=["the copy", "the source"])
def test_what_one_root_does_never_changes_a_file_of_the_other(
    source: IndexWriter, tmp_path: Path, vectors: VectorStore, is_copy: bool
) -> None:
    copy = copy_of(source, tmp_path, vectors)
    changing, other = (copy, source) if is_copy else (source, copy)
    names = shared(other)
    before = {name: digest for name, digest in files_of(other).items() if name in names}
    answered = answers(other)
    change_everything(changing)
    assert found(changing, "changed")
    assert {name: digest for name, digest in files_of(other).items() if name in names} == before
    assert answers(other) == answered
    assert anyio.run(other.damaged_files) == []
    assert anyio.run(changing.damaged_files) == []
    copy.close()


def change_everything(index: IndexWriter) -> None:
    """Commit, delete, repair, merge and maintain until every segment has been replaced."""
    for word in WORDS:
        save_text(index, word, "changed")
        index.text.flush()
    index.commit(Transaction(removals=[b"alpha.py", b"beta.py"]))
    with index.catalog.snapshot() as snapshot:
        ids = snapshot.all_chunk_ids().tolist()
    index.discard(lexical=ids[:2], dense=ids[:2], embed_hashes=[], text=[document("gamma", "gamma_too").content])
    index.catch_up_dense()
    index.dense.maintain(lambda: False, dense_index.Thresholds(tail_rows=1, dead_share=0.0, slack=0))
    index.text._thresholds = text_index.Thresholds(fan_in=2)
    index.text.maintain(None, lambda: False)
    for _ in range(3):
        anyio.run(index.maintain, lambda: False)


def test_without_hard_links_files_are_copied(
    source: IndexWriter, tmp_path: Path, vectors: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    copy = copy_of(source, tmp_path, vectors)
    assert not shared(copy)
    assert not copy.lag.has_lag
    assert answers(copy) == answers(source)
    copy.close()


def test_the_catalog_is_cloned_where_the_file_system_can(
    source: IndexWriter, tmp_path: Path, vectors: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloned = []

    def clone(source: int, target: int) -> bool:
        cloned.append(os.pwrite(target, os.pread(source, os.fstat(source).st_size, 0), 0))
        return True

    monkeypatch.setattr(store, "clone_file", clone)
    copy = copy_of(source, tmp_path, vectors)
    assert cloned == [source.catalog.path.stat().st_size]
    assert answers(copy) == answers(source)
    save_text(source, "later")
    assert copy.catalog.check() == source.catalog.check() == []
    copy.close()


def test_a_merge_that_ends_meanwhile_does_not_spoil_a_copy(
    source: IndexWriter, tmp_path: Path, vectors: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def share(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 1:
            raise FileNotFoundError(errno.ENOENT, "replaced by a merge")
        sharing.share_files(*arguments)

    monkeypatch.setattr(lexical_index, "share_files", share)
    copy = copy_of(source, tmp_path, vectors)
    assert len(calls) == 2
    assert answers(copy) == answers(source)
    copy.close()


def test_an_index_that_lags_is_not_copied(source: IndexWriter, tmp_path: Path) -> None:
    source.lag.lexical = True
    with pytest.raises(FailedError, match="being brought up to date"):
        anyio.run(source.copy_to, tmp_path / "copy", "copy")
    assert not (tmp_path / "copy").exists()
    source.lag.lexical = False


def test_a_copy_without_space_leaves_the_source_as_it_is(
    source: IndexWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = answers(source)
    for module in (lexical_index, dense_index, text_index):
        with monkeypatch.context() as broken:
            broken.setattr(module, "share_files", full)
            with pytest.raises(StoreFullError):
                anyio.run(source.copy_to, tmp_path / module.__name__, "copy")
    save_text(source, "later")
    assert found(source, "later")
    assert {word: ids for word, ids in answers(source).items() if word in WORDS} == {
        word: ids for word, ids in before.items() if word in WORDS
    }


def test_a_source_at_rest_wakes_for_a_copy(source: IndexWriter, tmp_path: Path, vectors: VectorStore) -> None:
    expected = answers(source)
    assert source.rest()
    copy = copy_of(source, tmp_path, vectors)
    assert answers(copy) == expected == answers(source)
    copy.close()


def test_a_copy_of_a_copy_is_like_the_first(source: IndexWriter, tmp_path: Path, vectors: VectorStore) -> None:
    copy = copy_of(source, tmp_path, vectors)
    second = copy_of(copy, tmp_path, vectors, "second")
    assert answers(second) == answers(source)
    assert shared(second) == shared(copy)
    copy.close()
    second.close()


def test_a_closed_source_cannot_be_copied(tmp_path: Path, vectors: VectorStore) -> None:
    index = open_index(tmp_path, vectors)
    index.close()
    with pytest.raises(CodeindexError):
        anyio.run(index.copy_to, tmp_path / "copy", "copy")
