"""A cache of facts about models, in a small JSON file, so that files are not hashed and endpoints not queried again.

Losing it costs time but never correctness, so errors with the file are ignored.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

_MAX_ENTRIES = 32


class ModelFacts(msgspec.Struct, frozen=True):
    """Facts about one model: its dimensions, and its identity as in :class:`Embedder`, "" if it is always computed."""

    identity: str
    dimensions: int


class ModelCache:
    """Facts by key, in the file ``path`` (None: only in memory). A key must contain all that determines the facts."""

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
        """Store the facts for ``key``; beyond 32 entries, the oldest are dropped."""
        self._facts.pop(key, None)
        self._facts = dict([*self._facts.items(), (key, facts)][-_MAX_ENTRIES:])
        if self._path is None:
            return
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            draft.write_bytes(msgspec.json.encode(self._facts))
            draft.replace(self._path)
