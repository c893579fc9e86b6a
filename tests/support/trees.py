"""Fixture trees written as dictionaries: ``tree(base, {"src/a.py": "x = 1\\n", "empty": None})``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Link:
    """A symbolic link to ``target``."""

    target: str


Node = str | bytes | Link | None


def tree(base: Path, nodes: Mapping[str, Node]) -> Path:
    """Lay out ``nodes`` below ``base``: text or bytes make a file, None a directory, Link a symlink. Returns base."""
    base.mkdir(parents=True, exist_ok=True)
    for name, content in nodes.items():
        place = base / name
        if content is None:
            place.mkdir(parents=True, exist_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Link):
            place.symlink_to(content.target)
        elif isinstance(content, bytes):
            place.write_bytes(content)
        else:
            place.write_text(content, encoding="utf-8")
    return base
