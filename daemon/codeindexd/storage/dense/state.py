"""The dense index in memory: the rows of the tail, the segments, and the epoch in which each row died.

The data that a snapshot reads never changes: rows are only appended, arrays grow by replacement, and a death is
recorded with its epoch, so that a snapshot of an earlier epoch still counts the row as alive. Taking a snapshot copies
nothing.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from codeindexd.storage.dense.arithmetic import ALIVE, Ids, Int8Rows, Mask, Rows
from codeindexd.storage.dense.log import CommitGroup, TailLog
from codeindexd.storage.dense.segment import Segment


class TailRows(Struct, frozen=True):
    """The rows of a tail at one moment: ids (n,), epochs of death (n,), vectors (n, d)."""

    ids: Ids
    died: NDArray[np.int32]
    matrix: Int8Rows

    def alive(self, epoch: int) -> Mask:
        """Return a mask (n,) of the rows that are alive in ``epoch``."""
        return self.died > epoch


class DenseState(Struct):
    """A tail and its segments. Only one thread at a time may change it; ``epoch`` counts this process's changes."""

    log: TailLog
    segments: tuple[Segment, ...] = ()
    epoch: int = 0
    row_of: dict[int, int] = field(default_factory=dict)  # id -> row in the tail; only living rows
    _ids: Ids = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    _died: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    _count: int = 0

    @property
    def live(self) -> int:
        """The number of vectors that are alive."""
        return len(self.row_of) + sum(segment.live for segment in self.segments)

    def tail(self) -> TailRows:
        """Return the present rows of the tail."""
        return TailRows(self._ids[: self._count], self._died[: self._count], self.log.matrix[: self._count])

    def contains(self, ids: Ids) -> Mask:
        """Return a mask (n,) of those ``ids`` (n,) that are alive now."""
        known = np.fromiter((chunk_id in self.row_of for chunk_id in ids.tolist()), bool, len(ids))
        for segment in self.segments:
            rows = segment.rows_of(ids)
            known |= np.isin(ids, segment.ids[rows[segment.died[rows] == ALIVE]])
        return known

    def absorb(self, group: CommitGroup, epoch: int) -> None:
        """Apply a group that is already in the log: first deaths, which count from ``epoch`` on, then new rows."""
        for segment in self.segments:
            marked = group.dead[group.dead[:, 0] == segment.serial, 1]
            segment.kill(marked.astype(np.intp), epoch)
            segment.kill(segment.rows_of(group.removed), epoch)
            segment.kill(segment.rows_of(group.added), epoch)
        for chunk_id in [*group.removed.tolist(), *group.added.tolist()]:
            row = self.row_of.pop(chunk_id, None)
            if row is not None:
                self._died[row] = epoch
        count = self._count + len(group.added)
        self._reserve(count)
        self._ids[self._count : count] = group.added
        self._died[self._count : count] = ALIVE
        self.row_of.update(zip(group.added.tolist(), range(self._count, count), strict=True))
        self._count = count
        self.epoch = max(self.epoch, epoch)

    def _reserve(self, count: int) -> None:
        if count > len(self._ids):
            capacity = max(count, 1024, len(self._ids) * 3 // 2)
            ids, died = np.zeros(capacity, dtype=np.int64), np.zeros(capacity, dtype=np.int32)
            ids[: self._count], died[: self._count] = self._ids[: self._count], self._died[: self._count]
            self._ids, self._died = ids, died


def rows_marked_dead(segments: tuple[Segment, ...], epoch: int) -> NDArray[np.int64]:
    """Return the (segment serial, row) pairs (n, 2) that are dead in ``epoch``."""
    pairs = []
    for segment in segments:
        rows: Rows = np.flatnonzero(~segment.alive(epoch))
        pairs.append(np.stack([np.full(len(rows), segment.serial, dtype=np.int64), rows.astype(np.int64)], axis=1))
    return np.concatenate(pairs) if pairs else np.empty((0, 2), dtype=np.int64)
