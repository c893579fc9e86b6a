"""Lines that match, compared with Python's own matching of one line after the other."""

from __future__ import annotations

import re

import hypothesis.strategies as st
import pytest
from hypothesis import assume, given

from codeindexd.analysis.chunking.indexed_text import indexed_text
from codeindexd.errors import InvalidQueryError
from codeindexd.search.line_matcher import LineMatcher
from support.notebooks import notebook


def lines(pattern: str, text: str, **options: bool) -> list[tuple[int, str, str]]:
    data = text.encode()
    found = LineMatcher(pattern, **options).lines(data)
    return [
        (one.number, data[one.line_start : one.line_end].decode(), data[one.start : one.end].decode()) for one in found
    ]


def numbers(matcher: LineMatcher, text: bytes) -> list[int]:
    return [line.number for line in matcher.lines(text)]


def test_each_line_is_reported_once_with_its_first_match() -> None:
    assert lines("a+", "aa b a\n\nxaay\nb\n") == [(1, "aa b a", "aa"), (3, "xaay", "aa")]


def test_anchors_are_the_ends_of_a_line() -> None:
    assert lines("^b$", "ab\nb\nb c\nb") == [(2, "b", "b"), (4, "b", "b")]
    assert lines("^$", "a\n\nb\n") == [(2, "", "")]


def test_nothing_matches_across_lines() -> None:
    assert lines(r"a\sb", "a\nb\n") == []
    assert lines(r"a[^x]*b", "a\nb a b\n") == [(2, "b a b", "a b")]
    assert lines("a\nb", "a\nb\n") == []


def test_a_fixed_text_stands_for_itself() -> None:
    assert lines("a.b*(", "axb\n a.b*( \n", fixed=True) == [(2, " a.b*( ", "a.b*(")]


def test_case_is_ignored_on_request_in_any_script() -> None:
    assert lines("äpfel", "ÄPFEL\n", ignore_case=True) == [(1, "ÄPFEL", "ÄPFEL")]
    assert lines("äpfel", "ÄPFEL\n") == []
    assert lines("(?i)abc", "xABC\n") == [(1, "xABC", "ABC")]


def test_whole_words_begin_and_end_where_words_do() -> None:
    assert lines("cat", "concat cat\ncatalog\n cat.\n", word=True) == [(1, "concat cat", "cat"), (3, " cat.", "cat")]
    assert lines("caf", "café\n", word=True) == []
    assert lines("foo|foobar", "foobar\n", word=True) == [(1, "foobar", "foobar")]


def test_several_patterns_match_where_any_of_them_does() -> None:
    text = b"one\ntwo\nthree\n"
    assert numbers(LineMatcher("one", others=["t.o"]), text) == [1, 2]
    assert numbers(LineMatcher("o.e", others=["t.o"], fixed=True), text) == []
    assert numbers(LineMatcher("ONE", others=["(?-i)T"], ignore_case=True), text) == [1]
    assert numbers(LineMatcher("tw", others=["one"], word=True), text) == [1]
    assert LineMatcher("one", others=["two"]).literal is None
    with pytest.raises(InvalidQueryError, match=r"the regex /\)\(/ is invalid"):
        LineMatcher("one", others=[")("])


def test_whole_lines_are_all_of_a_line() -> None:
    text = b"end\nthe end\nend \r\nend\r\n\xc3\xa9nd\nend"
    assert numbers(LineMatcher("end", whole_line=True), text) == [1, 4, 6]
    assert numbers(LineMatcher("e|end", whole_line=True), text) == [1, 4, 6]
    assert numbers(LineMatcher("end", others=["the.*"], whole_line=True, word=True), text) == [1, 2, 4, 6]
    assert numbers(LineMatcher(r"\wnd", whole_line=True), text) == [1, 4, 5, 6]
    assert numbers(LineMatcher("e.d", fixed=True, whole_line=True), text) == []


def test_every_match_of_a_line_can_be_listed() -> None:
    text = b"ab ab\nab"
    matcher = LineMatcher("ab?")
    found = [[text[start:end] for start, end in matcher.spans(text, line)] for line in matcher.lines(text)]
    assert found == [[b"ab", b"ab"], [b"ab"]]


@pytest.mark.parametrize("pattern", ["", "(", r"(?=a)", r"\1", "a" * 20_000, "(?:(?:a{1000}){100}){10}"])
def test_what_cannot_be_matched_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidQueryError):
        LineMatcher(pattern)


_PIECES = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "a*", "(?:ab)+", "^", "$", "b?", " ", r"\w"])


@given(st.lists(_PIECES, min_size=1, max_size=5), st.text("ab \nA", max_size=40), st.booleans())
def test_lines_are_those_that_match_on_their_own(pieces: list[str], text: str, ignore_case: bool) -> None:
    pattern = "".join(pieces)
    try:
        plain = re.compile(pattern, re.ASCII | (re.IGNORECASE if ignore_case else 0))
    except re.error:
        assume(False)
    every = text.split("\n")
    if every[-1] == "":
        every.pop()
    expected = [number for number, line in enumerate(every, 1) if plain.search(line)]
    assert [number for number, _, _ in lines(pattern, text, ignore_case=ignore_case)] == expected


NEEDLE = 'say "é"'
ENCODED = {
    "utf-8": f"{NEEDLE}\n".encode(),
    "utf-8 with a mark": f"{NEEDLE}\n".encode("utf-8-sig"),
    "latin-1": f"été {NEEDLE} où\n".encode("latin-1"),
    "utf-16": f"{NEEDLE}\n".encode("utf-16"),
    "utf-16 without a mark": 'say "e"\n'.encode("utf-16-le") * 20,
    "lines that end in CR": f'first\r{NEEDLE}\r"e"'.encode(),
    "ASCII lines that end in CR": b'first\rsay "e"\r"e"',
    "notebook": notebook(NEEDLE, 'say "e"').encode(),
    "ASCII notebook": notebook('say "e"').encode("ascii"),
    "ASCII": b'say "e"\n',
}


@pytest.mark.parametrize("encoding", ENCODED)
@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("pattern", [NEEDLE, 'say "e"', "é", '"e"', "say", "SAY", '^"', "y$", "."])
def test_no_file_with_a_match_is_ruled_out_by_its_bytes(pattern: str, encoding: str, fixed: bool) -> None:
    data = ENCODED[encoding]
    for ignore_case in (False, True):
        matcher = LineMatcher(pattern, fixed=fixed, ignore_case=ignore_case)
        text = indexed_text(data)
        assert text is not None
        assert not (matcher.rules_out(data) and list(matcher.lines(text.utf8)))


def test_patterns_rule_out_what_they_do_not_match() -> None:
    data = b"alpha = [1]\n" * 10
    for pattern in ("beta", "Alpha", "be?ta", r"\d\d", "^1", r"[2]"):
        assert LineMatcher(pattern).rules_out(data)
    assert LineMatcher("[2]", fixed=True).rules_out(data)
    assert LineMatcher("BETA", ignore_case=True).rules_out(data)
    for pattern in ("alpha", "ALPHA", "[1]", "^a", "]$"):
        assert not LineMatcher(pattern, ignore_case=True).rules_out(data)
    assert not LineMatcher("beta").rules_out("é\n".encode())  # decided by its text


def test_what_cannot_be_matched_in_time_is_not_ruled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LineMatcher, "is_affordable", lambda matcher, text: False)
    assert not LineMatcher("be?ta").rules_out(b"alpha\n")
    assert not LineMatcher("beta", ignore_case=True).rules_out(b"alpha\n")
    assert LineMatcher("beta").rules_out(b"alpha\n"), "plain text is looked for in any amount of text"
    assert not LineMatcher("alpha").rules_out(b"alpha\n")
