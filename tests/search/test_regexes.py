"""Regexes of strangers: the ordinary pass, the explosive are refused, the slow are ended."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeindexd.errors import InvalidQueryError
from codeindexd.search.query import parse
from codeindexd.search.regexes import Budget, bounded_regex
from endurance.hostile import regexes

COUNTED = [
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}",
    "[0-9a-f]{40}",
    "(?:[0-9a-f]{2}:){5}[0-9a-f]{2}",
    "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    r"(?:\d{1,3}\.){3}\d{1,3}",
    "-{3,}.*={20,}",
    r"^\s{4,}return .{80,}$",
    r"(\w+)\s*=\s*[0-9a-f]{64}.*",
    r'.*"[0-9a-f]{40}".*\s*:\s*',
    "(?=.{10,20}$)(?:[a-z]{3}){3}",
    r"(?<=\b0x)[0-9a-f]{16}\b",
    "(?:(?:a{1000}){1000}){1000}",
    "(?:ab){60000}",
    "(?:a|b){8}c{0,3}",
    "(?:(?=a)a){300}b",
    r"\N{LATIN SMALL LETTER A}{3}\x61{4}",
]
COUNTED_FOREVER = [
    "(?:(?:(?:(?:){60000}){60000}){60000}){60000}",
    r"(?:(?:(?:\b){60}){60}){60}",
    "(?:(?:(?:(?=a)){600}){600}){600}",
    "(?:(?:(?:(?<=a)){600}){600}){600}",
    "(?:(?:(?:a{0}){600}){600}){600}",
    "(?:(?:(?:(?:^){600}){600}){600}|b)a",
    "(?:(?:(?:){600}){600,}){600}",
    "(?:(?:(?:){600}){600,605}){600}",
    "(?:(?:(?:){600}){600,900}?)a",
    "(?:(?:(?:){600}){600,900}+)a",
    "(?:(?:){600}){4294967294,}",
    "(?:" * 60 + "a{0}" + "){8}" * 60,
    "(?:(?=(?:(?=(?:(?=a{2000})a){2000})a){2000})a){2000}",
    "(?:(?<=(?:a){60000})a){4000}b",
    "(?:(?:(?i:(?#)){600}){600}){600}",
    "(?:" * 6 + "a{0,8}" + "){8}" * 6,
]


@pytest.mark.parametrize(
    "pattern",
    [
        *COUNTED,
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
    with pytest.raises(InvalidQueryError, match="ranges"):
        parse("x " + " ".join(f"/(?i:{'[0-9]' * 10}{number})/" for number in range(5)))


@pytest.mark.parametrize(
    "pattern",
    [
        "(a?){30}",
        "a?" * 40 + "a" * 40,
        "(a{0,8}){8}",
        "(a|b|ab)*c",
        "(?:a{1,9}){2,}",
        "(?x-i:(?:a+) *b)",
        *COUNTED_FOREVER,
    ],
)
def test_a_regex_that_may_explode_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidQueryError, match="forever"):
        bounded_regex(pattern)


def test_what_passes_ends_soon_whatever_the_text_is() -> None:
    assert regexes.endless([*COUNTED, *COUNTED_FOREVER]) == ""


def test_the_check_that_it_ends_notices_what_does_not() -> None:
    assert regexes.endless(["a", COUNTED_FOREVER[0], "b"], bounded=False) == COUNTED_FOREVER[0]


_ATOMS = st.sampled_from(["a", ".", "[ab]", r"\b", "^", "(?:)", "(a)", r"\x61", "(?=a)", "(?<=a)", "(?:|a)", "b"])
_COUNTS = st.sampled_from([0, 1, 2, 3, 7, 8, 9, 60, 300, 4000, 60_000])
_TIMES = st.one_of(
    st.sampled_from(["", "", "*", "+", "?"]),
    _COUNTS.map("{{{}}}".format),
    _COUNTS.map("{{{},}}".format),
    st.tuples(_COUNTS, st.sampled_from([0, 3, 8, 9, 100])).map(lambda pair: f"{{{pair[0]},{sum(pair)}}}"),
)
_GROUPS = st.sampled_from(["(?:", "(", "(?=", "(?!", "(?<=", "(?>", "(?i:", "(?s-x:"])


def _nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    repeated = st.tuples(inner, _TIMES, st.sampled_from(["", "?", "+"])).map(
        lambda parts: parts[0] + parts[1] + (parts[2] if parts[1] else "")
    )
    branch = st.lists(repeated, min_size=1, max_size=3).map("".join)
    return st.tuples(_GROUPS, st.lists(branch, min_size=1, max_size=2).map("|".join)).map("{0[0]}{0[1]})".format)


@settings(max_examples=5, deadline=None)
@given(st.lists(st.recursive(_ATOMS, _nested, max_leaves=6).map("{}b".format), min_size=40, max_size=40))
def test_nested_repetitions_that_pass_end_soon(patterns: list[str]) -> None:
    assert regexes.endless(patterns) == ""


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
