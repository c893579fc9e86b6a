"""The commands of ``codeindex``. Each is a function of a module here that returns the exit code."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from codeindexd.cli.run import Run

COMMANDS: Final[Mapping[str, str]] = {
    "add": "roots",
    "remove": "roots",
    "roots": "roots",
    "search": "queries",
    "log": "queries",
    "grep": "queries",
    "related": "queries",
    "symbol": "graph",
    "refs": "graph",
    "callers": "graph",
    "callees": "graph",
    "impact": "graph",
    "outline": "graph",
    "map": "graph",
    "why": "history",
    "history": "history",
    "together": "history",
    "sync": "health",
    "status": "health",
    "verify": "health",
    "explain": "health",
    "reindex": "roots",
    "pause": "roots",
    "resume": "roots",
    "stop": "program",
    "restart": "program",
    "logs": "program",
    "service": "program",
    "doctor": "program",
    "stats": "program",
    "agents": "program",
    "mcp": "program",
    "config": "program",
    "completions": "program",
    "man": "program",
    "uninstall": "program",
}
"""The module of each command. A run imports only the one it needs, because imports are most of its time."""

_OTHER_NAMES: Final = {"map": "code_map"}


def function_of(command: str) -> Callable[[Run], int]:
    """Return the function of a command, which is a key of ``COMMANDS``."""
    module = importlib.import_module(f"{__name__}.{COMMANDS[command]}")
    return cast("Callable[[Run], int]", getattr(module, _OTHER_NAMES.get(command, command)))
