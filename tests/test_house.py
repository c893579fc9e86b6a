"""The rules of the house that a reader relies on: imports only go down, files stay small, clients stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = PROJECT / "daemon/codeindexd"
LONGEST = 400

FLOORS = {
    0: "model errors protocol",
    1: "ignore settle merkle plan pending progress chunking secrets secret_keys secret_patterns secret_values tokens "
    "ranking query question",
    2: "watch scan files fingerprint workers embed models catalog sqlite_files durable vectors lexical dense config "
    "paths lock service_files notify logs allocator",
    3: "doubt snapshot projections former opening indexer replay vectorizer work reconciler registry root roots "
    "verifier searcher auditor status events metrics doctor",
    4: "server handlers daemon",
    5: "cli client mcp __main__ __init__",
}
FLOOR_OF = {name: floor for floor, names in FLOORS.items() for name in names.split()}
SOURCES = sorted(PACKAGE.rglob("*.py"))


def unit_of(path: Path) -> str:
    """The module or package directly below ``codeindexd`` that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> Iterator[str]:
    """Units of ours that a file imports anywhere, except where only a type checker looks."""
    for node in ast.walk(untyped(ast.parse(path.read_text()))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "codeindexd":
            names = [f"codeindexd.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "codeindexd" and len(parts) > 1 and parts[1] in FLOOR_OF:
                yield parts[1]


def untyped(module: ast.Module) -> ast.Module:
    """``module`` without its ``if TYPE_CHECKING`` blocks."""

    class Without(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST:
            checked = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            return ast.Pass() if checked else self.generic_visit(node)

    return Without().visit(module)


def test_every_module_has_a_floor() -> None:
    assert {unit_of(path) for path in SOURCES} == set(FLOOR_OF)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_go_down(path: Path) -> None:
    own = unit_of(path)
    upward = {name for name in imports_of(path) if FLOOR_OF[name] > FLOOR_OF[own]}
    assert not upward, f"{own} (floor {FLOOR_OF[own]}) imports {upward} from above"


def test_the_client_needs_only_the_words() -> None:
    for path in (PACKAGE / "client").rglob("*.py"):
        above = {name for name in imports_of(path) if FLOOR_OF[name] > 0} - {"client"}
        assert not above, f"{path.name} imports {above}"


@pytest.mark.parametrize("module", ["codeindexd.client", "codeindexd.cli.codeindex"])
def test_a_client_imports_nothing_heavy(module: str) -> None:
    heavy = [
        "numpy",
        "tantivy",
        "usearch",
        "tree_sitter",
        "watchfiles",
        "structlog",
        "msgspec",
        "httpx",
        "sqlite3",
        "xxhash",
    ]
    code = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(PACKAGE.parent)},
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "path",
    [*SOURCES, *sorted((PROJECT / "tests").rglob("*.py"))],
    ids=lambda path: str(path.relative_to(PROJECT)),
)
def test_no_file_is_too_long_to_read(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST
