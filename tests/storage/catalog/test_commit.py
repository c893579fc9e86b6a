"""The effect of one commit on tree, ids, chunks and generations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from codeindexd.scan.merkle import Tree
from codeindexd.storage.catalog import Catalog
from codeindexd.types import CommittedChanges, Failure, FileStat, NodeKind, Outcome, StoredFile, Symbol, Transaction
from storage.catalog.transactions import directory, draft, failed, leaf, move, raw, skipped, stat, update


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog.open(tmp_path / "catalog.db", root_id="r")
    yield catalog
    assert catalog.check() == []
    catalog.close()


def chunk_ids(catalog: Catalog, path: str) -> list[int]:
    with catalog.snapshot() as snapshot:
        return [chunk.chunk_id for chunk in snapshot.chunks_of_file(raw(path))]


def file(catalog: Catalog, path: str) -> StoredFile:
    with catalog.snapshot() as snapshot:
        found = snapshot.file(raw(path))
    assert found is not None
    return found


def test_a_new_catalog_is_an_empty_tree_at_generation_zero(catalog: Catalog) -> None:
    assert catalog.generation == 0
    assert catalog.root_hash == Tree.build([]).root_hash
    assert catalog.tree().node(b"") is not None
    assert catalog.tree().children(b"") == {}
    assert catalog.tree().node(b"a") is None


def test_a_commit_assigns_ids_and_one_generation(catalog: Catalog) -> None:
    first, second = update("src/a.py", "one two"), update("b.py", "three")
    committed = catalog.commit(Transaction(updates=[first, second]))
    assert committed.generation == catalog.generation == 1
    assert [(c.chunk_id, c.file_id, c.language) for c in committed.added] == [
        (1, 1, "python"),
        (2, 1, "python"),
        (3, 2, "python"),
    ]
    assert [c.draft for c in committed.added] == [*first.chunks, *second.chunks]
    assert committed.paths_added == [(1, b"src/a.py"), (2, b"b.py")]
    assert catalog.root_hash == Tree.build([first.entry, second.entry]).root_hash
    assert catalog.tree().children(b"src") == {b"a.py": first.entry}


def test_unchanged_chunks_keep_their_ids_and_move(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[update("a.py", "one two three")]))
    committed = catalog.commit(Transaction(updates=[update("a.py", "zero one three")]))
    assert [c.chunk_id for c in committed.added] == [4]
    assert committed.removed == [2]
    assert committed.paths_added == committed.paths_removed == []
    assert chunk_ids(catalog, "a.py") == [4, 1, 3]
    with catalog.snapshot() as snapshot:
        assert [c.span.start_line for c in snapshot.chunks_of_file(b"a.py")] == [1, 2, 3]
    assert file(catalog, "a.py").file_id == 1


def test_equal_chunks_are_matched_in_order(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[update("a.py", "x x x")]))
    committed = catalog.commit(Transaction(updates=[update("a.py", "x y x")]))
    assert (chunk_ids(catalog, "a.py"), committed.removed) == ([1, 4, 2], [3])


def test_other_terms_or_another_language_make_another_chunk(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[update("a.py", "one")]))
    retokenised = replace(update("a.py", "one", fingerprint=b"f2"), chunks=(draft("one", words="on e"),))
    committed = catalog.commit(Transaction(updates=[retokenised]))
    assert ([c.chunk_id for c in committed.added], committed.removed) == ([2], [1])
    committed = catalog.commit(Transaction(updates=[replace(retokenised, language="ruby")]))
    assert ([c.chunk_id for c in committed.added], committed.removed) == ([3], [2])


def test_definitions_of_a_kept_chunk_are_updated(catalog: Catalog) -> None:
    before = update("a.py", "one")
    catalog.commit(Transaction(updates=[before]))
    (name,) = {symbol.name for symbol in before.chunks[0].span.symbols}
    span = replace(before.chunks[0].span, symbols=(Symbol(name, f"Outer.{name}", "method", 0),))
    after = replace(before, fingerprint=b"f2", chunks=(replace(before.chunks[0], span=span),))
    assert catalog.commit(Transaction(updates=[after])).added == []
    with catalog.snapshot() as snapshot:
        assert [symbol.qualified for _, symbol in snapshot.symbols(name)] == [f"Outer.{name}"]


def test_a_chunk_that_defines_other_names_gets_a_new_id(catalog: Catalog) -> None:
    """The lexical index finds it by those names, which may change with the code before the chunk."""
    before = update("a.py", "one")
    catalog.commit(Transaction(updates=[before]))
    span = replace(before.chunks[0].span, symbols=(Symbol("uno", "uno", "function", 0),))
    after = replace(before, fingerprint=b"f2", chunks=(replace(before.chunks[0], span=span),))
    committed = catalog.commit(Transaction(updates=[after]))
    assert ([c.chunk_id for c in committed.added], committed.removed) == ([2], [1])
    with catalog.snapshot() as snapshot:
        assert snapshot.symbols("one") == []
        assert [symbol.name for _, symbol in snapshot.symbols("uno")] == ["uno"]


def test_ids_are_never_reused(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[update("a.py", "one two")]))
    catalog.commit(Transaction(removals=[b"a.py"]))
    committed = catalog.commit(Transaction(updates=[update("a.py", "one two")]))
    assert [(c.chunk_id, c.file_id) for c in committed.added] == [(3, 2), (4, 2)]


def test_a_transaction_that_changes_nothing_uses_no_generation(catalog: Catalog) -> None:
    same = Transaction(updates=[update("a/a.py", "one")], directories=[directory("d")])
    catalog.commit(same)
    for changes in (
        Transaction(),
        same,
        Transaction(removals=[b"gone"]),
        Transaction(touched=[leaf("a/a.py", "other")]),
    ):
        assert catalog.commit(changes) == CommittedChanges(1)


def test_new_stats_are_kept_without_a_generation(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[update("a.py", "one")]))
    assert catalog.commit(Transaction(touched=[leaf("a.py", "one", seed=7)])) == CommittedChanges(1)
    assert file(catalog, "a.py").entry.stat == stat(7)
    wrong_kind = leaf("a.py", "one", seed=8, kind=NodeKind.SYMLINK)
    catalog.commit(Transaction(touched=[wrong_kind, leaf("a.py", "two", seed=9), leaf("new", "one")]))
    assert file(catalog, "a.py").entry.stat == stat(7)
    assert catalog.tree().node(b"new") is None


@pytest.mark.parametrize("odd", [FileStat(0, -1, -(1 << 63), (1 << 64) - 1), FileStat(1 << 70, 1 << 64, 0, 1 << 63)])
def test_stats_of_odd_file_systems_survive(catalog: Catalog, odd: FileStat) -> None:
    entry = replace(leaf("a.py", "one"), stat=odd)
    catalog.commit(Transaction(updates=[replace(update("a.py", "one"), entry=entry)]))
    assert catalog.tree().children(b"")[b"a.py"] == entry
    assert catalog.tree().node(b"a.py") == entry


def test_text_that_is_not_unicode_survives(catalog: Catalog) -> None:
    odd = "caf\udce9 \ud800"
    skip = skipped(b"\xff\xfe/\xe9", "ignored", f".gitignore:1: {odd}")
    named = update("a.py", "one")
    span = replace(named.chunks[0].span, symbol=odd, symbols=(Symbol(odd, odd, "function", 0),))
    named = replace(named, chunks=(replace(named.chunks[0], span=span, words=odd),))
    failure = Failure(b"\xff\xfe/z", "read", odd, 1, 5)
    catalog.commit(Transaction(updates=[skip, named], failures=[failure]))
    assert catalog.tree().node(skip.entry.path) == skip.entry
    assert catalog.failures() == [failure]
    with catalog.snapshot() as snapshot:
        assert [symbol.name for _, symbol in snapshot.symbols(odd)] == [odd]
        assert len(snapshot.chunk_ids(include=["\udcff\udcfe/**"])) == 0


def test_other_outcomes_drop_the_chunks_and_the_path(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[update("a.py", "one"), update("b.py", "two"), update("c.py", "three")]))
    committed = catalog.commit(
        Transaction(
            updates=[failed("a.py", "x"), skipped("b.py"), replace(failed("c.py"), outcome=Outcome.UNPROCESSED)]
        )
    )
    assert (sorted(committed.removed), sorted(committed.paths_removed)) == ([1, 2, 3], [1, 2, 3])
    counts = catalog.counts()
    assert (counts.files, counts.chunks, counts.failed, counts.pending) == (0, 0, 1, 1)
    assert counts.skipped == {"binary": 1}
    assert [entry.path for entry in catalog.unprocessed()] == [b"c.py"]
    again = catalog.commit(Transaction(updates=[update("a.py", "one")]))
    assert again.paths_added == [(1, b"a.py")]


def test_removing_a_directory_removes_everything_below_and_nothing_else(catalog: Catalog) -> None:
    stays = [update(path, path) for path in ("d.x", "d-a/b", "d0", "da", "e/d/x")]
    goes = [update(path, path) for path in ("d/a", "d/b/c/x", "d/b.y")]
    catalog.commit(Transaction(updates=[*stays, *goes], directories=[directory("d/empty")]))
    committed = catalog.commit(Transaction(removals=[b"d", b"d/b", b"d/b/c/x"]))
    assert sorted(committed.removed) == [6, 7, 8]
    assert catalog.root_hash == Tree.build([u.entry for u in stays]).root_hash
    assert len(catalog.commit(Transaction(removals=[b""])).removed) == 5
    assert catalog.root_hash == Tree.build([]).root_hash


def test_a_removal_leaves_the_empty_directory(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[update("d/e/a", "x")]))
    catalog.commit(Transaction(removals=[b"d/e/a"]))
    assert catalog.root_hash == Tree.build([directory("d/e")]).root_hash


def test_the_root_cannot_be_a_file(catalog: Catalog) -> None:
    with pytest.raises(ValueError, match="root"):
        catalog.commit(Transaction(updates=[update("a", "x"), update("", "x")]))
    with pytest.raises(ValueError, match="directories"):
        catalog.commit(Transaction(updates=[replace(update("d"), entry=directory("d"))]))
    assert catalog.counts().files == catalog.generation == 0
    assert catalog.commit(Transaction(updates=[update("a", "x", kind="module")])).generation == 1


def test_the_last_of_two_updates_counts(catalog: Catalog) -> None:
    committed = catalog.commit(Transaction(updates=[update("a", "x"), update("a", "y z")], moves=[move("q", "a", "q")]))
    assert [c.draft.words for c in committed.added] == ["y", "z"]
    assert catalog.counts().pending == 0
