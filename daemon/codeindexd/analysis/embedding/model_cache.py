"""What was found out about models, kept in a small JSON file: it saves hashing gigabytes and asking endpoints again.

Losing it costs time, never correctness, so a damaged or unwritable file is no error.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

_KEPT = 32


class Note(msgspec.Struct, frozen=True):
    """One model: ``identity`` as in `Embedder`, or "" where it is computed; ``dimensions``."""

    identity: str
    dimensions: int


class Notes:
    """Notes by key. A key must contain everything that would make the note wrong when it changes."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._notes: dict[str, Note] = {}
        if path is not None:
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                self._notes = msgspec.json.decode(path.read_bytes(), type=dict[str, Note])

    def get(self, key: str) -> Note | None:
        """The note for ``key``, if there is one."""
        return self._notes.get(key)

    def put(self, key: str, note: Note) -> None:
        """Keeps a note; the oldest beyond a few dozen are dropped."""
        self._notes.pop(key, None)
        self._notes = dict([*self._notes.items(), (key, note)][-_KEPT:])
        if self._path is None:
            return
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            draft.write_bytes(msgspec.json.encode(self._notes))
            draft.replace(self._path)
