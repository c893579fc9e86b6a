"""Regexes of strangers: the ordinary pass, the explosive are refused, the slow are ended."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeindexd.errors import InvalidQueryError
from codeindexd.query.regexes import Budget, bounded_regex


@pytest.mark.parametrize(
    "pattern",
    [
        r"\bdef\s+(\w+)\(.*self",
        "a{2,5}b?",
        r"(foo|bar)baz",
        r"[^\]]+\]",
        "(?i:todo)",
        "(?:ab)?c",
        "a{,3}",
        "x{}",
        r"\d{3}-\d{4}",
        "(?<!a)b",
    ],
)
def test_ordinary_regexes_pass(pattern: str) -> None:
    assert bounded_regex(pattern).pattern == pattern


def test_a_regex_is_looked_for_line_by_line() -> None:
    text = "first line\nsecond line\n"
    assert bounded_regex("^second.*line$").search(text)
    assert not bounded_regex("first.*second").search(text)
    assert bounded_regex("^$").search("")


def test_a_long_line_is_searched_to_its_end() -> None:
    text = "x" * 50_000 + "needle" + "y" * 777
    assert bounded_regex("nee+dle").search(text)
    assert bounded_regex("n.*e").search(text)
    assert not bounded_regex("haystack").search(text)


@pytest.mark.parametrize("pattern", ["a*a*a*b", "a*a*a*a*b", "(a|a)(a|a)(a|a)(a|a)a*b", "a?a?a?a?a?a?a*aaaaaaab"])
def test_a_slow_regex_is_ended(pattern: str) -> None:
    regex = bounded_regex(pattern)
    began = time.process_time()
    with pytest.raises(InvalidQueryError, match="too slow"):
        any(regex.search("a" * 6000) for _ in range(1000))
    assert time.process_time() - began < 10


def test_many_bearable_searches_are_ended_too() -> None:
    """No line is slow by itself: only their sum is."""
    regex = bounded_regex("a*a*b", Budget(0.2))
    text = "\n".join(["a" * 220] * 25)
    with pytest.raises(InvalidQueryError, match="too slow"):
        any(regex.search(text) for _ in range(1000))


def test_a_caseless_regex_folds_few_ranges() -> None:
    assert bounded_regex("(?i)[a-z0-9]+-[a-f]")
    with pytest.raises(InvalidQueryError, match="ranges"):
        bounded_regex("(?i:" + "[\x01-\uffff]" * 100 + ")")


@pytest.mark.parametrize("pattern", ["(a?){30}", "a?" * 40 + "a" * 40, "(a{0,8}){8}", "(a|b|ab)*c", "(?:a{1,9}){2,}"])
def test_a_regex_that_may_explode_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidQueryError, match="forever"):
        bounded_regex(pattern)


@given(st.text(alphabet="ab(|)[]*+?{}\\1^$.-", max_size=12))
def test_a_regex_that_passes_is_quick(pattern: str) -> None:
    try:
        regex = bounded_regex(pattern)
    except InvalidQueryError:
        return
    began = time.process_time()
    with contextlib.suppress(InvalidQueryError):
        regex.search("ab" * 60)
    assert time.process_time() - began < 2
