"""Lines of ``status``."""

from __future__ import annotations

import io
from typing import Any, cast

import pytest

from codeindexd.cli import health
from codeindexd.cli.terminal import Terminal
from codeindexd.client.results import VerifyResult


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


def _verified(result: dict[str, Any], seconds: float) -> list[str]:
    out = io.StringIO()
    terminal = Terminal(out, io.StringIO(), {})
    health.verify(terminal, cast(VerifyResult, result), seconds=seconds)
    terminal.flush()
    return out.getvalue().splitlines()


def test_the_duration_of_several_verifications_is_not_that_of_the_last() -> None:
    one = {"path": "/a", "files_checked": 1, "chunks_checked": 2, "differences": []}
    assert _verified({"ok": True, "roots": [one]}, 25) == ["/a: 1 file, 2 chunks: equal to the disk, 25 s"]
    noted = {**one, "notes": ["2 files were not compared, because they cannot be read now"]}
    assert _verified({"ok": True, "roots": [noted]}, 0) == [
        "/a: 1 file, 2 chunks: equal to the disk",
        "  2 files were not compared, because they cannot be read now",
    ]
    gone = {**one, "path": "/b", "not_verified": "/b is missing: there is no such directory"}
    assert _verified({"ok": True, "roots": [one, gone]}, 25) == [
        "/a: 1 file, 2 chunks: equal to the disk",
        "not verified: /b is missing: there is no such directory",
        "2 roots, 25 s",
    ]
