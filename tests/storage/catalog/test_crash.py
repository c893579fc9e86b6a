"""``kill -9`` at any moment: no commit is lost, and none is partial."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from codeindexd.storage.catalog import Catalog
from storage.catalog.catalog_writer import transaction_of
from support.killing import killer

pytestmark = pytest.mark.processes

_KILLS = 25


def test_a_killed_writer_leaves_whole_generations(tmp_path: Path) -> None:
    chance = random.Random(3)
    reference = Catalog.open(tmp_path / "reference.db", root_id="r")
    with killer("storage.catalog.catalog_writer", tmp_path) as kill_after:
        for _ in range(_KILLS):
            printed = kill_after(chance.randint(1, 40))
            _compare(Catalog.open(tmp_path / "catalog.db", root_id="r"), reference, printed)
    reference.close()


def _compare(catalog: Catalog, reference: Catalog, printed: int) -> None:
    assert catalog.generation in (printed, printed + 1)
    assert catalog.check() == []
    while reference.generation < catalog.generation:
        reference.commit(transaction_of(reference.generation + 1))
    assert catalog.root_hash == reference.root_hash
    with catalog.snapshot() as mine, reference.snapshot() as other:
        assert list(mine.all_chunks()) == list(other.all_chunks())
        assert list(mine.files()) == list(other.files())
    catalog.close()
