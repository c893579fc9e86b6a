"""How the commands about the code graph read what they are asked about."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from codeindexd.cli import graph, parser
from codeindexd.errors import NotIndexedError, UsageError


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text("def f(): pass\n")
    monkeypatch.chdir(tmp_path)


def test_a_path_and_a_line_are_a_place() -> None:
    asked = graph.query_arguments(parser.parse(["refs", "a.py:1"]), ".")
    assert (asked["path"], asked["line"]) == ("a.py", 1)


def test_a_column_may_follow_the_line() -> None:
    asked = graph.query_arguments(parser.parse(["refs", "a.py:1:7"]), ".")
    assert (asked["path"], asked["line"], asked["column"]) == ("a.py", 1, 7)


def test_a_line_of_a_file_that_does_not_exist_is_no_name() -> None:
    with pytest.raises(NotIndexedError, match=r"gone\.py does not exist"):
        graph.query_arguments(parser.parse(["refs", "gone.py:1"]), ".")


@pytest.mark.parametrize("command", ["refs", "callers", "callees", "impact"])
def test_nothing_is_an_error_of_the_command_that_was_given(command: str) -> None:
    with pytest.raises(UsageError, match=f"^{command} needs a name"):
        graph.query_arguments(parser.parse([command, ""]), ".")


def test_commands_quote_the_paths_in_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "it's a file.py").touch()
    found = graph.hint_for_path("it's a file.py", "refs")
    assert shlex.split(found.partition(": ")[2]) == ["codeindex", "refs", "it's a file.py:LINE"]


@pytest.mark.parametrize(("asked", "hint"), [("a.py", "refs a.py:LINE"), ("x/gone.py", "does not exist"), ("f", "")])
def test_a_path_that_was_taken_for_a_name_is_explained(asked: str, hint: str) -> None:
    found = graph.hint_for_path(asked, "refs")
    assert hint in found
    assert bool(found) == bool(hint)
