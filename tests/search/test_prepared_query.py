"""Prepared queries: stems and whole names."""

from __future__ import annotations

import time

import pytest

from codeindexd.analysis.tokens import Tokenizer
from codeindexd.search.prepared_query import PreparedQuery, prepare_query
from codeindexd.search.query import parse


def prepare(text: str) -> PreparedQuery:
    return prepare_query(parse(text), (), Tokenizer())


@pytest.mark.parametrize(
    ("text", "only_stem", "names"),
    [
        ("Monad", "monad", ["monad"]),
        ("retry, Retry!", "retri", ["retry"]),
        ("_retry", "retri", ["_retry"]),
        ("__init__", "init", ["__init__"]),
        ("$watch", "watch", ["watch"]),
        ("retry _retry", "retri", ["retry"]),
        ("render_template", "", ["render_template"]),
        ("the UrlDispatcher class", "", ["urldispatcher"]),
        ("open a file", "", []),
        ("?", "", []),
    ],
)
def test_whole_names_are_recognised_in_a_query(text: str, only_stem: str, names: list[str]) -> None:
    query = prepare(text)
    assert (query.only_stem, list(query.wanted_names)) == (only_stem, names)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Session::open", ["Session.open"]),
        ("why does Session#open call a.b.c twice", ["Session.open", "a.b.c"]),
        ("open a session", []),
    ],
)
def test_qualified_names_are_found_in_any_notation(text: str, names: list[str]) -> None:
    assert prepare(text).qualified_names == names


def test_a_long_word_costs_no_more_than_its_length() -> None:
    query = prepare("x" * 200_000)  # quadratic time would take minutes
    started = time.process_time()
    assert query.qualified_names == []
    assert time.process_time() - started < 1


def test_a_report_is_asked_by_its_headline_and_its_body_apart() -> None:
    query = prepare("Dates are wrong\n\nI call parse_date\nand it fails.")
    assert query.text == "Dates are wrong"
    assert query.terms.words == ["dates", "are", "wrong"]
    assert query.body is not None
    assert query.body.identifiers == ["parse_date"]
    assert prepare("dates are wrong").body is None
