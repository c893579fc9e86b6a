"""The reading side of the dense index: its state at one moment, which any thread may search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from codeindexd.storage.dense.arithmetic import (
    Ids,
    Int8Rows,
    Mask,
    Rows,
    Single,
    best,
    codes_of,
    cosines,
    nearest,
    to_int8,
    unit,
)
from codeindexd.storage.dense.segment import Segment
from codeindexd.storage.dense.state import DenseState, TailRows

_EXACT_ROWS = 50_000  # up to this many rows of segments are scored without their codes; it takes 1.7 ms
_NEAREST_SHARE = 1 / 256  # of the rows are chosen by their codes and then scored: recall@150 is 0.97 of 1.4 million
_FEWEST_NEAREST = 4_000  # recall@150 is 0.995 of 94,000
_MASKS_KEPT = 4  # a byte for each vector
_SPARSE = 64


class DenseSnapshot:
    """The vectors at one moment. Copies nothing, and stays valid while the index is written, maintained or closed.

    It contains exactly the ids that were alive when it was taken. Scores are cosine similarities of the int8 vectors.
    The search is exact, except that of a large index only the rows with the nearest codes are scored.
    """

    def __init__(self, state: DenseState, generation: int) -> None:
        """Take a snapshot of ``state`` as it is now."""
        self._tail = state.tail()
        self._segments = state.segments
        self._epoch = state.epoch
        self._dimensions = state.log.matrix.shape[1]
        self._live = state.live
        self._generation = generation
        self._masks: tuple[tuple[Ids, list[Mask | None]], ...] = ()  # of the segments, for the last few filters

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
        query = to_int8(unit(vector, self._dimensions)[None])[0]
        if limit <= 0 or (allowed is not None and not len(allowed)):
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        parts = [self._tail_part(query, limit, allowed)]
        wanted = list(zip(self._segments, self._wanted(allowed), strict=True))
        for segment, rows in _nearest_rows(wanted, query, limit):
            parts.append(_score(segment.ids, segment.matrix, rows, query, limit))
        ids, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
        return best(ids, scores, limit)

    def _tail_part(self, query: Int8Rows, limit: int, allowed: Ids | None) -> tuple[Ids, Single]:
        tail = self._tail
        wanted = tail.alive(self._epoch)
        if allowed is not None:
            wanted &= np.isin(tail.ids, allowed)
        return _score(tail.ids, tail.matrix, np.flatnonzero(wanted), query, limit)

    def _wanted(self, allowed: Ids | None) -> list[Mask | None]:
        """Return for each segment a mask (n,) of the rows that are alive and allowed; None if all are.

        The masks for the last few arrays of ``allowed`` are kept: queries with the same filter come with the same
        array.
        """
        if allowed is None:
            return [None if one.live == len(one.ids) else one.alive(self._epoch) for one in self._segments]
        for known, masks in self._masks:
            if known is allowed:
                return masks
        masks = [_mask_of(one, allowed) & one.alive(self._epoch) for one in self._segments]
        if not allowed.flags.writeable:
            self._masks = ((allowed, masks), *self._masks[: _MASKS_KEPT - 1])
        return masks

    def ids(self) -> Ids:
        """Return the sorted ids of all vectors."""
        alive = [self._tail.ids[self._tail.alive(self._epoch)]]
        alive += [segment.ids[segment.alive(self._epoch)] for segment in self._segments]
        return np.sort(np.concatenate(alive))

    def vector(self, chunk_id: int) -> NDArray[np.float32] | None:
        """Return the vector (d,) of ``chunk_id``, or None if the snapshot has none."""
        for row in np.flatnonzero(self._tail.ids == chunk_id).tolist():
            if self._tail.died[row] > self._epoch:
                return np.asarray(_unit_rows(self._tail.matrix[row][None])[0])
        for segment in self._segments:
            for row in segment.rows_of(np.array([chunk_id], dtype=np.int64)).tolist():
                if segment.died[row] > self._epoch:
                    return np.asarray(_unit_rows(segment.matrix[row][None])[0])
        return None

    def vectors(self, ids: Ids) -> NDArray[np.float32]:
        """Return the vectors (n, d) of ``ids`` (n,), which must be sorted and distinct; NaN for missing vectors."""
        found = np.full((len(ids), self._dimensions), np.nan, dtype=np.float32)
        tail_rows = np.flatnonzero(np.isin(self._tail.ids, ids))
        parts: list[tuple[TailRows | Segment, Rows]] = [(self._tail, tail_rows)]
        parts += [(segment, segment.rows_of(ids)) for segment in self._segments]
        for part, rows in parts:
            alive = rows[part.died[rows] > self._epoch]
            found[np.searchsorted(ids, part.ids[alive])] = _unit_rows(part.matrix[alive])
        return found


def _mask_of(segment: Segment, allowed: Ids) -> Mask:
    """Return a mask of the rows of ``segment`` whose ids are in ``allowed``."""
    mask = np.zeros(len(segment.ids), dtype=bool)
    if not len(segment.ids):
        return mask
    low, high = int(segment.ids[0]), int(segment.ids[-1])
    inside = allowed[np.searchsorted(allowed, low) : np.searchsorted(allowed, high, side="right")]
    if high - low < _SPARSE * len(segment.ids):  # ids are nearly consecutive, so a table of all of them is small
        is_allowed = np.zeros(high - low + 1, dtype=bool)
        is_allowed[inside - low] = True
        return is_allowed[segment.ids - low]
    mask[segment.rows_of(inside)] = True
    return mask


def _nearest_rows(
    wanted: Sequence[tuple[Segment, Mask | None]], query: Int8Rows, limit: int
) -> Iterator[tuple[Segment, Rows]]:
    """Yield the rows (sorted) of each segment to score: those with the nearest codes, or all rows if they are few."""
    total = sum(len(segment.ids) if mask is None else int(np.count_nonzero(mask)) for segment, mask in wanted)
    count = max(_FEWEST_NEAREST, 4 * limit, int(total * _NEAREST_SHARE))
    if total <= max(_EXACT_ROWS, count):
        for segment, mask in wanted:
            yield segment, np.arange(len(segment.ids)) if mask is None else np.flatnonzero(mask)
        return
    rows = nearest([(segment.codes, mask) for segment, mask in wanted], codes_of(query[None]), count)
    yield from zip((segment for segment, _ in wanted), rows, strict=True)


def _score(ids: Ids, matrix: Int8Rows, rows: Rows, query: Int8Rows, limit: int) -> tuple[Ids, Single]:
    """Return the ids and cosines of the best ``limit`` of ``rows``."""
    if len(rows) == len(ids):
        return best(ids, cosines(matrix, query), limit)
    if len(rows) * 2 > len(ids):
        return best(ids[rows], cosines(matrix, query)[rows], limit)
    return best(ids[rows], cosines(matrix[rows], query), limit)


def _unit_rows(rows: Int8Rows) -> Single:
    """Return ``rows`` (n, d) scaled to norm 1; rows of zeros stay zero."""
    values = rows.astype(np.float32)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    np.divide(values, lengths, out=values, where=lengths > 0)
    return values
