"""The check of a catalog ends soon once the daemon stops: of a very large one, it takes minutes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from codeindexd.errors import ShuttingDownError
from codeindexd.storage import sqlite
from codeindexd.storage.catalog import Catalog, check
from codeindexd.types import Transaction
from storage.catalog.transactions import update


class CancelledError(BaseException):
    """As an event loop raises it."""


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog.open(tmp_path / "catalog.db", root_id="r")
    made.commit(Transaction(updates=[update(f"{number}.py", "alpha beta") for number in range(50)]))
    yield made
    made.close()


def test_it_ends_between_two_rows(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_LOOK_EVERY", 10)
    looks = 0

    def should_stop() -> bool:
        nonlocal looks
        looks += 1
        return looks > 12

    with pytest.raises(ShuttingDownError):
        catalog.check(should_stop)
    assert looks == 13
    assert catalog.check() == []


def test_it_ends_inside_a_statement(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_STEPS_BETWEEN_LOOKS", 1)
    monkeypatch.setattr(check, "_LOOK_EVERY", 1 << 60)
    with pytest.raises(ShuttingDownError):
        catalog.check(lambda: True)
    assert catalog.check() == []


@pytest.mark.parametrize("steps", [1, 1 << 30])
def test_a_cancellation_passes_through(catalog: Catalog, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_STEPS_BETWEEN_LOOKS", steps)

    def cancelled() -> bool:
        raise CancelledError

    with pytest.raises(CancelledError):
        catalog.check(cancelled)
    assert catalog.check() == []
