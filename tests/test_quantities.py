from __future__ import annotations

import pytest

from codeindexd.quantities import quantity


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0 files"), (1, "1 file"), (2, "2 files"), (1903, "1,903 files"), (1_000_000, "1,000,000 files")],
)
def test_a_noun_has_the_number_of_its_quantity(number: int, shown: str) -> None:
    assert quantity(number, "file") == shown


def test_a_plural_may_be_irregular() -> None:
    assert [quantity(number, "entry", "entries") for number in (1, 2)] == ["1 entry", "2 entries"]
