"""The query language, its errors, and its limits."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeindexd.errors import InvalidQueryError
from codeindexd.search.query import ParsedQuery, parse


def test_filters_phrases_and_regexes_are_separated_from_the_words() -> None:
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
        "/* a comment */",
        "don't",
        '"unterminated',
        "/unterminated",
        "https://x.org/a",
        "what type: int",
        "5'8\" tall",
        "x:y",
        "undefined symbol: flatten",
        "kind: Deployment",
        "lang:",
        'x path:""',
        "C:\\x",
        "operator<<",
        "#include <x>",
    ],
)
def test_text_that_only_resembles_syntax_stays_text(text: str) -> None:
    assert parse(text) == ParsedQuery(text=text)


def test_a_filter_without_a_value_beside_words_is_text() -> None:
    assert parse("symbol:  method") == ParsedQuery(text="symbol: method")


def test_filter_values_can_be_quoted() -> None:
    assert parse('path:"my dir/**" x').include == ("my dir/**",)
    assert parse(r'"say \"hi\""').literals == ('say "hi"',)
    assert parse('x ""').phrases == ()


@pytest.mark.parametrize(("alias", "name"), [("C++", "cpp"), ("JS", "javascript"), ("py", "python"), ("Zig", "zig")])
def test_languages_have_aliases(alias: str, name: str) -> None:
    assert parse(f"lang:{alias}").language == name


@pytest.mark.parametrize("name", ["py", "Python", "PYTHON", "python"])
def test_filter_arguments_act_as_filters_in_the_text(name: str) -> None:
    parsed = parse("x path:a", language=name, paths=["src/**"], kind="Function")
    assert parsed == parse(f"x path:a lang:{name} path:src/** kind:Function")
    assert (parsed.language, parsed.include, parsed.kinds) == ("python", ("a", "src/**"), ("function",))
    assert parse("x lang:go kind:Class", language=name, kind="class").language == "python"
    assert parse("x kind:Class", kind="CLASS").kinds == ("class",)
    assert parse(f"x lang:py lang:{name}").language == "python"


@pytest.mark.parametrize("text", ["/alpha/", "", "-path:tests/**"])
@pytest.mark.parametrize("filters", [{"language": "py"}, {"paths": ["*.py"]}, {"kind": "class"}])
def test_a_filter_argument_alone_makes_a_query(text: str, filters: dict[str, Any]) -> None:
    assert parse(text, **filters).text == ""


def test_filters_alone_make_a_query() -> None:
    assert parse("kind:function path:src/**").text == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        (" \t\n ", "empty"),
        ('""', "empty"),
        ("-path:tests/**", "only says what to leave out"),
        ("lang:klingon x", "no such language"),
        ("kind:functoin x", "no such kind"),
        ("lang:go lang:rust", "more than once"),
        ("-kind:function", "only says what to leave out"),
        ("x /(/", "invalid: missing"),
        (r"x /(a)\1/", "invalid"),
        (r"x /(?P<n>a)(?P=n)/", "invalid"),
        ("x /(?=a)/", "invalid"),
        ("x /(?x:a # (/", "invalid"),
        ("x /(?:a{1000}){1000}/", "invalid repetition size"),
        (r"x /\pL{1000}/", "too large"),
        ("x /" + "a" * 1001 + "/", "1000 characters"),
    ],
)
def test_an_unanswerable_query_is_refused_with_a_hint(text: str, says: str) -> None:
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
def test_piles_of_syntax_are_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidQueryError):
        parse(text)


def test_the_regexes_of_a_query_share_one_limit_of_length() -> None:
    with pytest.raises(InvalidQueryError, match="longer than"):
        parse("words " + f"/{'a' * 600}/ /{'b' * 600}/")


@pytest.mark.parametrize(
    "text",
    [
        'Bug: "quoted" words\nmust not be filters\nnor /a/b/ a regex\n',
        'more than twenty words that name path:src/x and kind:Deployment and "a message" of /api/ ' + "and more " * 6,
        'Error: unknown command "serv" for "app"',
        'jinja2.exceptions.TemplateSyntaxError: unexpected "}"',
        'error[E0425]: cannot find value "x"',
    ],
)
def test_pasted_text_has_no_syntax(text: str) -> None:
    assert parse(text) == ParsedQuery(text=text)


def test_text_beyond_the_limit_is_left_out_and_said() -> None:
    parsed = parse("word " * 20_000)
    assert len(parsed.text.encode()) == 64 << 10
    assert parsed.notes == ("only the first 64 KiB of the query were used",)


def test_a_phrase_with_punctuation_means_its_letters() -> None:
    assert parse('"a == b" "plain words" "=="').literals == ("a == b", "==")
    assert parse('"a == b" "plain words"').phrases == ("plain words",)


def test_a_regex_alone_is_a_query() -> None:
    assert [regex.pattern for regex in parse("/abc/").regexes] == ["abc"]


def test_unknown_languages_and_kinds_come_with_a_suggestion() -> None:
    with pytest.raises(InvalidQueryError) as caught:
        parse("lang:pyhton x")
    assert "python" in caught.value.hint
    with pytest.raises(InvalidQueryError) as caught:
        parse("x", kind="functon")
    assert "function" in caught.value.hint


@pytest.mark.parametrize("text", ["->", "🦀", "*", "== !="])
def test_marks_alone_are_meant_as_they_are(text: str) -> None:
    assert parse(text) == ParsedQuery(literals=(text,))


def test_paths_may_be_several_absolute_and_negated() -> None:
    parsed = parse("x path:/code/src", paths=["/code", "lib/*", "!/code/src/a.py", "!/other/b.py"])
    below = parsed.below("/code")
    assert below.include == ("/src", "**", "lib/*")
    assert below.exclude == ("/src/a.py", "/other/b.py")
