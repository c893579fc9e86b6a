"""Patterns as trigram queries: a query never excludes a line that the pattern matches."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import re2
from hypothesis import assume, given

from codeindexd.analysis.trigrams import trigrams_of
from codeindexd.search.trigram_query import literal_query, regex_query
from codeindexd.storage.text import All, And, Nothing, Or, Query, Trigram


def admits(query: Query, text: str) -> bool:
    present = set(trigrams_of(text.encode()).tolist())

    def holds(part: Query) -> bool:
        match part:
            case All():
                return True
            case Nothing():
                return False
            case Trigram():
                return part.value in present
            case And():
                return all(map(holds, part.parts))
            case Or():
                return any(map(holds, part.parts))

    return holds(query)


def shown(query: Query) -> str:
    match query:
        case Trigram():
            return query.value.to_bytes(3, "big").decode("utf-8", "replace")
        case And():
            return "(" + " ".join(sorted(map(shown, query.parts))) + ")"
        case Or():
            return "(" + "|".join(sorted(map(shown, query.parts))) + ")"
        case _:
            return type(query).__name__


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("hello", "(ell hel llo)"),
        ("Hello", "(ell hel llo)"),
        ("ab", "All"),
        ("a.b", "All"),
        (".*", "All"),
        ("abc|xyz", "(abc|xyz)"),
        ("abc.*xyz", "(abc xyz)"),
        ("ab(c|d)ef", "((abc bce cef)|(abd bde def))"),
        ("(abc)*", "All"),
        ("(abc)+", "abc"),
        ("abc?d", "((abc bcd)|abd)"),
        ("a[bc]d", "(abd|acd)"),
        (r"EXPORT_SYMBOL_GPL\(usb_", shown(literal_query("export_symbol_gpl(usb_"))),
        (r"\bfoo\b", "foo"),
        (r"\Qa.b*c\E", "(.b* a.b b*c)"),
        ("(?i)abc", "abc"),
        ("(?i:abc)def", "(abc bcd cde def)"),
        ("abcde{2}", "(abc bcd cde dee)"),
        ("^import$", "(imp mpo ort por)"),
        ("TODO|FIXME", "((fix ixm xme)|(odo tod))"),
    ],
)
def test_patterns_become_the_trigrams_they_need(pattern: str, expected: str) -> None:
    assert shown(regex_query(pattern)) == expected


@pytest.mark.parametrize("pattern", ["(", "a**b{", "(?=x)abc", r"\1abc", "[a", "(?P<x", "abc)", "+", "abc(?i)*"])
def test_what_is_not_understood_admits_everything(pattern: str) -> None:
    assert regex_query(pattern) == All()


def test_ignoring_case_does_not_exclude_letters_with_odd_relatives() -> None:
    assert re2.search("(?i)mask", "MA\u017fK")
    assert admits(regex_query("(?i)mask"), "MA\u017fK")
    assert admits(literal_query("mask", ignore_case=True), "MA\u017fK")
    assert admits(regex_query("stra\u00dfe", ignore_case=True), "STRA\u1e9eE")
    assert admits(literal_query("\u00e4pfel", ignore_case=True), "\u00c4PFEL")


@given(st.text(max_size=12), st.text(max_size=6), st.text(max_size=6), st.booleans())
def test_a_literal_admits_every_text_that_holds_it(literal: str, before: str, after: str, ignore_case: bool) -> None:
    assume("\n" not in literal)
    assume(not any("\ud800" <= letter <= "\udfff" for letter in literal + before + after))
    text = literal.swapcase() if ignore_case else literal
    assume(not ignore_case or text.casefold() == literal.casefold())
    assert admits(literal_query(literal, ignore_case=ignore_case), before + literal + after)


_LETTERS = ["a", "b", "c", "K", "s", "\u00e4", r"\.", r"\x61"]
_CLASSES = [".", "[ab]", "[^a]", "[a-z]", r"\w", r"\d", "[[:alpha:]]", r"\pL"]
_ATOMS = st.sampled_from([*_LETTERS, *_CLASSES, "(?:ab|cd)", "(abc)", r"\b", "x{2}", "^", "$"])
_PATTERNS = st.lists(st.tuples(_ATOMS, st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,3}", "{0}"])), max_size=6)


@given(st.lists(_PATTERNS, min_size=1, max_size=3), st.text("abcdxKksS\u00e4\u00c4.1 ", max_size=30), st.booleans())
def test_a_regex_admits_every_line_that_it_matches(
    alternatives: list[list[tuple[str, str]]], text: str, ignore_case: bool
) -> None:
    pattern = "|".join("".join(atom + how for atom, how in parts) for parts in alternatives)
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        matched = re2.compile(pattern, options).search(text)
    except re2.error:
        assume(False)
    if matched:
        assert admits(regex_query(pattern, ignore_case=ignore_case), text)
