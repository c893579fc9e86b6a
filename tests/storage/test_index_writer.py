"""The index writer with real stores: the catalog is committed first, and projections that lag catch up."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import pytest
import xxhash
from msgspec.structs import replace

from codeindexd.analysis.trigrams import trigrams_of
from codeindexd.errors import AlreadyRunningError, StoreDamagedError, StoreFullError
from codeindexd.storage.catalog.skipped_texts import ReadText
from codeindexd.storage.durable import lock_directory
from codeindexd.storage.lexical import Lexical, LexicalQuery
from codeindexd.storage.recovery import TRUST_MARKER, mark_possible_damage
from codeindexd.storage.sqlite import remove_database
from codeindexd.storage.text import Document
from codeindexd.storage.text.index import Thresholds
from codeindexd.storage.vectors import VectorStore
from codeindexd.types import Entry, FileStat, FileUpdate, Move, NodeKind, Outcome, Transaction, VectorSpace
from storage.index_writers import SPACE, catch_up, dense_ids, found, open_index, save, vector_of
from support.limits import no_open_files


@pytest.fixture
def vectors(tmp_path: Path) -> Iterator[VectorStore]:
    store = VectorStore.open(tmp_path / "vectors.db")
    yield store
    store.close()


def test_no_merge_drops_the_text_of_a_skipped_file_while_it_is_recorded(
    tmp_path: Path, vectors: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = FileStat(10, 1, 1, 1)
    reason = xxhash.xxh3_128_digest(b"generated")
    entry = Entry(b"yarn.lock", NodeKind.FILE, reason, stat, "generated")
    index = open_index(tmp_path, vectors)
    index.commit(Transaction(updates=[FileUpdate(entry, Outcome.SKIPPED)]))
    index.text._thresholds = Thresholds(fan_in=2)
    back, other = (Document(xxhash.xxh3_128_digest(text), trigrams_of(text)) for text in (b"needle", b"other"))
    for document in (back, other):  # of earlier versions of files
        index.text.apply(1, [document])
        index.text.flush()
    record = index.catalog.set_read_texts

    def record_beside_merges(texts: Sequence[ReadText]) -> None:
        index._maintain_text(lambda: False)
        record(texts)
        index._maintain_text(lambda: False)

    monkeypatch.setattr(index.catalog, "set_read_texts", record_beside_merges)
    with index.catalog.snapshot() as snapshot:
        (skipped,) = snapshot.skipped_texts(0)
    index.add_read_texts([ReadText(skipped.file_id, back.content, stat)], [back])
    assert index.text.missing_from([back.content]) == []
    with index.current.pin() as current:
        assert current is not None
        (skipped,) = current.catalog.skipped_texts(current.read_round)
        assert skipped.content == back.content
        assert skipped.content in current.text.contents()
    index.close()


def test_a_pinned_snapshot_sees_one_generation(tmp_path: Path, vectors: VectorStore) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha"))
    with index.current.pin() as before:
        index.commit(save("a.py", "beta"))
        assert before is not None
        assert [c.span.symbol for c in before.catalog.chunks_of_file(b"a.py")] == ["alpha"]
        assert before.lexical.search(LexicalQuery(words=["beta"]), 5) == []
        assert before.lexical.generation == before.generation == before.dense.generation == 1
    assert found(index, "alpha") == []
    assert len(found(index, "beta")) == 1
    index.close()


@pytest.mark.parametrize("store", ["lexical", "dense"])
def test_a_projection_that_missed_commits_catches_up(tmp_path: Path, vectors: VectorStore, store: str) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha", "gamma"))
    index.close()
    shutil.copytree(tmp_path / "root" / store, tmp_path / "old")
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha", "beta"))
    index.commit(save("b.py", "delta"))
    index.close()
    shutil.rmtree(tmp_path / "root" / store)
    shutil.copytree(tmp_path / "old", tmp_path / "root" / store)

    index = open_index(tmp_path, vectors)
    assert getattr(index.lag, store)
    if store == "lexical":
        assert catch_up(index) == 2, "only what was missing"
    else:
        index.catch_up_dense()
    assert not getattr(index.lag, store)
    assert [len(found(index, word)) for word in ("alpha", "beta", "gamma", "delta")] == [1, 1, 0, 1]
    with index.catalog.snapshot() as snapshot:
        assert sorted(dense_ids(index)) == snapshot.all_chunk_ids().tolist()
    assert not index.pending_vectors
    index.close()


@pytest.mark.parametrize("store", ["lexical", "dense"])
def test_a_projection_ahead_of_its_catalog_is_rebuilt(tmp_path: Path, vectors: VectorStore, store: str) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha"))
    index.close()
    shutil.copy(tmp_path / "root/catalog.db", tmp_path / "old.db")
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "beta"))
    index.close()
    for name in ("catalog.db-wal", "catalog.db-shm"):
        (tmp_path / "root" / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "old.db", tmp_path / "root/catalog.db")

    index = open_index(tmp_path, vectors)
    assert getattr(index.lag, store)
    assert any(store in note for note in index.lag.notes)
    catch_up(index)
    index.catch_up_dense()
    assert [len(found(index, word)) for word in ("alpha", "beta")] == [1, 0]
    assert len(dense_ids(index)) == 1
    index.close()


@pytest.mark.parametrize("victim", ["catalog.db", "lexical", "dense"])
def test_only_a_damaged_store_is_rebuilt(tmp_path: Path, vectors: VectorStore, victim: str) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha"))
    index.close()
    place = tmp_path / "root" / victim
    for file in [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]:
        file.write_bytes(b"garbage" * 100)
    index = open_index(tmp_path, vectors)
    assert index.lag.notes
    if victim == "catalog.db":
        index.commit(save("a.py", "alpha"))
    else:
        catch_up(index)
        index.catch_up_dense()
    assert len(found(index, "alpha")) == 1
    assert len(dense_ids(index)) == 1
    index.close()


def test_vectors_that_are_added_later_are_pending_until_then(tmp_path: Path, vectors: VectorStore) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha", "beta", vector=False))
    assert len(found(index, "alpha")) == 1, "text does not wait"
    assert dense_ids(index) == []
    ids = sorted(index.pending_vectors)
    index.add_vectors({ids[0]: vector_of("alpha")})
    assert dense_ids(index) == ids[:1]
    index.close()
    index = open_index(tmp_path, vectors)
    assert sorted(index.pending_vectors) == ids[1:], "known after a restart"
    index.commit(save("copy.py", "alpha", vector=False))
    assert len(dense_ids(index)) == 2, "a copy takes the vector that is there"
    index.close()


def test_readers_that_could_not_switch_do_so_when_the_commit_is_repeated(tmp_path: Path, vectors: VectorStore) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha"))
    change = save("b.py", "beta", vector=False)
    with index.catalog.snapshot(), no_open_files(), pytest.raises(StoreFullError):  # it holds the last idle reader
        index.commit(change)
    assert index.catalog.generation == 2, "it was the switch that failed, not the commit"
    index.commit(change)
    assert index.current.generation == 2
    assert index.lag.lexical, "a projection needs descriptors, too"
    assert catch_up(index) == 1
    assert found(index, "beta")
    index.close()


def test_a_snapshot_that_cannot_be_published_is_closed(
    tmp_path: Path, vectors: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = open_index(tmp_path, vectors)

    def fail(_: Lexical) -> NoReturn:
        raise StoreFullError("too many open files")

    before = len(index.catalog._open_snapshots)
    with monkeypatch.context() as once:
        once.setattr(Lexical, "snapshot", fail)
        with pytest.raises(StoreFullError):
            index.commit(save("a.py", "alpha"))
    assert len(index.catalog._open_snapshots) == before, "an open one keeps the write-ahead log from being emptied"
    index.close()


def test_a_failed_open_leaves_no_store_locked(tmp_path: Path, vectors: VectorStore) -> None:
    open_index(tmp_path, vectors).close()
    lock = lock_directory(tmp_path / "root/dense" / SPACE.identity, "dense index")
    with pytest.raises(AlreadyRunningError, match="dense"):
        open_index(tmp_path, vectors)
    os.close(lock)
    open_index(tmp_path, vectors).close()


def test_an_open_without_free_descriptors_loses_nothing(tmp_path: Path, vectors: VectorStore) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha"))
    index.commit(save("a.py", "beta"))
    index.close()
    for spare in count():
        mark_possible_damage(tmp_path / "root")  # so that all checksums are verified
        with suppress(StoreFullError), no_open_files(spare):
            index = open_index(tmp_path, vectors, VectorSpace("space-two", 8), old=SPACE)
            break
    assert spare > 5
    assert index.lag.notes == []
    assert found(index, "beta") == dense_ids(index) == [2]
    assert index.current.identity == SPACE.identity
    index.close()


def test_a_store_that_fails_to_close_leaves_no_other_open(tmp_path: Path, vectors: VectorStore) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha"))
    ends = os.pipe()
    os.dup2(ends[0], index.dense._state.log._log)  # a pipe cannot be synced
    index.close()
    for end in ends:
        os.close(end)
    again = open_index(tmp_path, vectors)
    assert found(again, "alpha") == dense_ids(again) == [1]
    again.close()


def test_a_file_with_a_chunk_that_cannot_be_added_is_processed_again(tmp_path: Path, vectors: VectorStore) -> None:
    """Its file was moved meanwhile. A move keeps the chunk, so nothing else would ever add its terms."""
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha"))
    index.close()
    shutil.rmtree(tmp_path / "root/lexical")
    index = open_index(tmp_path, vectors)
    assert list(index.find_missing_lexical()) == [b"a.py"]
    moved = Move(b"a.py", replace(save("a.py", "alpha").updates[0].entry, path=b"b.py"))
    index.commit(Transaction(moves=[moved]))
    again = index.mark_lexical_current()
    assert [entry.path for entry in again] == [b"b.py"]
    assert [entry.path for entry in index.catalog.unprocessed()] == [b"b.py"], "known after a kill"
    assert index.lexical.generation == index.catalog.generation
    index.commit(save("b.py", "alpha"))
    assert len(found(index, "alpha")) == len(dense_ids(index)) == 1
    assert index.catalog.check() == []
    index.close()


def test_files_to_process_are_returned_again_after_a_failed_call(
    tmp_path: Path, vectors: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha"))
    index.commit(save("b.py", "beta"))
    index.close()
    shutil.rmtree(tmp_path / "root/lexical")
    index = open_index(tmp_path, vectors)
    assert len(index.find_missing_lexical()) == 2
    apply = Lexical.apply

    def full(self: Lexical, generation: int, *rest: Any, **more: Any) -> None:
        if not (rest or more.get("delete_paths")):  # the stamp, not the commit before it
            raise StoreFullError("no space left on device")
        apply(self, generation, *rest, **more)

    with monkeypatch.context() as once:
        once.setattr(Lexical, "apply", full)
        with pytest.raises(StoreFullError):
            index.mark_lexical_current()
    assert index.lag.lexical
    assert list(index.find_missing_lexical()) == [], "the catalog has no chunks of these files any more"
    again = index.mark_lexical_current()
    assert [entry.path for entry in again] == [b"a.py", b"b.py"]
    for entry, word in zip(again, ("alpha", "beta"), strict=True):
        index.commit(save(entry.path.decode(), word))
    assert [len(found(index, word)) for word in ("alpha", "beta")] == [1, 1]
    index.close()


def test_a_projection_catches_up_with_a_catalog_that_lost_commits(tmp_path: Path, vectors: VectorStore) -> None:
    """A lagging projection takes in commits under its old generation; a power loss may undo those in the catalog."""
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha"))
    index.close()
    shutil.copy(tmp_path / "root/catalog.db", tmp_path / "old.db")
    index = open_index(tmp_path, vectors)
    index.lag.lexical = index.lag.dense = True
    index.commit(save("b.py", "beta"))
    assert index.lexical.generation == index.dense.generation == 1
    index.close()
    shutil.copy(tmp_path / "old.db", tmp_path / "root/catalog.db")
    (tmp_path / "root" / TRUST_MARKER).write_text("another-boot 0")

    index = open_index(tmp_path, vectors)
    assert (index.lag.lexical, index.lag.dense) == (True, True), "their generations do not show it"
    catch_up(index)
    index.catch_up_dense()
    assert [len(found(index, word)) for word in ("alpha", "beta")] == [1, 0]
    assert len(dense_ids(index)) == 1
    index.close()


def test_a_catalog_of_another_version_is_rebuilt_and_not_called_damaged(tmp_path: Path, vectors: VectorStore) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha"))
    index.catalog._connection.execute("PRAGMA user_version = 1")
    index.close()
    index = open_index(tmp_path, vectors)
    [note] = index.lag.notes
    assert note.startswith("the catalog was of another version of codeindexd and was rebuilt from the disk")
    index.close()


def test_a_possibly_damaged_catalog_is_verified_before_use(tmp_path: Path, vectors: VectorStore) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha"))
    index.catalog._connection.execute("UPDATE file SET chunk_ids = x'00'")
    index.close()
    mark_possible_damage(tmp_path / "root")
    index = open_index(tmp_path, vectors)
    assert any("catalog was damaged and was rebuilt" in note for note in index.lag.notes)
    index.commit(save("a.py", "alpha"))
    assert len(found(index, "alpha")) == 1
    index.close()


def test_a_root_answers_while_the_vector_store_cannot_be_used(tmp_path: Path, vectors: VectorStore) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha"))
    index.close()
    vectors.close()
    (tmp_path / "vectors.db").rename(tmp_path / "aside")
    (tmp_path / "vectors.db").mkdir()
    store = VectorStore.open_or_repair(tmp_path / "vectors.db")
    index = open_index(tmp_path, store)
    assert found(index, "alpha") == dense_ids(index) == [1]
    change = save("b.py", "beta")
    with pytest.raises(StoreFullError):
        index.commit(change)
    (tmp_path / "vectors.db").rmdir()
    (tmp_path / "aside").rename(tmp_path / "vectors.db")
    index.commit(change)
    assert dense_ids(index) == [1, 2]
    assert store.count(SPACE.identity) == 2
    index.close()
    store.close()


def test_a_deleted_vector_store_is_rebuilt_when_a_root_starts(tmp_path: Path, vectors: VectorStore) -> None:
    index = open_index(tmp_path, vectors)
    index.commit(save("a.py", "alpha"))
    remove_database(vectors.path)
    with pytest.raises(StoreDamagedError):
        index.commit(save("b.py", "beta"))
    index.close()
    index = open_index(tmp_path, vectors)
    index.commit(save("b.py", "beta"))
    assert dense_ids(index) == [1, 2]
    index.close()
