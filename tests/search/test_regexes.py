"""Regexes that users write: RE2's syntax, line by line, answered quickly or refused with a reason."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codeindexd.errors import InvalidQueryError
from codeindexd.search.query import parse
from codeindexd.search.regexes import TimeBudget, compile_regex, notes_on_line_ends
from endurance.hostile import regexes

pytestmark = pytest.mark.processes

ORDINARY = [
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}",
    "[0-9a-f]{40}",
    "(?:[0-9a-f]{2}:){5}[0-9a-f]{2}",
    "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    r"(?:\d{1,3}\.){3}\d{1,3}",
    "-{3,}.*={20,}",
    r"^\s{4,}return .{80,}$",
    r"(\w+)\s*=\s*[0-9a-f]{64}.*",
    r'.*"[0-9a-f]{40}".*\s*:\s*',
    "(?:a|b){8}c{0,3}",
    "(?i)[a-z0-9]+-[a-f]",
    r"\x61{4}",
    r"\bdef\s+(\w+)\(.*self",
    "a{2,5}b?",
    r"(foo|bar)baz",
    r"[^\]]+\]",
    "(?i:todo)",
    "(?:ab)?c",
    "a{,3}",
    "x{}",
    r"\d{3}-\d{4}",
    r"(?P<name>\w+)=\pL",
]
EXPLOSIVE = [
    "(a+)+$",
    "(a|aa)+$",
    "(x+x+)+y",
    "(a?){30}",
    "a?" * 40 + "a" * 40,
    "(a{0,8}){8}",
    "(a|b|ab)*c",
    "(?:a{1,9}){2,}",
    "a*a*a*b",
    "a*a*a*a*b",
    "a.*b.*c.*d.*e.*f",
    "(a|a)(a|a)(a|a)(a|a)a*b",
    "a?a?a?a?a?a?a*aaaaaaab",
    "(?:(?:){600}){4294967294,}",  # a count beyond 32 bits is literal text
    r"(?:\b){60}",
    "(?i:" + "[\x01-\uffff]" * 100 + ")",
]
TOO_MANY_REPETITIONS = [
    "(?:(?:a{1000}){1000}){1000}",
    "(?:ab){60000}",
    "(?:(?:){60000}){60000}",
    "(?:(?:(?:(?:){60000}){60000}){60000}){60000}",
    r"(?:(?:(?:\b){60}){60}){60}",
    "(?:(?:(?:a{0}){600}){600}){600}",
    "(?:(?:(?:(?:^){600}){600}){600}|b)a",
    "(?:(?:(?:){600}){600,}){600}",
    "(?:(?:(?:){600}){600,605}){600}",
    "(?:(?:(?:){600}){600,900}?)a",
    "(?:" * 6 + "a{0,8}" + "){8}" * 6,
    "(?:" * 60 + "a{0}" + "){8}" * 60,
]
UNSUPPORTED = [
    "(?=.{10,20}$)(?:[a-z]{3}){3}",
    r"(?<=\b0x)[0-9a-f]{16}\b",
    "(?:(?=a)a){300}b",
    "(?<!a)b",
    "a(?!b)",
    r"(a)\1",
    "(?P<n>a)(?P=n)",
    "(a)?(?(1)b|c)",
    "(?>a+)b",
    "a++b",
    "(?x:a # comment)",
    r"\N{LATIN SMALL LETTER A}",
    r"a\Z",
    "(?:(?:(?:(?=a)){600}){600}){600}",
    "(?:(?:(?:(?<=a)){600}){600}){600}",
    "(?:(?=(?:(?=(?:(?=a{2000})a){2000})a){2000})a){2000}",
    "(?:(?<=(?:a){60000})a){4000}b",
    "(?:(?:(?i:(?#)){600}){600}){600}",
    "(?:(?:(?:){600}){600,900}+)a",
]


@pytest.mark.parametrize("pattern", [*ORDINARY, *EXPLOSIVE])
def test_regexes_without_unsupported_syntax_are_accepted(pattern: str) -> None:
    assert compile_regex(pattern).pattern == pattern


@pytest.mark.parametrize("pattern", [*TOO_MANY_REPETITIONS, *UNSUPPORTED])
def test_unsupported_syntax_is_refused_and_named(pattern: str) -> None:
    with pytest.raises(InvalidQueryError, match="is invalid") as caught:
        compile_regex(pattern)
    assert f"/{pattern}/" in caught.value.message
    assert "no lookaround, no backreferences" in caught.value.hint


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        ("(", r"missing \): \($"),
        ("a)b", r"unexpected \): a\)b$"),
        ("x[b-a]", "range: b-a$"),
        ("[a", r"missing \]: \[a$"),
        ("*a", r": \*$"),
        ("a{2000}", r"size: \{2000\}$"),
        ("a\\", "trailing"),
        (r"(a)\1", r": \\1$"),
        ("é(?=b)", r"unsupported syntax: \(\?=$"),
    ],
)
def test_a_syntax_error_quotes_the_offending_part(pattern: str, part: str) -> None:
    with pytest.raises(InvalidQueryError, match=part):
        compile_regex(pattern)


@pytest.mark.parametrize("pattern", [r"\pL{1000}", r"(?i)\pL{900}", r"(?:\pL|\pN){500}"])
def test_a_regex_that_is_large_when_compiled_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidQueryError, match="too large") as caught:
        compile_regex(pattern)
    assert caught.value.hint


def test_a_regex_matches_within_lines() -> None:
    text = "first line\nsecond line\n"
    assert compile_regex("^second.*line$").search(text)
    assert not compile_regex("first.*second").search(text)
    assert not compile_regex(r"line\s+second").search(text)
    assert not compile_regex("line[^x]second").search(text)
    assert not compile_regex("(?s)first.*second").search(text)
    assert compile_regex("e$").search("line\r\nnext")
    assert compile_regex("^n").search("line\r\nnext")


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("^$", "", True),
        ("^$", "a\n\nb", True),
        ("^$", "a\nb\n", False),
        ("x*", "", True),
        ("(?:)", "a", True),
        ("a|", "b", True),
    ],
)
def test_an_empty_match_is_a_match(pattern: str, text: str, matches: bool) -> None:
    assert compile_regex(pattern).search(text) is matches


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("größe", "die größe", True),
        ("gr.ße", "größe", True),
        ("(?i)GRÖSSE|GRÖẞE", "größe", True),
        ("(?i)é", "É", True),
        (r"^\pL+$", "größe", True),
        (r"^\p{Greek}+$", "λόγος", True),
        (r"^\w+$", "größe", True),
        ("^.$", "🦀", True),
        ("^..$", "🦀", False),
        ("a.b", "a\udc80b", True),
        ("\udc80", "a\udc80b", True),
        ("a\0b", "a\0b", True),
    ],
)
def test_text_beyond_ascii_is_matched_by_character(pattern: str, text: str, matches: bool) -> None:
    assert compile_regex(pattern).search(text) is matches


def test_a_long_line_is_searched_to_its_end() -> None:
    text = "x" * 50_000 + "needle" + "y" * 777
    assert compile_regex("nee+dle").search(text)
    assert compile_regex("n.*e").search(text)
    assert not compile_regex("haystack").search(text)


def test_slow_searches_are_ended_by_their_sum() -> None:
    regex = compile_regex("(?:a?){900}b", TimeBudget(0.2))
    started = time.process_time()
    with pytest.raises(InvalidQueryError, match="too slow"):
        any(regex.search("a" * 3000) for _ in range(1000))
    assert time.process_time() - started < 5


def test_a_search_that_could_take_long_is_not_begun() -> None:
    regex = compile_regex("(?:a?){900}b")
    started = time.process_time()
    with pytest.raises(InvalidQueryError, match="too slow"):
        regex.search("a" * (1 << 20))
    assert time.process_time() - started < 1


def test_other_threads_run_during_a_slow_search() -> None:
    regex = compile_regex("(?:a?){900}b")
    searched = threading.Event()

    def search() -> None:
        regex.search("a" * 30_000)
        searched.set()

    thread = threading.Thread(target=search)
    thread.start()
    turns = 0
    while not searched.wait(0.001):
        turns += 1
    thread.join()
    assert turns > 10


def test_the_regexes_of_a_query_share_their_time() -> None:
    first, second = parse("words /(?:a?){900}b/ /a/").regexes
    first.budget.left_s = 1e-6
    first.search("a" * 6000)
    with pytest.raises(InvalidQueryError, match="too slow"):
        second.search("a")


def test_compiled_regexes_are_not_kept_in_a_cache() -> None:
    assert compile_regex("a+")._compiled is not compile_regex("a+")._compiled


def test_a_refused_regex_is_not_logged(capfd: pytest.CaptureFixture[str]) -> None:
    for pattern in ("(", r"\pL{1000}", "a{2000}"):
        with contextlib.suppress(InvalidQueryError):
            compile_regex(pattern)
    compile_regex("(?:a?){900}b").search("a" * 6000)  # overflows RE2's cache of states
    assert capfd.readouterr() == ("", "")


def test_hostile_regexes_end_soon_whatever_the_text_is() -> None:
    assert regexes.first_endless([*ORDINARY, *EXPLOSIVE, *TOO_MANY_REPETITIONS, *UNSUPPORTED]) == ""


def test_the_check_that_regexes_end_notices_one_that_does_not() -> None:
    assert regexes.first_endless(["a", TOO_MANY_REPETITIONS[3], "b"], with_re=True) == TOO_MANY_REPETITIONS[3]


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
def test_nested_repetitions_end_soon(patterns: list[str]) -> None:
    assert regexes.first_endless(patterns) == ""


@given(st.text(alphabet="ab(|)[]*+?{}\\1^$.-", max_size=12))
def test_any_regex_is_quick_or_refused(pattern: str) -> None:
    try:
        regex = compile_regex(pattern)
    except InvalidQueryError:
        return
    started = time.process_time()
    with contextlib.suppress(InvalidQueryError):
        regex.search("ab" * 60)
    assert time.process_time() - started < 2


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text(st.sampled_from("ab \n\r\u2028\u00e9k\u212a."), max_size=8), max_size=150),
    st.sampled_from(
        [r"a", r"^a", r"a$", r"a.b", r"\Aa", r"b\z", r"(?i)k\b", r"\w\s", r"^$", r"a{3}", "\u00e9", r"(?-m)^b"]
    ),
)
@example(["a", ""], "^$")
def test_many_texts_at_once_are_as_one_by_one(texts: list[str], pattern: str) -> None:
    regex = compile_regex(pattern)
    assert regex.search_each(texts) == [regex.search(text) for text in texts]


def test_the_time_of_many_texts_is_limited() -> None:
    regex = compile_regex("(?:a?){200}b", TimeBudget(1e-6))
    with pytest.raises(InvalidQueryError, match="too slow"):
        regex.search_each(["a" * 300] * 1000)


def test_line_ends_that_no_line_has_are_said() -> None:
    for pattern in (r"a\nb", "a\nb", r"(a\n|b)", r"\(\n", r"[^a]\n"):
        (note,) = notes_on_line_ends([pattern])
        assert note.startswith("lines are searched one by one, so the \\n in /")
        assert "\n" not in note
    for pattern in (r"a[^\n]b", r"a\\nb", r"[]\n]x", "nb", r"[\]\n]"):
        assert notes_on_line_ends([pattern]) == []
