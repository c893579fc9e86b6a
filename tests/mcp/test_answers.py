"""Budgets and pages of answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeindexd.mcp import tokens
from codeindexd.mcp.answers import Part, as_json, assembled, budget_with, page_of


def test_a_part_costs_its_larger_form() -> None:
    assert Part("a", {"path": "a", "line": 1, "text": "a"}).cost > tokens.count("a") + 5
    assert Part("a " * 100, 1).cost == tokens.count("a " * 100) + 1


def test_notes_stand_after_the_parts_in_both_forms() -> None:
    answer = assembled([Part("one", 1), Part("two", 2)], "items", budget_with(100, ["late", "late"]), more=None)
    assert answer.text == "one\ntwo\nNote: late"
    assert answer.structured == {"items": [1, 2], "notes": ["late"]}


def test_notes_take_at_most_a_quarter() -> None:
    budget = budget_with(400, [f"note {number} {'x ' * 40}" for number in range(50)])
    assert 0 < len(budget.notes) < 5
    assert budget.left >= 400 - 100 - 30


def test_a_long_note_is_cut() -> None:
    assert len(budget_with(10_000, ["x" * 5000]).notes[0]) < 500


def test_pages_follow_each_other() -> None:
    costs = [10, 10, 10, 50, 10]
    assert [list(page_of(costs, page, room=30, most=2)) for page in (1, 2, 3, 4)] == [[0, 1], [2], [3], [4]]
    assert not page_of(costs, 5, room=30, most=2)
    assert not page_of([], 1, room=30, most=2)


@given(st.lists(st.integers(1, 100), max_size=30), st.integers(1, 200), st.integers(1, 10))
def test_pages_leave_nothing_out_and_repeat_nothing(costs: list[int], room: int, most: int) -> None:
    seen: list[int] = []
    for page in range(1, 40):
        shown = page_of(costs, page, room=room, most=most)
        assert len(shown) <= most
        assert len(shown) < 2 or sum(costs[one] for one in shown) <= room
        seen += shown
    assert seen == list(range(len(costs)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("word", 1),
        ("two words", 2),
        ("def f(x):\n    return x + 12345", 11),
        ("identifierOfLength", 3),
        ("\n\n    ", 1),
        ("->", 1),
        ("日本", 3),
    ],
)
def test_tokens_are_estimated(text: str, expected: int) -> None:
    assert tokens.count(text) == expected


def test_json_is_compact_and_not_escaped() -> None:
    assert as_json({"a": ["é", 1]}) == '{"a":["é",1]}'
