"""Cached facts about models in a small JSON file: saves hashing gigabytes and querying endpoints again.

Losing it costs time, never correctness, so a damaged or unwritable file is not an error.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

_MAX_ENTRIES = 32


class ModelFacts(msgspec.Struct, frozen=True):
    """Facts about one model: ``identity`` as in `Embedder`, or "" if it is computed; ``dimensions``."""

    identity: str
    dimensions: int


class ModelCache:
    """Facts by key. A key must contain everything that changes the facts."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._facts: dict[str, ModelFacts] = {}
        if path is not None:
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                self._facts = msgspec.json.decode(path.read_bytes(), type=dict[str, ModelFacts])

    def get(self, key: str) -> ModelFacts | None:
        """Return the facts for ``key``, or None."""
        return self._facts.get(key)

    def put(self, key: str, facts: ModelFacts) -> None:
        """Keep facts; the oldest beyond a few dozen are dropped."""
        self._facts.pop(key, None)
        self._facts = dict([*self._facts.items(), (key, facts)][-_MAX_ENTRIES:])
        if self._path is None:
            return
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            draft.write_bytes(msgspec.json.encode(self._facts))
            draft.replace(self._path)
