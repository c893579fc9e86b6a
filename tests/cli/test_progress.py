"""The progress line: true, and never wider than the terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest

from codeindexd.cli import progress
from codeindexd.cli.progress import ProgressLine, cut_start, fitted, width_of
from codeindexd.cli.terminal import Terminal

PATH = "/home/somebody/projects/\u8a9e\u8a9e/cafe\u0301/a-rather-long-name-of-a-repository"
STATES: list[dict[str, Any]] = [
    {"files_done": 0, "files_total": 0, "chunks_done": 0, "files_per_s": 0.0, "eta_s": None, "activity": "index"},
    {"files_done": 120, "files_total": 480, "chunks_done": 1903, "files_per_s": 85.0, "eta_s": 4.0},
    {"files_done": 123456, "files_total": 785790, "chunks_done": 9_999_999, "files_per_s": 1234.5, "eta_s": 7199.0},
    {"files_done": 0, "files_total": 0, "chunks_done": 0, "files_per_s": 0.0, "eta_s": None, "activity": "verify"},
    {"files_done": 5, "files_total": 78579, "chunks_done": 7, "files_per_s": 1.0, "eta_s": 9e5, "activity": "verify"},
]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("path", ["/", "/p", PATH])
def test_a_line_fits_every_width(state: Any, path: str) -> None:
    for width in range(251):
        assert width_of(fitted(path, state, width)) <= width


def test_what_matters_most_stays() -> None:
    state: Any = STATES[2]
    assert fitted(PATH, state, 200).startswith(f"{PATH}  123,456/785,790 files  9,999,999 chunks  1,234 files/s  ")
    assert fitted(PATH, state, 90).endswith("  123,456/785,790 files  9,999,999 chunks  1,234 files/s  1 h 59 min left")
    assert fitted(PATH, state, 60) == "\u2026ame-of-a-repository  123,456/785,790 files  1 h 59 min left"
    assert fitted(PATH, state, 40) == "123,456/785,790 files  1 h 59 min left"
    assert fitted(PATH, state, 21) == "123,456/785,790 files"
    assert fitted(PATH, state, 19) == "\u2026a-repository  15 %"
    assert fitted(PATH, STATES[1], 19) == "120/480 files"
    assert fitted(PATH, STATES[0], 79).endswith("looking for changes  0 chunks")
    assert "verified" in fitted(PATH, STATES[4], 79)


def test_a_total_that_may_grow_is_no_share() -> None:
    scanning = STATES[1] | {"eta_s": None, "scanning": True}
    assert fitted(PATH, scanning, 79).endswith("  120/480+ files  1,903 chunks  85 files/s")
    assert fitted(PATH, scanning, 12) == "..."


def test_columns_are_counted_as_terminals_do() -> None:
    assert [width_of(text) for text in ("abc", "\u8a9e", "e\u0301", "\u2026")] == [3, 2, 1, 1]
    assert cut_start("/a/\u8a9e\u8a9e", 4) == "\u2026\u8a9e"
    assert cut_start("/ab", 3) == "/ab"


def test_a_line_is_as_wide_as_the_terminal_is_now_and_comes_late() -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    err, now = Screen(), 100.0
    line = ProgressLine(Terminal(Screen(), err, {"COLUMNS": "40"}), PATH, show_after_s=0.3, clock=lambda: now)
    line.show(STATES[2])  # type: ignore[arg-type]
    assert err.getvalue() == ""
    now += 0.5
    line.show(STATES[2])  # type: ignore[arg-type]
    assert err.getvalue() == "\r\x1b[K123,456/785,790 files  1 h 59 min left"


def test_the_summary_says_how_long_it_took_and_what_is_left_out() -> None:
    root: Any = {"path": "/p", "state": "fresh", "files": 5025, "chunks": 1}
    assert progress.summary(root) == "/p: fresh, 5,025 files, 1 chunk"
    assert progress.summary(root, seconds=0.9, skipped={}) == "/p: fresh, 5,025 files, 1 chunk"
    text = progress.summary(root, seconds=72.0, skipped={"binary": 215, "empty": 1003, "vcs": 1})
    assert text == "/p: fresh, 5,025 files, 1 chunk, 1 min 12 s (left out: 1,003 empty, 215 binary, 1 vcs)"


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (None, ""),
        ({"state": "off", "commits": 0, "total": 0}, ""),
        ({"state": "unavailable", "commits": 0, "total": 0, "reason": "no repository"}, ""),
        ({"state": "complete", "commits": 1, "total": 1}, "history: 1 commit"),
        (
            {"state": "indexing", "commits": 64, "total": 34_712},
            "history: 64 of 34,712 commits so far; the others follow in the background: codeindex status",
        ),
        (
            {"state": "indexing", "commits": 0, "total": 0},
            "history: not read yet; it follows in the background: codeindex status",
        ),
    ],
)
def test_the_history_of_an_added_root_takes_one_line(entry: Any, line: str) -> None:
    assert progress.history_summary(entry) == line


def test_a_root_that_cannot_be_indexed_is_noted_once_where_no_line_is_shown() -> None:
    err, now = io.StringIO(), 100.0
    line = ProgressLine(Terminal(io.StringIO(), err, {}), "/p", is_shown=False, clock=lambda: now)
    shown = [("degraded", 2.0), ("indexing", 5.0), ("degraded", 2.0), ("degraded", 1.5)]
    for state, seconds in shown:
        line.show({**STATES[1], "state": state})  # type: ignore[typeddict-item]
        assert err.getvalue() == ""
        now += seconds
    for _ in range(2):
        line.show({**STATES[1], "state": "degraded"})  # type: ignore[typeddict-item]
    note = "note: still waiting: /p is degraded; for the cause and the remedy: codeindex status\n"
    assert err.getvalue() == note
