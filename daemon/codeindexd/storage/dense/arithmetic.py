"""The arithmetic of the dense index: rows of int8, their cosines, codes of one bit per value, and the best of scores.

A code keeps the sign of each value. The number of bits in which two codes differ (their Hamming distance) estimates
the angle between the vectors, at an eighth of the memory traffic; cosines of the rows then decide among the nearest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

numkong: Any
try:
    import numkong
except ImportError:  # older versions of usearch do not install numkong
    numkong = None

Ids = NDArray[np.int64]
Rows = NDArray[np.intp]
Half = NDArray[np.float16]
Int8Rows = NDArray[np.int8]
Codes = NDArray[np.uint64]
Single = NDArray[np.float32]
Mask = NDArray[np.bool_]
Distances = NDArray[np.uint16]

ALIVE = np.iinfo(np.int32).max  # the "died" epoch of a row that is alive
_CACHED_ROWS = 16_384  # of codes at a time: 128 KB a word; a multiple of 8
_BLOCK = 4096  # rows at a time, so that temporary arrays stay small
_EXPONENT = np.uint16(0x7C00)


def unit(vector: NDArray[Any], dimensions: int) -> Single:
    """Return ``vector`` (d,) scaled to norm 1, as float32; a zero vector is returned unchanged.

    Raises ValueError if the shape is not (``dimensions``,) or a value is not finite.
    """
    query = np.asarray(vector, dtype=np.float32)
    if query.shape != (dimensions,):
        raise ValueError(f"a query vector has the shape {query.shape}, not ({dimensions},)")
    if not np.isfinite(query).all():
        raise ValueError("a query vector has values that are not finite")
    length = float(np.linalg.norm(query))
    return np.divide(query, np.float32(length)) if length > 0 else query


def first_non_finite(matrix: Half) -> int:
    """Return the number of the first row of ``matrix`` (n, d) with an infinity or NaN; -1 if there is none."""
    bad = ((matrix.view(np.uint16) & _EXPONENT) == _EXPONENT).any(axis=1)
    return int(bad.argmax()) if bad.any() else -1


def to_int8(vectors: NDArray[Any]) -> Int8Rows:
    """Return ``vectors`` (n, d) as rows of int8, each scaled so that its largest value becomes 127 or -127.

    The scale is not kept: cosines do not depend on it. They change by less than 0.001.
    """
    rows = np.empty(vectors.shape, dtype=np.int8)
    for start in range(0, len(vectors), _BLOCK):
        values = np.asarray(vectors[start : start + _BLOCK], dtype=np.float32)
        largest = np.abs(values).max(axis=1, keepdims=True, initial=0)
        scale = np.divide(127, largest, out=np.zeros_like(largest), where=largest > 0)
        rows[start : start + _BLOCK] = np.rint(values * scale)
    return rows


def cosines(matrix: Int8Rows, query: Int8Rows) -> Single:
    """Return the cosines (n,) of the rows of ``matrix`` (n, d) and ``query`` (d,); 0 where either is all zeros."""
    if not len(matrix) or not query.any():
        return np.zeros(len(matrix), dtype=np.float32)
    if numkong is not None:
        try:
            distances = np.asarray(numkong.cdist(query[None], matrix, "angular"))[0]
            return np.asarray(1 - distances, dtype=np.float32)
        except (TypeError, ValueError, NotImplementedError):  # no kernel for this type on this machine
            pass
    return cosines_in_blocks(matrix, query)


def cosines_in_blocks(matrix: Int8Rows, query: Int8Rows) -> Single:
    """Compute :func:`cosines` with numpy alone. About ten times slower."""
    found = np.zeros(len(matrix), dtype=np.float32)
    wanted = query.astype(np.float32)
    wanted /= np.linalg.norm(wanted)
    for start in range(0, len(matrix), _BLOCK):
        block = matrix[start : start + _BLOCK].astype(np.float32)
        lengths = np.linalg.norm(block, axis=1)
        found[start : start + _BLOCK] = (block @ wanted) / np.where(lengths > 0, lengths, 1)
    return found


def codes_of(matrix: Int8Rows) -> Codes:
    """Return the codes (ceil(d / 64), n) of the rows of ``matrix`` (n, d).

    They are stored word by word, so that a scan reads memory in order.
    """
    rows, dimensions = matrix.shape
    packed = np.zeros((rows, -(-dimensions // 64) * 8), dtype=np.uint8)
    packed[:, : -(-dimensions // 8)] = np.packbits(matrix > 0, axis=1)
    return np.ascontiguousarray(packed.view("<u8").T)


def nearest(parts: Sequence[tuple[Codes, Mask | None]], code: Codes, count: int) -> list[Rows]:
    """Return the sorted rows of each part that have the ``count`` codes nearest to ``code`` (w, 1) of all parts.

    Each part has codes (w, n) and a mask (n,) of the rows that count, None for all. All rows that are as near as the
    last one of ``count`` are returned as well.
    """
    scan = _Scan(code, count)
    kept: list[list[tuple[Rows, Distances]]] = [scan.near_rows(codes, mask) for codes, mask in parts]
    return [
        np.concatenate([rows[distances <= scan.bound] for rows, distances in of_part] or [np.empty(0, np.intp)])
        for of_part in kept
    ]


class _Scan:
    """A scan of codes that forgets at once what cannot be among the nearest.

    ``bound`` is the distance of the last of the nearest rows so far. Blocks are so small that all intermediate results
    stay in the processor's cache, in arrays that are used again: fresh pages of memory for whole ones would take longer
    than the comparison.
    """

    def __init__(self, code: Codes, count: int) -> None:
        self._code = code[:, 0]
        self._count = count
        self.bound = self._largest = 64 * len(code)
        self._within = np.zeros(self.bound + 1, dtype=np.int64)  # rows so far, by their distance
        self._differing = np.empty(_CACHED_ROWS, dtype=np.uint64)
        self._bits = np.empty(_CACHED_ROWS, dtype=np.uint8)
        self._distances = np.empty(_CACHED_ROWS, dtype=np.uint16)
        self._is_near = np.zeros(_CACHED_ROWS, dtype=bool)

    def near_rows(self, codes: Codes, mask: Mask | None) -> list[tuple[Rows, Distances]]:
        """Return the rows of a part that may be among the nearest, and their distances, as one pair a block."""
        found = []
        for start in range(0, codes.shape[1], _CACHED_ROWS):
            distances = self._block(codes[:, start : start + _CACHED_ROWS])
            rows = self._near(distances)
            if mask is not None:
                rows = rows[mask[start + rows]]
            near = distances[rows]
            found.append((start + rows, near))
            self._within += np.bincount(near, minlength=len(self._within))
            self.bound = min(self._largest, int(np.searchsorted(np.cumsum(self._within), self._count)))
        return found

    def _block(self, codes: Codes) -> Distances:
        """Return in how many bits each of ``codes`` (w, n) differs from the code; overwritten by the next call."""
        rows = codes.shape[1]
        distances, differing, bits = self._distances[:rows], self._differing[:rows], self._bits[:rows]
        distances.fill(0)
        for word, wanted in zip(codes, self._code, strict=True):
            np.bitwise_xor(word, wanted, out=differing)
            np.add(distances, np.bitwise_count(differing, out=bits), out=distances)
        return distances

    def _near(self, distances: Distances) -> Rows:
        """Return the sorted rows of a block within the bound. Looks at eight at a time, since there are few."""
        if self.bound == self._largest:
            return np.arange(len(distances))
        self._is_near[len(distances) :] = False
        np.less_equal(distances, self.bound, out=self._is_near[: len(distances)])
        eights = np.flatnonzero(self._is_near.view(np.uint64))
        places, offsets = np.nonzero(self._is_near.reshape(-1, 8)[eights])
        return np.asarray(8 * eights[places] + offsets)


def best(ids: Ids, scores: Single, limit: int) -> tuple[Ids, Single]:
    """Return the ids and scores of the ``limit`` highest ``scores``, best first, equal scores in the order of ids."""
    if limit < len(ids):
        threshold = np.partition(scores, -limit)[-limit]
        within = np.flatnonzero(scores >= threshold)
        ids, scores = ids[within], scores[within]
    order = np.lexsort((ids, -scores))[:limit]
    return ids[order], scores[order]
