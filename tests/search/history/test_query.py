"""The query language of ``codeindex log``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from codeindexd.errors import InvalidQueryError
from codeindexd.search.history.query import CommitQuery, parse_commit_query, parse_date

NOW = datetime(2026, 3, 15, 12, 30, tzinfo=timezone(timedelta(hours=2)))


def parsed(text: str) -> CommitQuery:
    return parse_commit_query(text, now=NOW)


def at(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=NOW.tzinfo).timestamp())  # type: ignore[arg-type,misc]


def test_words_filters_and_what_only_resembles_them() -> None:
    filters = 'author:"Ada L" -author:bot path:src/** -path:docs touches:Client.get'
    query = parsed(f'why was "the cache" {filters} std::vector')
    assert query.text == "why was std::vector"
    assert query.phrases == ("the cache",)
    assert (query.authors, query.authors_left_out) == (("Ada L",), ("bot",))
    assert (query.include, query.exclude, query.touches) == (("src/**",), ("docs",), ("Client.get",))


def test_absolute_path_filters_become_relative_to_a_root() -> None:
    query = parsed("path:/home/code/src/** -path:/home/code/docs path:*.py path:/elsewhere/x").below("/home/code")
    assert (query.include, query.exclude) == (("/src/**", "*.py", "/elsewhere/x"), ("/docs",))
    assert parsed("words").below("/home/code") == parsed("words")


def test_an_age_needs_no_quotes() -> None:
    query = parsed("since:3 weeks ago cache until:2 days")
    assert query.text == "cache"
    assert (query.since, query.until) == (parse_date("3w", now=NOW), parse_date("2d", now=NOW))
    assert parsed("since:2024 days").text == "days"  # a year


def test_issues_regexes_and_ids() -> None:
    query = parsed("#12 GH-7 !9 /a+b/ -/c/ 0123abcdef")
    assert query.issues == (12, 7, 9)
    assert [regex.search("aab") for regex in query.regexes] == [True]
    assert len(query.regexes_left_out) == 1
    assert query.ids == ("0123abcdef",)
    assert parsed("1234567 pixels").ids == ()  # a number among words
    assert parsed("1234567").ids == ("1234567",)
    assert parsed("1f3a").ids == ("1f3a",)
    assert parsed("feed").ids == ()  # a word


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024", at(2024, 1, 1), at(2025, 1, 1)),
        ("2024-12", at(2024, 12, 1), at(2025, 1, 1)),
        ("2024-02-29", at(2024, 2, 29), at(2024, 3, 1)),
        ("2024-02-29T10:30", at(2024, 2, 29, 10, 30), at(2024, 2, 29, 10, 31)),
        ("today", at(2026, 3, 15), at(2026, 3, 16)),
        ("yesterday", at(2026, 3, 14), at(2026, 3, 15)),
    ],
)
def test_dates_are_periods(text: str, start: int, end: int) -> None:
    assert parse_date(text, now=NOW) == start
    assert parse_date(text, now=NOW, is_end=True) == end


@pytest.mark.parametrize("text", ["2w", "2 weeks ago", "14 days", "14d"])
def test_dates_before_now(text: str) -> None:
    assert parse_date(text, now=NOW) == int((NOW - timedelta(days=14)).timestamp())


def test_dates_in_utc() -> None:
    assert parse_date("2024-02-29T10:30:05Z", now=NOW) == int(datetime(2024, 2, 29, 10, 30, 5, tzinfo=UTC).timestamp())


@pytest.mark.parametrize("text", ["since:soon", "until:2024-13", "since:2024-02-30", "after:99999999y", "-since:2024"])
def test_wrong_dates_say_what_is_understood(text: str) -> None:
    with pytest.raises(InvalidQueryError) as caught:
        parsed(text)
    assert caught.value.hint


def test_periods() -> None:
    query = parsed("since:2024 until:2024-06 after:2024-02")
    assert (query.since, query.until) == (at(2024, 2, 1), at(2024, 7, 1))


def test_wrong_regexes_and_endless_queries() -> None:
    with pytest.raises(InvalidQueryError):
        parsed("/(/")
    with pytest.raises(InvalidQueryError, match="longer"):
        parsed("x" * 20_000)
