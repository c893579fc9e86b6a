"""Which roots a call searches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from codeindexd.errors import NotIndexedError
from codeindexd.mcp.scope import Project, Scope, resolve


class Client:
    """Knows roots."""

    def __init__(self, *roots: str) -> None:
        self.known = list(roots)

    async def roots(self) -> dict[str, Any]:
        return {"roots": [{"path": path} for path in self.known]}


def resolved(client: Client, project: Project, requested: Any = None) -> Scope:
    async def add(path: str) -> None:
        client.known.append(path)

    return anyio.run(lambda: resolve(client, project, requested, add))  # type: ignore[arg-type, return-value]


def test_the_project_is_the_root_around_its_directory() -> None:
    scope = resolved(Client("/p", "/p/inner", "/q"), Project(("/p/inner/src",)))
    assert scope.roots == ["/p/inner"]
    assert not scope.below


def test_roots_below_the_directory_are_searched_if_none_is_around_it() -> None:
    assert resolved(Client("/w/a", "/w/b", "/q"), Project(("/w",))).roots == ["/w/a", "/w/b"]


def test_other_roots_only_when_asked() -> None:
    project = Project(("/p",))
    assert resolved(Client("/p", "/q"), project, "all").roots is None
    assert resolved(Client("/p", "/q"), project, ["/q"]).roots == ["/q"]


def test_a_directory_inside_a_root_restricts_the_search() -> None:
    scope = resolved(Client("/p"), Project(("/p",)), ["/p/src"])
    assert (scope.roots, scope.below, scope.globs(None)) == (["/p"], ["/p/src"], ["/p/src/**"])
    assert scope.globs(["*.py"]) == ["*.py"]


def test_an_error_says_which_call_indexes_the_project(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "src").mkdir()
    with pytest.raises(NotIndexedError) as error:
        resolved(Client("/q"), Project((str(tmp_path / "src"),)))
    assert error.value.hint.startswith(f'Call add_root with path="{tmp_path}", then repeat this call.')
    assert '/q; search them with roots="all"' in error.value.hint


def test_without_a_project_the_call_has_to_name_one() -> None:
    with pytest.raises(NotIndexedError, match="not known which project"):
        resolved(Client("/q"), Project(()))


def test_the_project_is_indexed_on_first_use_if_permitted(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    client = Client()
    assert resolved(client, Project((str(tmp_path),), may_add=True)).roots == [str(tmp_path)]
    with pytest.raises(NotIndexedError):
        resolved(client, Project((str(tmp_path),), may_add=True), [str(tmp_path.parent / "other")])


def test_what_is_not_indexed_is_noted_beside_what_is() -> None:
    scope = resolved(Client("/p"), Project(("/p", "/not")))
    assert scope.roots == ["/p"]
    assert scope.notes == ['/not is not indexed and was not searched; call add_root with path="/not"']


def test_paths_are_shown_relative_to_the_project() -> None:
    scope = Scope(["/p"], "/p/src")
    assert scope.shown("/p", "src/a.py") == "a.py"
    assert scope.shown("/p", "docs/a.md") == "/p/docs/a.md"
    assert Scope(None, "").shown("/p", "a") == "/p/a"


def test_a_path_filter_is_relative_to_the_project(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    scope = Scope(["/"], str(tmp_path))
    assert scope.globs(["src/**", "!./src/x", "*.py", "/abs/**"]) == [
        f"{tmp_path}/src/**", f"!{tmp_path}/src/x", "*.py", "/abs/**"
    ]  # fmt: skip
    assert scope.globs([f"file://{tmp_path}/src"]) == [f"{tmp_path}/src"]


def test_shown_paths_have_neither_line_breaks_nor_escape_sequences() -> None:
    assert Scope(["/p"], "/p").shown("/p", "a\n\x1b[31mb.py") == "a\u240a\u241b[31mb.py"
