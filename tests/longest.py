"""The longest files and functions of the code: places to look at, not limits to enforce."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

_SHOWN = 10


def longest(directory: Path) -> str:
    """Return a table of the ten longest files and functions below ``directory``, in lines."""
    files: list[tuple[int, str]] = []
    functions: list[tuple[int, str]] = []
    for path in sorted(directory.rglob("*.py")):
        text = path.read_text()
        place = path.relative_to(directory).as_posix()
        files.append((text.count("\n"), place))
        functions += ((lines, f"{place}: {name}") for lines, name in _functions(ast.parse(text)))
    rows = ["longest files", *map(_row, _top(files)), "longest functions", *map(_row, _top(functions))]
    return "\n".join(rows)


def _functions(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1, node.name


def _top(measured: list[tuple[int, str]]) -> list[tuple[int, str]]:
    return sorted(measured, reverse=True)[:_SHOWN]


def _row(measured: tuple[int, str]) -> str:
    return f"{measured[0]:6}  {measured[1]}"
