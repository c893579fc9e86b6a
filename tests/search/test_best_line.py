"""Which line of a hit an editor should open."""

from __future__ import annotations

import pytest

from codeindexd.search.best_line import BestLine, NamePlace, definition_around, name_place
from codeindexd.search.query import parse
from codeindexd.types import Symbol

LINES = [
    "@decorated",
    "def open_session(self, request):",
    '    """Open the session of a request."""',
    "    if request.cookie is None:",
    '        raise SessionError("no cookie: giving up")',
    "    return self.session_of(request.cookie)",
]
SYMBOLS = [Symbol("open_session", "Sessions.open_session", "method", 0)]


@pytest.mark.parametrize(
    ("best", "line"),
    [
        (BestLine(text="no cookie: giving up", stems=["sess"]), 4),
        (BestLine(text="NO COOKIE: giving up"), 4),
        (BestLine(literals=["self.session_of("], stems=["open", "sess"]), 5),
        (BestLine(text="raise SessionError", literals=["self.session_of("]), 5),  # what is quoted comes first
        (BestLine(regexes=parse("/if .* None/").regexes), 3),
        (BestLine(names=["open_session"], stems=["open", "session"]), 1),
        (BestLine(names=["request"]), 1),
        (BestLine(stems=["how", "cooki", "rais"]), 4),
        (BestLine(stems=["the", "is", "of"]), 1),
        (BestLine(), 1),
    ],
)
def test_the_line_with_the_strongest_reason_is_best(best: BestLine, line: int) -> None:
    assert best.offset(LINES, SYMBOLS) == line


def test_the_first_of_equals_is_best() -> None:
    assert BestLine(stems=["user", "password"]).offset(["nothing", "user", "user password", "password user"], []) == 2
    assert BestLine(stems=["user"]).offset([], []) == 0


def test_a_definition_of_these_words_comes_before_one_of_more_and_before_comments() -> None:
    lines = ["# Adds business days.", "class AddBusinessDaysOptions:", "    pass", "def add_business_days(date):"]
    symbols = [
        Symbol("AddBusinessDaysOptions", "AddBusinessDaysOptions", "class", 1),
        Symbol("add_business_days", "add_business_days", "function", 3),
    ]
    assert BestLine(stems=["add", "business", "day"]).offset(lines, symbols) == 3
    assert BestLine(stems=["add", "business", "day", "option"]).offset(lines, symbols) == 1
    assert BestLine(stems=["add", "business", "day"]).offset(lines, []) == 0


def test_a_stem_is_found_in_an_inflected_word() -> None:
    assert BestLine(stems=["queri"]).offset(["nothing", "one query"], []) == 1


def test_a_name_is_found_behind_its_decorators() -> None:
    assert name_place(LINES, SYMBOLS[0]) == NamePlace(1, 4)


def test_a_name_that_is_not_there_has_the_first_letter_of_its_line() -> None:
    assert name_place(["", "  (anonymous)"], Symbol("gone", "gone", "function", 1)) == NamePlace(1, 2)
    assert name_place([], Symbol("gone", "gone", "function", 3)) == NamePlace(0, 0)


def test_part_of_another_name_is_not_the_name() -> None:
    assert name_place(["reopen(); open()"], Symbol("open", "open", "function", 0)) == NamePlace(0, 10)


NESTED = [
    "class Sessions:",
    "    limit = 3",
    "    @cached",
    "    def open(self):",
    "        return [",
    "            self.limit,",
    "        ]",
    "    total = 4",
    "print(Sessions)",
]
NESTED_SYMBOLS = [Symbol("Sessions", "Sessions", "class", 0), Symbol("open", "Sessions.open", "method", 2)]


@pytest.mark.parametrize(
    ("row", "name"),
    [(0, "Sessions"), (1, "Sessions"), (2, "open"), (3, "open"), (6, "open"), (7, "Sessions"), (8, None)],
)
def test_a_line_belongs_to_the_innermost_definition_around_it(row: int, name: str | None) -> None:
    found = definition_around(NESTED, NESTED_SYMBOLS, row)
    assert (found.name if found else None) == name
