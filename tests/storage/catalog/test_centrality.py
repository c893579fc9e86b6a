"""How central files are: computed from a catalog, and kept in it."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from codeindexd.errors import StoreDamagedError, StoreFullError
from codeindexd.storage.catalog import Catalog
from codeindexd.storage.catalog.centrality import Centrality, compute_centrality
from codeindexd.types import FileUpdate, Transaction
from storage.catalog.test_references import opened, update

CORE = b"def build_engine():\n    pass\n"
USER = b"from core import build_engine\n\n\ndef user_%d():\n    build_engine()\n"


def filled(tmp_path: Path, users: int = 3) -> Catalog:
    catalog = opened(tmp_path)
    using = [update(b"user_%d.py" % number, USER % number, number + 2) for number in range(users)]
    catalog.commit(Transaction(updates=[update(b"core.py", CORE), *using]))
    return catalog


def rank_of(catalog: Catalog, centrality: Centrality, path: bytes) -> float:
    with catalog.snapshot() as snapshot:
        file = snapshot.file(path)
    assert file is not None
    return float(centrality.of([file.file_id])[0])


def test_the_file_that_others_use_is_the_most_central(tmp_path: Path) -> None:
    catalog = filled(tmp_path)
    found = compute_centrality(catalog.path)
    assert found.generation == catalog.generation
    assert rank_of(catalog, found, b"core.py") == found.ranks.max() > 0 > rank_of(catalog, found, b"user_0.py")
    catalog.close()


def test_fields_that_methods_assign_to_do_not_count(tmp_path: Path) -> None:
    catalog = filled(tmp_path)
    before = rank_of(catalog, compute_centrality(catalog.path), b"core.py")
    assigned = b"class Job:\n    def __init__(self):\n        self.build_engine = 1\n"
    catalog.commit(Transaction(updates=[update(b"job.py", assigned, 9)]))
    assert rank_of(catalog, compute_centrality(catalog.path), b"job.py") < 0
    declared = b"class Job:\n    build_engine = 1\n"
    catalog.commit(Transaction(updates=[update(b"job.py", declared, 9)]))
    assert rank_of(catalog, compute_centrality(catalog.path), b"core.py") < before
    catalog.close()


def test_samples_in_documents_do_not_count(tmp_path: Path) -> None:
    catalog = filled(tmp_path)
    before = rank_of(catalog, compute_centrality(catalog.path), b"core.py")
    sample = update(b"guide.md", USER % 9, 9)
    document = FileUpdate(
        sample.entry,
        sample.outcome,
        "markdown",
        "utf-8",
        bytes(16),
        definitions=sample.definitions,
        references=sample.references,
    )
    catalog.commit(Transaction(updates=[document]))
    found = compute_centrality(catalog.path)
    assert rank_of(catalog, found, b"core.py") == before
    assert math.isnan(rank_of(catalog, found, b"guide.md"))
    catalog.close()


def test_it_is_kept_without_a_new_generation(tmp_path: Path) -> None:
    catalog = filled(tmp_path)
    assert catalog.centrality is None
    found, generation = compute_centrality(catalog.path), catalog.generation
    catalog.set_centrality(found)
    assert catalog.generation == generation
    assert catalog.check() == []
    catalog.close()
    catalog = opened(tmp_path)
    assert catalog.centrality is not None
    assert catalog.centrality.generation == generation
    assert np.array_equal(catalog.centrality.file_ids, found.file_ids)
    assert np.array_equal(catalog.centrality.ranks, found.ranks)
    catalog.close()


def test_files_that_are_not_ranked_have_no_number() -> None:
    nothing = Centrality(1, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))
    assert np.isnan(nothing.of([1, 2])).all()
    some = Centrality(1, np.array([2, 5]), np.array([0.5, -1.0], dtype=np.float32))
    assert some.of([5, 3, 2, 9])[[0, 2]].tolist() == [-1.0, 0.5]
    assert np.isnan(some.of([5, 3, 2, 9])[[1, 3]]).all()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE centrality SET version = version + 1",
        "UPDATE centrality SET ranks = x'00'",
        "UPDATE centrality SET file_ids = substr(file_ids, 9)",
        "UPDATE centrality SET file_ids = zeroblob(length(file_ids))",
        "UPDATE centrality SET ranks = CAST(x'0000c07f' || substr(ranks, 5) AS BLOB)",
        "UPDATE centrality SET ranks = 7",
    ],
)
def test_what_cannot_be_used_is_as_if_never_computed(tmp_path: Path, damage: str) -> None:
    catalog = filled(tmp_path)
    catalog.set_centrality(compute_centrality(catalog.path))
    catalog.close()
    connection = sqlite3.connect(catalog.path)
    connection.execute(damage)
    connection.commit()
    connection.close()
    catalog = opened(tmp_path)
    assert catalog.centrality is None
    catalog.close()


def test_a_catalog_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    with pytest.raises((StoreDamagedError, StoreFullError)):
        compute_centrality(tmp_path / "missing.db")
    (tmp_path / "odd.db").write_bytes(b"no database" * 400)
    with pytest.raises(StoreDamagedError):
        compute_centrality(tmp_path / "odd.db")
