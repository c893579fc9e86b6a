"""What a query asks for outright, as far as no index is needed to tell."""

from __future__ import annotations

import pytest

from codeindexd.search.asked_for import numbers_beside_words, share_of_name, typed_exactly


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("--no-color", ["--no-color"]),
        (" operator<< ", ["operator<<"]),
        ("13.0.3", ["13.0.3"]),
        ("upgrade to v1.4.0", ["1.4.0"]),
        ("session", []),
        ("Session.refresh", []),
        ("src/auth.py", []),
        ("auth.py:5", []),
        ("a=b", []),  # too short to tell
        ("where is the --no-color flag read", []),
    ],
)
def test_marks_and_numbers_are_typed_exactly(text: str, texts: list[str]) -> None:
    assert typed_exactly(text) == texts


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("version 1.4.0", ["1.4.0"]),
        ("from v1.4 to 2.0.1", ["1.4", "2.0.1"]),
        ("1.4.0", []),  # looked for as it is
        ("python3.11 is needed", []),
        ("version 1.4.x", []),
        ("the first of many words about what changed in 1.4.0", []),
    ],
)
def test_numbers_with_dots_stand_beside_words(text: str, numbers: list[str]) -> None:
    assert numbers_beside_words(text) == numbers


def test_the_more_of_a_name_is_typed_the_larger_is_its_share() -> None:
    assert share_of_name("session", "other") == 0
    shares = [share_of_name(part, "SessionStore") for part in ("Session", "SessionSt", "SessionStore")]
    assert shares == sorted(shares)
    assert share_of_name("Store", "SessionStore") < 5 / 12
    assert share_of_name("session", "SessionStore") < shares[0]
