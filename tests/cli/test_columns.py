"""Text in the columns of a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeindexd.cli.columns import cut, cut_around, width_of


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("在庫", 4), ("e\u0301", 1), ("", 0)])
def test_wide_characters_take_two_columns_and_marks_none(text: str, width: int) -> None:
    assert width_of(text) == width


@pytest.mark.parametrize(
    ("text", "start", "width", "shown"),
    [
        ("short", 0, 10, "short"),
        ("0123456789abcdef", 0, 10, "012345678…"),
        ("0123456789abcdef", 14, 10, "…cdef"),
        ("0123456789abcdefghijklmnop", 14, 10, "…cdefghij…"),
        ("在庫の数を計算する", 0, 9, "在庫の数…"),
    ],
)
def test_a_line_is_cut_around_its_match(text: str, start: int, width: int, shown: str) -> None:
    assert cut_around(text, start, width) == shown


@given(st.text("ab\u5728", max_size=60), st.integers(0, 59), st.integers(4, 40))
def test_a_cut_line_fits_and_keeps_its_match(text: str, start: int, width: int) -> None:
    start = min(start, max(0, len(text) - 1))
    shown = cut_around(text, start, width)
    assert width_of(shown) <= width
    assert not text or text[start] in shown


def test_the_beginning_is_cut_to_whole_characters() -> None:
    assert cut("在庫", 3) == "在"
    assert cut("abc", 2) == "ab"
    assert cut("abc", -1) == ""
