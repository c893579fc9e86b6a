"""The history of a repository of a test, read into a store at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from codeindexd.analysis.history.location import locate
from codeindexd.analysis.history.reader import read_commit
from codeindexd.analysis.history.record import IndexedCommit
from codeindexd.analysis.history.refs import read_heads
from codeindexd.analysis.history.repository import GitRepository
from codeindexd.storage.history import HistorySnapshot, HistoryStore, View
from support.git_repository import TestRepository

DIMENSIONS = 4


class StoredHistory:
    """The history of the root ``below`` in a repository, in a store in ``directory``."""

    def __init__(self, repository: TestRepository, directory: Path, below: str = "") -> None:
        self._repository = repository
        self._below = below
        self.directory = directory
        self._store = HistoryStore.open_or_rebuild(directory, fingerprint="f", dimensions=DIMENSIONS)
        self.update()

    def update(self) -> None:
        """Read what is new."""
        location = locate(self._repository.top / self._below)
        heads = read_heads(location)
        opened = GitRepository(location, heads)
        ids = opened.walk(heads.tips, limit=10_000).ids
        commits = [read_commit(opened, one) for one in reversed(ids)]
        vector = np.zeros(DIMENSIONS, dtype=np.int8).tobytes()
        self._store.add([IndexedCommit(one, "", "", "", (), vector) for one in commits])
        numbers = self._store.numbers_of(ids)
        view = View(
            root="r",
            git_dir=os.fsencode(location.git_dir),
            common_dir=os.fsencode(location.common_dir),
            top=os.fsencode(location.top or b""),
            prefix=location.prefix,
            signature=b"",
            base=b"",
            tips=heads.tips,
            branch=heads.branch,
            wanted=len(ids),
            is_complete=True,
        )
        self._store.set_view(view, np.array([numbers[one] for one in ids], dtype=np.int32))

    @contextmanager
    def snapshot(self) -> Iterator[HistorySnapshot]:
        """Provide the history, as that of a root does."""
        found = self._store.snapshot("r")
        assert found is not None
        yield found

    def close(self) -> None:
        """Close the store."""
        self._store.close()
