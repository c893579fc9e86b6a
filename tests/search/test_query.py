"""The query language, its errors, and its limits."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeindexd.errors import InvalidQueryError
from codeindexd.search.query import ParsedQuery, parse


def test_every_filter_is_taken_out_of_the_question() -> None:
    parsed = parse(
        r'where lang:python path:src/** are -path:tests/** kind:Function symbol:Name "an exact phrase" it /re.*gex\/x/'
    )
    assert parsed.text == "where are it"
    assert parsed.language == "python"
    assert parsed.include == ("src/**",)
    assert parsed.exclude == ("tests/**",)
    assert parsed.kinds == ("function",)
    assert parsed.symbol == "Name"
    assert parsed.phrases == ("an exact phrase",)
    assert [regex.pattern for regex in parsed.regexes] == ["re.*gex/x"]


@pytest.mark.parametrize(
    "text",
    [
        "std::vector",
        "a/b/c",
        "don't",
        '"unterminated',
        "/unterminated",
        "https://x.org/a",
        "what type: int",
        "5'8\" tall",
        "x:y",
        "*",
        "🦀",
    ],
)
def test_what_only_looks_like_syntax_is_the_question(text: str) -> None:
    assert parse(text) == ParsedQuery(text=text)


def test_values_may_be_quoted_and_quotes_escaped() -> None:
    assert parse('path:"my dir/**" x').include == ("my dir/**",)
    assert parse(r'"say \"hi\""').phrases == ('say "hi"',)
    assert parse('x ""').phrases == ()


@pytest.mark.parametrize(
    ("given_name", "ours"), [("C++", "cpp"), ("JS", "javascript"), ("py", "python"), ("Zig", "zig")]
)
def test_languages_have_nicknames(given_name: str, ours: str) -> None:
    assert parse(f"lang:{given_name}").language == ours


@pytest.mark.parametrize("name", ["py", "Python", "PYTHON", "python"])
def test_filters_beside_the_text_are_read_as_those_in_it(name: str) -> None:
    beside = parse("x path:a", language=name, path="src/**", kind="Function")
    assert beside == parse(f"x path:a lang:{name} path:src/** kind:Function")
    assert (beside.language, beside.include, beside.kinds) == ("python", ("a", "src/**"), ("function",))
    assert parse("x lang:go kind:Class", language=name, kind="class").language == "python"
    assert parse("x kind:Class", kind="CLASS").kinds == ("class",)
    assert parse(f"x lang:py lang:{name}").language == "python"


@pytest.mark.parametrize("text", ["/alpha/", "", "-path:tests/**"])
@pytest.mark.parametrize("beside", [{"language": "py"}, {"path": "*.py"}, {"kind": "class"}])
def test_a_filter_beside_the_text_is_enough_to_look_for(text: str, beside: dict[str, str]) -> None:
    assert parse(text, **beside).text == ""


def test_filters_alone_list_what_passes() -> None:
    assert parse("kind:function path:src/**").text == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        (" \t\n ", "empty"),
        ('""', "empty"),
        ("x" * 100_000, "64 KiB"),
        ("-path:tests/**", "only says what to leave out"),
        ("/abc/", "only a regex"),
        ("lang:", "no value"),
        ('x path:""', "no value"),
        ("lang:go lang:rust", "more than once"),
        ("-kind:function x", "cannot be negated"),
        ("x /(/", "broken"),
        ("x /(a+)+/", "forever"),
        ("x /(a|aa)+$/", "forever"),
        (r"x /(a)\1/", "forever"),
        (r"x /(?P<n>a)(?P=n)/", "forever"),
        ("x /(?x:a # (/", "broken"),
        ("x /a.*b.*c.*d.*e.*f/", "forever"),
        ("x /" + "a" * 1001 + "/", "1000 characters"),
        (" ".join(["path:a"] * 65), "64 filters"),
    ],
)
def test_what_cannot_be_answered_says_why_and_what_to_do(text: str, says: str) -> None:
    with pytest.raises(InvalidQueryError, match=says) as caught:
        parse(text)
    assert caught.value.hint


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        parsed = parse(text)
    except InvalidQueryError:
        return
    for regex in parsed.regexes:
        regex.search("some text\nof two lines")


_SYNTAX = st.sampled_from(
    ["lang:", "path:", "-path:", '"', "/", "\\", "(", ")", "[", "]", "*", "+", "a", " ", "{2,}", "|", "?"]
)


@given(st.lists(_SYNTAX, max_size=20).map("".join))
def test_heaps_of_syntax_are_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidQueryError):
        parse(text)


def test_the_regexes_of_a_question_share_one_limit_of_length_and_time() -> None:
    with pytest.raises(InvalidQueryError, match="longer than"):
        parse("words " + f"/{'a' * 600}/ /{'b' * 600}/")
    regexes = parse("words /a*a*b/ /a*a*c/").regexes
    regexes[0].budget.left_s = 0.0
    with pytest.raises(InvalidQueryError, match="too slow"):
        regexes[1].search("a" * 220)
