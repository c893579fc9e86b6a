"""Moves, and paths that change their kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from codeindexd.scan.merkle import Tree
from codeindexd.storage.catalog import Catalog
from codeindexd.types import Entry, Failure, FileUpdate, Move, NodeKind, Outcome, Transaction
from storage.catalog.transactions import directory, leaf, move, raw, skipped, update


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog.open(tmp_path / "catalog.db", root_id="r")
    yield catalog
    assert catalog.check() == []
    catalog.close()


def chunks(catalog: Catalog, path: str) -> tuple[int, list[int]]:
    with catalog.snapshot() as snapshot:
        file = snapshot.file(raw(path))
        assert file is not None
        return file.file_id, [chunk.chunk_id for chunk in snapshot.chunks_of_file(raw(path))]


def same_tree(catalog: Catalog, *entries: Entry) -> bool:
    return catalog.root_hash == Tree.build(entries).root_hash


def test_a_moved_file_keeps_all_its_ids(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[update("a.py", "one two")]))
    committed = catalog.commit(Transaction(moves=[move("a.py", "new/b.py", "one two")]))
    assert (committed.added, committed.removed) == ([], [])
    assert (committed.paths_removed, committed.paths_added) == ([1], [(1, b"new/b.py")])
    assert chunks(catalog, "new/b.py") == (1, [1, 2])
    assert same_tree(catalog, leaf("new/b.py", "one two"))


def test_a_directory_rename_keeps_the_files(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[update("d/a.py", "one"), update("d/x/b.py", "two")]))
    committed = catalog.commit(
        Transaction(
            removals=[b"d", b"d/x"],
            moves=[move("d/a.py", "e/a.py", "one"), move("d/x/b.py", "e/x/b.py", "two")],
            directories=[directory("e"), directory("e/x")],
        )
    )
    assert (committed.added, committed.removed) == ([], [])
    assert chunks(catalog, "e/x/b.py") == (2, [2])
    assert same_tree(catalog, leaf("e/a.py", "one"), leaf("e/x/b.py", "two"))


def test_swaps_and_rings(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[update("a", "one"), update("b", "two"), update("c", "three")]))
    committed = catalog.commit(
        Transaction(moves=[move("a", "b", "one"), move("b", "c", "two"), move("c", "a", "three")])
    )
    assert committed.removed == []
    assert sorted(committed.paths_added) == [(1, b"b"), (2, b"c"), (3, b"a")]
    assert [chunks(catalog, path) for path in "abc"] == [(3, [3]), (1, [1]), (2, [2])]


def test_a_move_onto_a_file_replaces_it(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[update("a", "one"), update("b", "two")]))
    committed = catalog.commit(Transaction(moves=[move("a", "b", "one")]))
    assert (committed.removed, sorted(committed.paths_removed)) == ([2], [1, 2])
    assert chunks(catalog, "b") == (1, [1])


def test_a_move_and_a_new_file_at_its_source(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[update("a", "one")]))
    committed = catalog.commit(Transaction(moves=[move("a", "b", "one")], updates=[update("a", "three")]))
    assert sorted(committed.paths_added) == [(1, b"b"), (2, b"a")]
    assert (chunks(catalog, "b"), chunks(catalog, "a")) == ((1, [1]), (2, [2]))


@pytest.mark.parametrize("source", ["gone", "a", "d"])
def test_a_move_with_a_wrong_source_leaves_its_target_unprocessed(catalog: Catalog, source: str) -> None:
    catalog.commit(Transaction(updates=[update("a", "one")], directories=[directory("d")]))
    catalog.commit(Transaction(moves=[move(source, "b", "other")]))
    assert [entry.path for entry in catalog.unprocessed()] == [b"b"]
    assert catalog.counts().pending == 1


def test_one_source_moves_to_one_target_only(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[update("a", "one")]))
    catalog.commit(Transaction(moves=[move("a", "b", "one"), move("a", "c", "one")]))
    assert chunks(catalog, "b") == (1, [1])
    assert [entry.path for entry in catalog.unprocessed()] == [b"c"]


def test_a_file_becomes_a_directory_and_back(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[update("a", "one"), update("x/y/z", "two")]))
    committed = catalog.commit(Transaction(updates=[update("a/b", "three"), update("x", "four")]))
    assert (sorted(committed.removed), sorted(committed.paths_removed)) == ([1, 2], [1, 2])
    assert same_tree(catalog, leaf("a/b", "three"), leaf("x", "four"))
    catalog.commit(Transaction(removals=[b"a", b"a/b"], updates=[update("a", "one")], directories=[directory("x")]))
    assert same_tree(catalog, leaf("a", "one"), directory("x"))


def test_the_last_of_contradicting_updates_counts(catalog: Catalog) -> None:
    catalog.commit(
        Transaction(updates=[update("a/b", "one"), update("a", "two"), update("c", "one"), update("c/d", "x")])
    )
    assert same_tree(catalog, leaf("a", "two"), leaf("c/d", "x"))


def test_a_leaf_changes_its_kind(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[update("a", "one")]))
    link = leaf("a", "one", kind=NodeKind.SYMLINK)
    committed = catalog.commit(Transaction(updates=[FileUpdate(link, Outcome.SKIPPED)]))
    assert committed.removed == [1]
    assert catalog.counts().skipped == {"symlink": 1}
    assert same_tree(catalog, link)


def test_skipped_leaves_move_too(catalog: Catalog) -> None:
    before = skipped("a.bin")
    catalog.commit(Transaction(updates=[before]))
    target = Entry(b"d/b.bin", NodeKind.SKIPPED, before.entry.hash, None, "binary")
    committed = catalog.commit(Transaction(moves=[Move(b"a.bin", target)]))
    assert (committed.paths_added, committed.paths_removed) == ([], [])
    assert catalog.tree().node(b"d/b.bin") == target


def test_a_failure_moves_with_its_file(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[update("a", "one")], failures=[Failure(b"a", "chunk", "slow", 1, 10)]))
    catalog.commit(Transaction(moves=[move("a", "b", "one")]))
    assert catalog.failures() == [Failure(b"b", "chunk", "slow", 1, 10)]
    assert catalog.counts().failed == 1
