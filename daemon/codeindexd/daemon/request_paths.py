"""Paths in the parameters of requests."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def path_of(raw: Any) -> Path:
    """Return the path that a parameter names, without ``..`` and double slashes."""
    return Path(os.path.normpath(os.fsdecode(raw)))


def paths_of(raw: Sequence[Any] | None) -> list[Path] | None:
    """Return the paths that a parameter names, None if it names none."""
    return [path_of(path) for path in raw] if raw else None
