"""Prepared queries: stems and whole names."""

from __future__ import annotations

import pytest

from codeindexd.analysis.tokens import Tokenizer
from codeindexd.search.prepared_query import PreparedQuery, name_stems, stems_of
from codeindexd.search.query import parse


def prepared(text: str) -> PreparedQuery:
    terms = Tokenizer().tokenize(text)
    return PreparedQuery(parse(text), terms, stems_of(terms.words), [], {})


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
    query = prepared(text)
    assert (query.only_stem, list(query.wanted_names)) == (only_stem, names)


def test_names_are_compared_by_the_stems_of_their_words() -> None:
    assert name_stems("parsedQueries") == frozenset(stems_of(["parse", "query"]))
