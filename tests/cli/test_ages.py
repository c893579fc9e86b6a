"""How long ago something was, in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from codeindexd.cli.ages import age_of
from codeindexd.protocol.printable import day_of

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=30), "just now"),
        (timedelta(minutes=5), "5 minutes ago"),
        (timedelta(hours=3), "3 hours ago"),
        (timedelta(days=3), "3 days ago"),
        (timedelta(days=20), "2 weeks ago"),
        (timedelta(days=100), "3 months ago"),
        (timedelta(days=365), "11 months ago"),
        (timedelta(days=1000), "2 years ago"),
        (timedelta(days=-3), "just now"),
    ],
)
def test_ages(ago: timedelta, text: str) -> None:
    assert age_of((NOW - ago).isoformat(), NOW) == text


def test_a_year_of_five_digits_is_yet_to_come() -> None:
    assert age_of("36812-02-20T00:36:16+00:00", NOW) == "just now"
    assert day_of("36812-02-20T00:36:16+00:00") == "36812-02-20"
