"""Models for the transformer's process that need no library: vectors from hashes, and texts that make it fail."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from codeindexd.analysis.embedding.transformer_wire import Load

DIMENSIONS = 16


def hashed(text: str) -> Any:
    """Return a vector that depends on the words of ``text``, so that similar texts are close."""
    vector = np.full(DIMENSIONS, 0.01)
    for word in text.lower().split():
        vector[sum(word.encode()) % DIMENSIONS] += 1.0
    return vector


class Hashed:
    """A model that a file ``orders`` in its directory makes "crash", "broken" or "slow" while it loads."""

    dimensions = DIMENSIONS
    device = "hashing"

    def __init__(self, load: Load) -> None:
        directory = Path(load.model)
        orders = (directory / "orders").read_text() if (directory / "orders").exists() else ""
        with (directory / "loads").open("a") as file:
            file.write(f"{os.getpid()}\n")
        self._batches = directory / "batches"
        if orders == "crash":
            os._exit(7)
        if orders == "broken":
            raise RuntimeError("size mismatch for embeddings.weight")
        if orders == "slow":
            time.sleep(1.0)

    def encode(self, texts: list[str], *, query: bool) -> Any:
        with self._batches.open("a") as file:
            file.write(f"{'query' if query else len(texts)}\n")
        if "poison" in texts:
            os._exit(11)
        if "hungry" in texts and len(texts) > 1:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20 GiB")
        if "bug" in texts:
            raise ValueError("index out of range in self")
        if "pause" in texts:
            time.sleep(0.3)
        if "busy" in texts:
            until = time.process_time() + 0.5
            while time.process_time() < until:
                pass
        rows = np.stack([hashed(("query " if query else "") + text) for text in texts])
        rows[[n for n, text in enumerate(texts) if text == "nan"]] = np.nan
        return rows


class Wider(Hashed):
    """A model with other dimensions than its configuration says."""

    dimensions = 2 * DIMENSIONS
