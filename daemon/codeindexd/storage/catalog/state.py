"""The catalog's state row: generation, id counters and the counts for ``status``. Every commit updates it."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter

from msgspec import Struct
from msgspec.structs import replace

from codeindexd.storage.catalog.rows import Node
from codeindexd.storage.sqlite import Row
from codeindexd.types import Counts, Outcome

SELECT_STATE = (
    "SELECT generation, next_file, next_chunk, files, chunks, failed, pending, skipped FROM state WHERE one = 1"
)


class CatalogState(Struct, frozen=True):
    """The state row.

    ``next_file`` and ``next_chunk`` are the next ids to assign. ``counts.failed`` is the number of paths that have
    failed as a leaf, have a failure, or both.
    """

    generation: int
    next_file: int
    next_chunk: int
    counts: Counts

    @classmethod
    def of(cls, row: Row) -> CatalogState:
        """Return the state from the columns of SELECT_STATE."""
        generation, next_file, next_chunk, files, chunks, failed, pending, skipped = row
        return cls(generation, next_file, next_chunk, Counts(files, chunks, failed, pending, json.loads(skipped)))

    def write(self, connection: sqlite3.Connection) -> None:
        """Write the state row."""
        counts = self.counts
        connection.execute(
            "UPDATE state SET generation = ?, next_file = ?, next_chunk = ?, files = ?, chunks = ?, failed = ?,"
            " pending = ?, skipped = ? WHERE one = 1",
            (
                self.generation,
                self.next_file,
                self.next_chunk,
                counts.files,
                counts.chunks,
                counts.failed,
                counts.pending,
                json.dumps(counts.skipped, sort_keys=True),
            ),
        )


class Tally:
    """Counts that are updated as nodes are added and removed."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._outcomes: Counter[Outcome] = Counter()
        self._skipped = Counter(counts.skipped)
        self.chunks = counts.chunks
        self.failed = counts.failed

    def add(self, node: Node | None, sign: int) -> None:
        """Add (``sign`` 1) or remove (-1) a node."""
        if node is None or node.file is None:
            return
        self._outcomes[node.file.outcome] += sign
        self.chunks += sign * (len(node.file.chunk_ids) // 8)
        if node.file.outcome is Outcome.SKIPPED:
            self._skipped[node.file.reason] += sign

    def counts(self) -> Counts:
        """Return the updated counts."""
        return replace(
            self._counts,
            files=self._counts.files + self._outcomes[Outcome.INDEXED],
            chunks=self.chunks,
            failed=self.failed,
            pending=self._counts.pending + self._outcomes[Outcome.UNPROCESSED],
            skipped={reason: number for reason, number in sorted(self._skipped.items()) if number},
        )
