"""The reading side of the dense index: its state at one moment, which any thread may search."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codeindexd.storage.dense.arithmetic import Half, Ids, Mask, Rows, Single, best, dot, unit
from codeindexd.storage.dense.segment import Segment
from codeindexd.storage.dense.state import DenseState, TailRows

_EXACT_ROWS = 8192  # up to this many rows are scored exactly (about 1 ms) instead of searching the graph
_SPARE = 16


class DenseSnapshot:
    """The vectors at one moment. Copies nothing, and stays valid while the index is written, maintained or closed.

    It contains exactly the ids that were alive when it was taken. Scores are cosine similarities of the float16
    vectors. The tail is searched exactly, segments approximately through their graphs.
    """

    def __init__(self, state: DenseState, generation: int) -> None:
        """Take a snapshot of ``state`` as it is now."""
        self._tail = state.tail()
        self._segments = state.segments
        self._epoch = state.epoch
        self._dimensions = state.log.matrix.shape[1]
        self._live = state.live
        self._generation = generation

    @property
    def generation(self) -> int:
        """The catalog generation that the snapshot belongs to."""
        return self._generation

    def __len__(self) -> int:
        """Return the number of vectors."""
        return self._live

    def search(
        self, vector: NDArray[np.float32], limit: int, allowed: Ids | None = None
    ) -> tuple[Ids, NDArray[np.float32]]:
        """Return the ids (n,) and scores (n,) of the ``limit`` vectors nearest to ``vector`` (d,), best first.

        Equal scores are in the order of ids. ``allowed`` (sorted, without duplicates) restricts the answer to these
        ids; if few are left, they are searched exactly. Raises ValueError if ``vector`` has the wrong shape or a value
        that is not finite.
        """
        query = unit(vector, self._dimensions)
        if limit <= 0 or (allowed is not None and not len(allowed)):
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        parts = [self._tail_part(query, limit, allowed)]
        parts += [self._segment_part(segment, query, limit, allowed) for segment in self._segments]
        ids, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
        return best(ids, scores, limit)

    def _tail_part(self, query: Single, limit: int, allowed: Ids | None) -> tuple[Ids, Single]:
        tail = self._tail
        wanted = tail.alive(self._epoch)
        if allowed is not None:
            wanted &= np.isin(tail.ids, allowed)
        rows = np.flatnonzero(wanted)
        if len(rows) * 2 < len(wanted):
            return _score_exactly(tail.ids, tail.matrix, rows, query, limit)
        return best(tail.ids[rows], dot(tail.matrix, query)[rows], limit)

    def _segment_part(self, segment: Segment, query: Single, limit: int, allowed: Ids | None) -> tuple[Ids, Single]:
        wanted = segment.alive(self._epoch)
        if allowed is not None:
            wanted = _mask_of(segment, allowed) & wanted
        count = int(np.count_nonzero(wanted))
        share = count / len(wanted)
        wide = int(limit / share) + _SPARE if count else 0
        while count > _EXACT_ROWS and wide * 4 < len(wanted):
            rows = segment.near(query, wide)
            rows = rows[wanted[rows]]
            if len(rows) >= limit:
                return _score_exactly(segment.ids, segment.matrix, np.sort(rows), query, limit)
            wide *= 4
        return _score_exactly(segment.ids, segment.matrix, np.flatnonzero(wanted), query, limit)

    def ids(self) -> Ids:
        """Return the sorted ids of all vectors."""
        alive = [self._tail.ids[self._tail.alive(self._epoch)]]
        alive += [segment.ids[segment.alive(self._epoch)] for segment in self._segments]
        return np.sort(np.concatenate(alive))

    def vector(self, chunk_id: int) -> NDArray[np.float32] | None:
        """Return the vector (d,) of ``chunk_id``, or None if the snapshot has none."""
        for row in np.flatnonzero(self._tail.ids == chunk_id).tolist():
            if self._tail.died[row] > self._epoch:
                return np.asarray(self._tail.matrix[row], dtype=np.float32)
        for segment in self._segments:
            for row in segment.rows_of(np.array([chunk_id], dtype=np.int64)).tolist():
                if segment.died[row] > self._epoch:
                    return np.asarray(segment.matrix[row], dtype=np.float32)
        return None

    def vectors(self, ids: Ids) -> NDArray[np.float32]:
        """Return the vectors (n, d) of ``ids`` (n,), which must be sorted and distinct; NaN for missing vectors."""
        found = np.full((len(ids), self._dimensions), np.nan, dtype=np.float32)
        parts: list[TailRows | Segment] = [self._tail, *self._segments]
        for part in parts:
            rows = np.flatnonzero(np.isin(part.ids, ids) & part.alive(self._epoch))
            found[np.searchsorted(ids, part.ids[rows])] = part.matrix[rows]
        return found


def _mask_of(segment: Segment, allowed: Ids) -> Mask:
    """Return a mask of the rows of ``segment`` whose ids are in ``allowed``."""
    if len(allowed) * 8 > len(segment.ids):
        return np.isin(segment.ids, allowed, assume_unique=True)
    mask = np.zeros(len(segment.ids), dtype=bool)
    mask[segment.rows_of(allowed)] = True
    return mask


def _score_exactly(ids: Ids, matrix: Half, rows: Rows, query: Single, limit: int) -> tuple[Ids, Single]:
    return best(ids[rows], dot(matrix[rows], query), limit)
