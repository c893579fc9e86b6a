"""The command ``codeindex service``: its actions, and their outcomes as text and JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from codeindexd.cli import service_manager
from codeindexd.cli.terminal import Terminal, safe

ACTIONS: Mapping[str, Callable[[Mapping[str, str]], Mapping[str, Any]]] = {
    "install": lambda environ: document(service_manager.install(environ)),
    "uninstall": lambda environ: document(service_manager.uninstall(environ)),
    "status": lambda environ: document(service_manager.status(environ)),
}


def document(outcome: Any) -> dict[str, Any]:
    """Return the fields of a dataclass as JSON values, with paths as strings."""

    def plain(value: Any) -> Any:
        if isinstance(value, Path):
            return str(value)
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return value

    return {name: plain(value) for name, value in dataclasses.asdict(outcome).items()}


def show(terminal: Terminal, outcome: Mapping[str, Any]) -> None:
    """Print a line for each field of an outcome, and for each item of a list."""
    for name, value in outcome.items():
        label = name.replace("_", " ")
        if isinstance(value, list):
            for item in value:
                terminal.print(f"{label}: {safe(str(item))}")
        elif isinstance(value, bool):
            terminal.print(f"{label}: {'yes' if value else 'no'}")
        elif value not in {None, ""}:
            terminal.print(f"{label}: {safe(str(value))}")
