"""Classes of any script."""

from __future__ import annotations

import re
import time

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from codeindexd.search.line_matcher import LineMatcher
from codeindexd.search.regexes import compile_regex
from codeindexd.search.unicode_classes import for_any_script, with_unicode_classes


@pytest.mark.parametrize(
    "pattern", ["plain", r"a\.b", r"\bword\b", r"[a-z]+", r"\Q\w[\E", "[[:word:]]", r"[\]x]", "[]a]", r"\\w", "("]
)
def test_what_has_no_such_class_stays_as_it_is(pattern: str) -> None:
    assert with_unicode_classes(pattern) == pattern


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        (r"ma\w+\(", "mał(y)", True),
        (r"^\w+$", "größe", True),
        (r"^[\w-]+$", "größe-ß", True),
        (r"^[^\w]+$", "größe", False),
        (r"^\W+$", "größe", False),
        (r"^\d+$", "٣٤", True),
        (r"^\D+$", "٣٤", False),
        (r"a\sb", "a\u00a0b", True),
        (r"^\S+$", "a\u00a0b", False),
        (r"^\s+public", "\u00a0 public", True),
        (r"(?i)straße\d", "STRASSE1 Straße٣", True),
        (r"^[\d.]+$", "٣.4", True),
    ],
)
def test_classes_cover_every_script(pattern: str, text: str, matches: bool) -> None:
    assert bool(list(LineMatcher(pattern).lines(text.encode()))) is matches
    assert compile_regex(pattern).search(text) is matches


def test_lines_of_both_kinds_come_in_order_with_their_places() -> None:
    matcher = LineMatcher(r"na\w+")
    text = "naïve\nname\nnothing\nœuvre naïf\nnap\n".encode()
    lines = list(matcher.lines(text))
    assert [line.number for line in lines] == [1, 2, 4, 5]
    assert [text[line.start : line.end].decode() for line in lines] == ["naïve", "name", "naïf", "nap"]
    assert [list(matcher.spans(text, line)) for line in lines] == [[(line.start, line.end)] for line in lines]


def test_a_whole_word_has_letters_of_any_script() -> None:
    matcher = LineMatcher(r"\w+f", word=True)
    assert [line.number for line in matcher.lines("naïf\nnaïfs\nif\n".encode())] == [1, 3]


def test_a_class_that_is_too_large_in_every_script_knows_ascii() -> None:
    assert list(LineMatcher(r"\w{900}").lines(b"a" * 900 + "\né".encode()))


@given(st.text("\\wWdDsS[]^QEab-:(é", max_size=12))
def test_a_valid_pattern_stays_valid(pattern: str) -> None:
    try:
        re2.compile(pattern)
    except re2.error:
        return
    re2.compile(with_unicode_classes(pattern))


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        (r"\bÄpfel\b", "die Äpfel\nXÄpfel ÄpfelX\nÄpfel Äpfel", [["Äpfel"], ["Äpfel", "Äpfel"]]),
        (r"\b\w+ung\b", "Änderung, Prüfung\nÄnderungen", [["Änderung", "Prüfung"]]),
        (r"\bfoo\b", "äfoo fooä\nä foo", [["foo"]]),
        (r"(?i)\bähn", "Ähnlich\nunähnlich", [["Ähn"]]),
        (r"\bÖl.*\bÄpfel\b", "Öl und Äpfel\nxÖl und Äpfel", [["Öl und Äpfel"]]),
        (r"größe\b|\bmaß", "größe\nmaß\ngrößen", [["größe"], ["maß"]]),
        (r"maß\b|x", "maß\nmaße", [["maß"], ["maß"]]),  # too many rather than too few
    ],
)
def test_edges_of_words_know_every_script(pattern: str, text: str, matches: list[list[str]]) -> None:
    matcher, data = LineMatcher(pattern), text.encode()
    lines = list(matcher.lines(data))
    assert [[data[start:end].decode() for start, end in matcher.spans(data, line)] for line in lines] == matches
    matching = [number for number, line in enumerate(text.split("\n"), 1) if compile_regex(pattern).search(line)]
    assert matching == [line.number for line in lines]


@pytest.mark.parametrize("pattern", [r"[\b]", r"\Q\b\E", r"a\b-", r"x|\by", r"\\\\b"])
def test_other_edges_stay_as_they_are(pattern: str) -> None:
    assert for_any_script(pattern) == (pattern, 0, pattern)


@pytest.mark.parametrize(
    ("pattern", "line", "matches"),
    [
        (r"foo[ ]\b", "é foo bar", True),
        (r"\b[ (]foo", "é a foo", True),
        (r"^ \d*\b", " é", True),
        (r"\bx?\.foo", "é a.foo", True),
        (r"\b(\.|x)y", "é a.y", True),
        (r"(x|y )\b", "éy a", True),
        (r"(\ba?é)", "é", True),
        (r"x\PL\b", "é x-b", True),
        (r"\Bfoo", "éfoo", True),
        (r"\Bfoo", "é foo", False),
        (r"foo\B", "fooé", True),
        (r"\Qfoo\b", r"é foo\b", True),
        (r"\b(get|set)_\w+\b", "forget_é set-é", False),
        (r"\b(get|set)_\w+\b", "é set_x", True),
        (r"\b[a-z]+ung\b", "Prüfung", False),
        (r"\b\w+\b", "é x²", True),
    ],
)
def test_edges_are_exact_only_where_a_letter_must_stand_beside_them(pattern: str, line: str, matches: bool) -> None:
    assert bool(list(LineMatcher(pattern).lines(line.encode()))) is matches
    assert compile_regex(pattern).search(line) is matches


def test_deeply_nested_groups_cost_little() -> None:
    began = time.process_time()
    nested = for_any_script(rf"\b{'(' * 4000}é{')' * 4000}\b")
    assert time.process_time() - began < 1
    assert nested.group == 0
    assert for_any_script(rf"\b{'(' * 5}é{')' * 5}\b").group == 1


@pytest.mark.parametrize("line", ["a foo b", "é foo b", "foo"])
@pytest.mark.parametrize("pattern", [r"\bfoo\b", r"\bfoo", r"foo\b", r"\Qfoo", r"(?i)\bFOO"])
def test_whole_words_may_have_edges_of_their_own(pattern: str, line: str) -> None:
    assert list(LineMatcher(pattern, word=True).lines(line.encode()))


_ATOMS = st.sampled_from(
    [*"abéж1 -", r"\b", r"\B", r"\w", r"\d", r"\s", r"\W", r"\D", r"\.", ".", "[a-z]", "[^a]", "[ é]", r"[\w-]"]
)
_REPETITIONS = st.sampled_from(["", "", "", "?", "*", "+", "{2}", "{0,1}", "+?"])
_REPEATED = st.tuples(_ATOMS, _REPETITIONS).map(
    lambda pair: "".join(pair) if pair[0][1:] not in ("b", "B") else pair[0]
)
_PATTERNS = st.recursive(
    st.lists(_REPEATED, min_size=1, max_size=5).map("".join),
    lambda inner: st.one_of(
        st.tuples(inner, inner, _REPETITIONS).map(lambda parts: f"({parts[0]}|{parts[1]}){parts[2]}"),
        st.tuples(inner, inner).map("".join),
        inner.map(lambda pattern: rf"\b{pattern}\b"),
    ),
    max_leaves=4,
)


@settings(max_examples=500)
@given(_PATTERNS, st.lists(st.text("aabAé жЖ-.1_中٣ ", max_size=8), min_size=1, max_size=10))
def test_no_line_is_missed_that_python_matches(pattern: str, lines: list[str]) -> None:
    expected = {number for number, line in enumerate(lines, 1) if re.search(pattern, line)}
    found = {line.number for line in LineMatcher(pattern).lines("\n".join(lines).encode())}
    searched = compile_regex(pattern)
    assert expected <= found | {number for number, line in enumerate(lines, 1) if not line}
    assert expected <= {number for number, line in enumerate(lines, 1) if searched.search(line)}


@pytest.mark.parametrize(
    ("pattern", "ignore_case"),
    [
        (r"(?i)absent|\bkey", False),
        (r"(?i)absent|x\b.*\bsafe", False),
        (r"absent|task\b", True),
        (r"absent|\bkey", True),
        (r"absent|(?i:\bkey)", False),
    ],
)
def test_letters_that_are_ascii_in_one_case_only(pattern: str, ignore_case: bool) -> None:
    """If case is ignored, k matches the Kelvin sign and s the long s, which RE2's ``\\b`` does not take for letters."""
    matcher = LineMatcher(pattern, ignore_case=ignore_case)
    line = "\u212aey x \u017fafe tas\u212a"
    assert [one.number for one in matcher.lines(line.encode())] == [1]
    assert compile_regex(pattern if not ignore_case else f"(?i){pattern}").search(line)


def test_edges_beside_ascii_letters_stay_exact() -> None:
    matcher = LineMatcher(r"absent|\bkey")
    assert list(matcher.lines("\u00e9 monkey".encode())) == []
