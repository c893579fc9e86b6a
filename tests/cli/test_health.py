"""Lines of ``status``."""

from __future__ import annotations

from typing import Any

import pytest

from codeindexd.cli import health


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (None, ""),
        ({"state": "off", "commits": 0, "total": 0}, ""),
        ({"state": "indexing", "commits": 0, "total": 0}, "history: not read yet"),
        ({"state": "indexing", "commits": 0, "total": 1}, "history: 0 of 1 commit"),
        ({"state": "complete", "commits": 1, "total": 1, "shallow": True}, "history: 1 commit, a shallow clone"),
        ({"state": "complete", "commits": 5_531, "total": 5_531}, "history: 5,531 commits"),
    ],
)
def test_how_far_a_history_is(entry: Any, line: str) -> None:
    assert health.history(entry) == line
