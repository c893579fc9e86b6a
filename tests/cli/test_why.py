"""How the commands about histories read what they are asked about, and print what they find."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from codeindexd.cli import parser, why
from codeindexd.cli.terminal import Terminal
from codeindexd.errors import NotIndexedError, UsageError

COMMIT: dict[str, Any] = {
    "id": "4f6c1de0a9" * 4,
    "short_id": "4f6c1de0a9",
    "author": {"name": "Ada Augusta King, Countess of Lovelace", "email": ""},
    "date": "2020-09-13T12:00:00+02:00",
    "subject": "Refresh thrice (#12)\x1b[31m",
    "body": "\n".join(f"line {number}" for number in range(20)),
    "references": [12],
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text("def f(): pass\n")
    monkeypatch.chdir(tmp_path)


def printed(result: Any, show: Any, cwd: str = "/p") -> str:
    out = io.StringIO()
    terminal = Terminal(out, io.StringIO(), {})
    show(terminal, result, cwd)
    terminal.flush()
    return out.getvalue()


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("new\nline.py:1", ("new\nline.py", 1, None)),
        ("a.py:3", ("a.py", 3, None)),
        ("a.py:3-7", ("a.py", 3, 7)),
        ("a.py:3,7", ("a.py", 3, 7)),
        ("C:\\odd:name.py:12", ("C:\\odd:name.py", 12, None)),
    ],
)
def test_lines(place: str, expected: tuple[str, int, int | None]) -> None:
    assert why.requested_lines(parser.parse(["why", place])) == expected


@pytest.mark.parametrize("place", ["a.py", "a.py:0", "a.py:7-3", ":3"])
def test_what_names_no_lines(place: str) -> None:
    with pytest.raises(UsageError, match=r"PATH:LINE|range of lines"):
        why.requested_lines(parser.parse(["why", place]))


@pytest.mark.parametrize(
    ("command", "asked", "expected"),
    [
        ("history", "a.py", {"path": "a.py"}),
        ("history", "a.py:1", {"path": "a.py", "line": 1}),
        ("history", "Client.get", {"name": "Client.get"}),
        ("history", "gone/b.py", {"path": "gone/b.py"}),
        ("together", "a.py", {"path": "a.py"}),
        ("together", "f", {"name": "f"}),
    ],
)
def test_paths_and_names(command: str, asked: str, expected: dict[str, Any]) -> None:
    found = why.query_arguments(parser.parse([command, asked]), ".")
    assert {key: value for key, value in found.items() if key not in ("roots", "limit")} == expected


def test_a_line_of_a_file_that_does_not_exist() -> None:
    with pytest.raises(NotIndexedError, match=r"gone\.py does not exist"):
        why.query_arguments(parser.parse(["history", "gone.py:1"]), ".")


@pytest.mark.parametrize(("command", "limit"), [("history", "0"), ("together", "-1"), ("why", "-1")])
def test_impossible_limits(command: str, limit: str) -> None:
    with pytest.raises(UsageError, match=f"argument -n: must be [01] to 1000, not {limit}"):
        parser.parse([command, "a.py:1", "-n", limit])


def test_a_commit_is_printed_with_its_message_and_no_control_characters() -> None:
    text = printed(
        {
            "root": "/p", "path": "a.py", "start_line": 9, "end_line": 10, "text": ["x = 1", "y = 2"],
            "lines": [
                {"line": 9, "count": 1, "commit": COMMIT["id"]}, {"line": 10, "count": 1, "commit": None}
            ],
            "commits": [{**COMMIT, "lines": [[9, 9]], "boundary": True}], "definition": None,
            "earlier": [{**COMMIT, "original_path": "a.py", "lines": []}], "more_earlier": True,
        },
        why.print_why,
    )  # fmt: skip
    assert " 9  4f6c1de0a9  2020-09-13  x = 1\n10  not committed           y = 2\n" in text
    assert "\n    line 11\n    8 more lines: git show 4f6c1de0a9\n    names #12\n" in text
    assert "the lines may be older" in text
    assert "earlier changes of these lines:\n  4f6c1de0a9  2020-09-13  Ada Augusta King,…" in text
    assert "more: codeindex history a.py:9" in text
    assert "\x1b" not in text


def test_a_history_says_how_a_file_was_called() -> None:
    change = {"kind": "M", "added": 3, "removed": 0, "definitions": []}
    commits = [
        {**COMMIT, "changes": [{**change, "path": "a.py"}]},
        {**COMMIT, "changes": [{**change, "path": "a.py", "kind": "R", "added": 0, "old_path": "old.py"}]},
        {**COMMIT, "changes": [{**change, "path": "old.py", "kind": "A"}]},
        {**COMMIT, "changes": [{**change, "path": "a.py", "added": -1, "removed": -1}]},
        {**COMMIT, "changes": [{**change, "path": "a"}] * 2},
        {**COMMIT, "changed": []},
    ]
    text = printed({"root": "/p", "path": "a.py", "commits": commits, "total": 9, "truncated": True}, why.print_history)
    ends = [line.partition("(#12)")[2].strip("␛[31m ") for line in text.splitlines()]
    assert ends == [
        "(+3 -0)",
        "(renamed from old.py)",
        "(added, as old.py)",
        "(lines not counted)",
        "(2 files)",
        "",
        "",
    ]
    assert text.splitlines()[-1] == "3 more; to see them: -n 30"


def test_what_changes_together() -> None:
    entry = {"path": "b.py", "count": 3, "total": 5, "confidence": 0.75, "score": 0.5}
    text = printed(
        {
            "root": "/p", "name": "f", "commits": 4, "definitions": [{**entry, "symbol": "g"}], "files": [entry],
            "tests": [{**entry, "path": "test_b.py", "last": COMMIT}],
        },
        why.print_together,
    )  # fmt: skip
    assert text == (
        "f changed in 4 commits; with it:\n"
        "definitions:\n    3 of 4  (75%)  b.py  g\n"
        "files:\n    3 of 4  (75%)  b.py\n"
        "tests:\n    3 of 4  (75%)  test_b.py  last 2020-09-13 4f6c1de0a9\n"
    )


def test_what_is_said_if_nothing_changes_together() -> None:
    nothing: Any = {"commits": 0, "large_commits": 0}
    assert why.nothing_together(nothing) == "no known commit changed it"
    assert why.nothing_together({**nothing, "large_commits": 3}) == "only large commits changed it"
    assert why.nothing_together({**nothing, "commits": 2}) == "nothing changed together with it more than once"
