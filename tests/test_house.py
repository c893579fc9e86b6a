"""The rules of the house that a reader relies on: imports only go down, nothing goes in circles, clients stay light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.places import DAEMON, PROJECT

PACKAGE = DAEMON / "codeindexd"

# Top to bottom; a room may import those on lower floors and those to the right of it on its own.
FLOORS = (
    "__main__ cli mcp",
    "daemon",
    "roots",
    "search indexing",
    "watch storage scan",
    "analysis client",
    "workers protocol",
    "config waiting quantities types errors __init__",
)
ORDER = {room: number for number, room in enumerate(" ".join(FLOORS).split())}
SOURCES = sorted(PACKAGE.rglob("*.py"))
HEAVY = (
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
)
OF_WORKERS = {
    "codeindexd.analysis.chunking.chunker",
    "codeindexd.analysis.chunking.recovery",
    "codeindexd.analysis.references.extract",
    "codeindexd.analysis.history.reader",
    "codeindexd.indexing.pipeline",
    "pygit2",
}


def name_of(path: Path) -> str:
    """Return the dotted name of a module, or of a package for its ``__init__.py``."""
    return ".".join(path.relative_to(DAEMON).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in SOURCES}


def room_of(module: str) -> str:
    """Return the file or folder directly below the package that a module belongs to."""
    return module.split(".")[1] if "." in module else "__init__"


def imports_of(path: Path) -> Iterator[str]:
    """Yield the modules of ours that a file imports anywhere, also inside functions and for type checkers only."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in MODULES:
                    yield inner
                elif node.module in MODULES:
                    yield node.module


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that reach each other (strongly connected components, after Tarjan 1972)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for other in graph[module]:
            if other not in number:
                visit(other)
            if other in stack:
                lowest[module] = min(lowest[module], lowest[other])
        if lowest[module] == number[module]:
            start = stack.index(module)
            if len(stack) - start > 1:
                found.append(sorted(stack[start:]))
            del stack[start:]

    for module in graph:
        if module not in number:
            visit(module)
    return found


def test_every_room_has_a_place() -> None:
    assert {room_of(module) for module in MODULES} == set(ORDER)


@pytest.mark.parametrize("module", MODULES)
def test_imports_only_go_down(module: str) -> None:
    own = room_of(module)
    upward = {name for name in imports_of(MODULES[module]) if ORDER[room_of(name)] < ORDER[own]}
    assert not upward, f"{module} imports from above its room"


def test_no_module_reaches_itself() -> None:
    assert circles({module: set(imports_of(path)) for module, path in MODULES.items()}) == []


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}
    assert circles(graph) == [["b", "c"]]


def test_the_map_names_every_module() -> None:
    text = (PROJECT / "docs/architecture.md").read_text()
    missing = [
        place
        for path in SOURCES
        if path.name not in ("__init__.py", "__main__.py")
        and f"`{(place := path.relative_to(PACKAGE).with_suffix('').as_posix())}`" not in text
    ]
    assert missing == []


def test_the_map_names_no_module_that_is_gone() -> None:
    text = (PROJECT / "docs/architecture.md").read_text()
    named = re.findall(rf"`((?:{'|'.join(ORDER)})/[\w/]*\w)`", text)
    assert named
    assert [place for place in named if not any((PACKAGE / f"{place}{end}").exists() for end in (".py", "/"))] == []


def test_the_client_needs_only_the_protocol() -> None:
    for module, path in MODULES.items():
        if room_of(module) == "client":
            rooms = {room_of(name) for name in imports_of(path)}
            assert rooms <= {"client", "protocol", "errors", "__init__"}, module


@pytest.mark.parametrize("module", ["codeindexd.client", "codeindexd.cli.codeindex"])
def test_a_client_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(DAEMON)}
    )
    assert done.stdout.strip() == "[]"


def test_the_daemon_leaves_to_its_workers_what_only_they_need() -> None:
    code = "import sys, codeindexd.daemon.app; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(DAEMON)}
    )
    loaded = set(done.stdout.split())
    assert "codeindexd.search.searcher" in loaded
    assert loaded.isdisjoint(OF_WORKERS)


_COMMAND = re.compile(
    r"\bcodeindex (?:add|remove|explain|sync|status|verify|reindex|pause|resume|why|history|together|refs|grep|x) $"
    r"|\bgit (?:blame|log) $|\bchmod \S+ $"
)
_MAKERS = {"codeindexd.cli.completions", "codeindexd.cli.manual", "codeindexd.cli.command_line"}
_QUOTED = {"place", "directory"}
"""Variables whose text is quoted already."""


def commands_without_quotes(source: str) -> Iterator[str]:
    """Yield the values that an f-string puts into a command for a shell without quoting them."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.JoinedStr):
            continue
        before = ""
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                value = ast.unparse(part.value)
                if _COMMAND.search(before) and "quote" not in value and "join(" not in value and value not in _QUOTED:
                    yield value
                before += "x"
            elif isinstance(part, ast.Constant):
                before += str(part.value)


@pytest.mark.parametrize("module", sorted(MODULES.keys() - _MAKERS))
def test_suggested_commands_can_be_pasted(module: str) -> None:
    """A path in a command has quotes where a shell needs them."""
    assert [*commands_without_quotes(MODULES[module].read_text())] == []


def test_values_without_quotes_are_found() -> None:
    source = """f"to see why: codeindex explain {path}" + f"codeindex add {shlex.quote(path)}" + f"{path} is gone" """
    assert [*commands_without_quotes(source)] == ["path"]
