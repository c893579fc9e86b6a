"""Files and directories for models: paths with their best places, within the budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from codeindexd.mcp import tokens
from codeindexd.mcp.answers import Budget, as_json
from codeindexd.mcp.grouped import grouped_answer
from codeindexd.mcp.scope import Scope

if TYPE_CHECKING:
    from codeindexd.client.results import SearchResult


def result(groups: int, *, is_directory: bool = False) -> SearchResult:
    hits: list[dict[str, Any]] = []
    found = []
    for number in range(groups):
        path = f"src/part{number}"
        place = f"{path}/main.py" if is_directory else path
        hits.append(
            {"root": "/r", "path": place, "start_line": 10, "end_line": 12, "best_line": 11, "symbol": f"f{number}"}
            | {"kind": "function", "snippet": f"a\ndef f{number}(x):\nb\n"}
        )
        group: dict[str, Any] = {"root": "/r", "path": path, "score": 1.0, "hits": [number]}
        found.append(group | ({"files": 3} if is_directory else {}))
    return cast("SearchResult", {"query": "f", "hits": hits, "groups": found})


def answer(of: SearchResult, *, left: int = 2000, page: int = 1, limit: int = 10) -> Any:
    return grouped_answer(of, Scope(["/r"], "/r"), Budget(left), query="f", limit=limit, page=page, nothing="No hits.")


def test_a_file_is_followed_by_its_places() -> None:
    assert answer(result(1)).text == "src/part0\n  11  f0  function  def f0(x):"


def test_a_directory_names_the_files_of_its_places() -> None:
    assert answer(result(1, is_directory=True)).text == "src/part0/  3 files\n  main.py:11  f0  function  def f0(x):"


def test_the_project_itself_is_not_the_root_of_the_file_system() -> None:
    of = result(1, is_directory=True)
    of["groups"][0]["path"] = ""
    assert answer(of).text.startswith("./  3 files\n")


def test_pages_follow_each_other() -> None:
    first, second = (answer(result(3), page=page, limit=2) for page in (1, 2))
    assert first.text.endswith("(for more, repeat the call with page=2)")
    assert second.text.startswith("src/part2")
    assert "repeat" not in second.text
    assert "There is no page 3" in answer(result(3), page=3, limit=2).text


@pytest.mark.parametrize("left", [120, 300, 1000])
def test_the_budget_holds_for_text_and_structure(left: int) -> None:
    found = answer(result(40), left=left, limit=50)
    assert found.text.startswith("src/part0")
    assert max(tokens.count(found.text), tokens.count(as_json(found.structured))) <= left + 30


def test_nothing_is_said() -> None:
    assert answer(result(0)).text == "No hits."
