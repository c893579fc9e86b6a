"""Failures: stored, due, cleared, counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from codeindexd.storage.catalog import Catalog
from codeindexd.types import CommittedChanges, Failure, Transaction
from storage.catalog.transactions import failed, update


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog.open(tmp_path / "catalog.db", root_id="r")
    yield catalog
    assert catalog.check() == []
    catalog.close()


def failure(path: bytes, retry: int = 0, *, attempts: int = 1, quarantined: bool = False) -> Failure:
    return Failure(path, "chunk", "too slow", attempts, retry, quarantined)


def test_failures_are_sorted_by_path_and_limited(catalog: Catalog) -> None:
    some = [failure(path) for path in (b"b", b"a", b"c/d")]
    catalog.commit(Transaction(failures=some))
    assert catalog.failures() == [some[1], some[0], some[2]]
    assert catalog.failures(limit=1) == [some[1]]
    assert catalog.counts().failed == 3
    assert catalog.generation == 0


def test_only_failures_past_their_retry_time_are_due(catalog: Catalog) -> None:
    late, soon = failure(b"late", 100), failure(b"soon", 50)
    catalog.commit(Transaction(failures=[late, soon, failure(b"when it changes"), failure(b"q", 1, quarantined=True)]))
    assert catalog.failures_due(49) == []
    assert catalog.failures_due(50) == [soon]
    assert catalog.failures_due(1_000) == [soon, late]


def test_an_update_clears_the_failure_unless_it_has_a_new_one(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[failed("a")], failures=[failure(b"a", 5)]))
    assert catalog.counts().failed == 1
    again = failure(b"a", 9, attempts=2)
    catalog.commit(Transaction(updates=[failed("a")], failures=[again]))
    assert catalog.failures() == [again]
    catalog.commit(Transaction(updates=[update("a", "x")]))
    assert catalog.failures() == []
    assert catalog.counts().failed == 0


def test_an_update_that_changes_nothing_still_clears(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[update("a", "x")]))
    catalog.commit(Transaction(failures=[failure(b"a")]))
    assert catalog.commit(Transaction(updates=[update("a", "x")])) == CommittedChanges(1)
    assert catalog.failures() == []


def test_removals_clear_what_is_below_in_the_tree_or_not(catalog: Catalog) -> None:
    catalog.commit(
        Transaction(updates=[failed("d/a")], failures=[failure(p) for p in (b"d/a", b"d/x/y", b"d.x", b"d0")])
    )
    catalog.commit(Transaction(removals=[b"d"]))
    assert [f.path for f in catalog.failures()] == [b"d.x", b"d0"]
    catalog.commit(Transaction(removals=[b"d0"]))
    assert catalog.counts().failed == 1
    catalog.commit(Transaction(removals=[b""]))
    assert catalog.failures() == []


def test_a_file_that_becomes_a_directory_leaves_no_failure(catalog: Catalog) -> None:
    catalog.commit(Transaction(updates=[failed("a")], failures=[failure(b"a")]))
    catalog.commit(Transaction(updates=[update("a/b", "x")]))
    assert catalog.failures() == []


def test_a_retry_time_beyond_64_bits_is_clamped(catalog: Catalog) -> None:
    catalog.commit(Transaction(failures=[failure(b"a", 1 << 80)]))
    assert catalog.failures()[0].next_retry_ns == (1 << 63) - 1
