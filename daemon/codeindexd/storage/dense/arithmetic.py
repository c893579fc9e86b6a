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
Distances = NDArray[np.uint8 | np.uint16]

ALIVE = np.iinfo(np.int32).max  # the "died" epoch of a row that is alive
_CACHED_ROWS = 16_384  # of codes at a time: 128 KB a word
_ROUGHLY = 16  # times as many rows are chosen by half of their codes; see docs/architecture.md for the recall
_MOST_IN_BYTE = 255
_SAMPLED = 16  # every so many rows
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
    """Return the sorted rows of each part whose codes are nearest to ``code`` (w, 1): about ``count`` of all parts.

    Each part has codes (w, n) and a mask (n,) of the rows that count, None for all. The first half of the codes decides
    which 16 times ``count`` rows are compared as a whole, because reading codes is what takes long, and most models
    have the values that differ most first. At either step, all rows as near as the last one of those are kept.
    """
    if not parts:
        return []
    half = -(-len(code) // 2)
    scan = _Scan(code[:half])
    distances: list[Distances] = [scan.distances(codes[:half]) for codes, _ in parts]
    bound = _bound(distances, [mask for _, mask in parts], count if half == len(code) else _ROUGHLY * count, 64 * half)
    rows = [np.flatnonzero(_within(one, mask, bound)) for one, (_, mask) in zip(distances, parts, strict=True)]
    if half == len(code):
        return rows
    distances = [
        one.take(of_part) + _differing_bits(codes[half:], of_part, code[half:])
        for one, of_part, (codes, _) in zip(distances, rows, parts, strict=True)
    ]
    bound = _bound(distances, [None] * len(parts), count, 64 * len(code))
    return [of_part[one <= bound] for one, of_part in zip(distances, rows, strict=True)]


class _Scan:
    """Compares codes with one code, in blocks.

    Blocks are so small that all intermediate results stay in the processor's cache, in arrays that are used again:
    fresh pages of memory for whole ones would take longer than the comparison.
    """

    def __init__(self, code: Codes) -> None:
        self._code = code[:, 0]
        self._differing = np.empty(_CACHED_ROWS, dtype=np.uint64)
        self._bits = np.empty(_CACHED_ROWS, dtype=np.uint8)

    def distances(self, codes: Codes) -> Distances:
        """Return in how many bits each of ``codes`` (w, n) differs from the code."""
        rows = codes.shape[1]
        found: Distances = np.zeros(rows, dtype=np.uint8 if 64 * len(codes) <= _MOST_IN_BYTE else np.uint16)
        for start in range(0, rows, _CACHED_ROWS):
            block = found[start : start + _CACHED_ROWS]
            differing, bits = self._differing[: len(block)], self._bits[: len(block)]
            for word, wanted in zip(codes, self._code, strict=True):
                np.bitwise_xor(word[start : start + _CACHED_ROWS], wanted, out=differing)
                np.add(block, np.bitwise_count(differing, out=bits), out=block)
        return found


def _differing_bits(codes: Codes, rows: Rows, code: Codes) -> Distances:
    """Return in how many bits each of ``rows`` (m,) of ``codes`` (w, n) differs from ``code`` (w, 1)."""
    found = np.zeros(len(rows), dtype=np.uint16)
    for word, wanted in zip(codes, code[:, 0], strict=True):
        found += np.bitwise_count(word.take(rows) ^ wanted)
    return found


def _bound(distances: Sequence[Distances], masks: Sequence[Mask | None], count: int, largest: int) -> int:
    """Return the smallest distance within which ``count`` of the masked rows are; ``largest`` if there are fewer.

    It is guessed from some rows and then corrected, since counting is faster than a histogram of all.
    """

    def rows_within(bound: int) -> int:
        return sum(int(np.count_nonzero(_within(*one, bound))) for one in zip(distances, masks, strict=True))

    sample = np.concatenate(
        [
            one[::_SAMPLED] if mask is None else one[::_SAMPLED][mask[::_SAMPLED]]
            for one, mask in zip(distances, masks, strict=True)
        ]
    )
    within = np.cumsum(np.bincount(sample, minlength=largest))
    bound = min(largest, int(np.searchsorted(within, count // _SAMPLED)))
    while bound < largest and rows_within(bound) < count:
        bound += 1
    while bound > 0 and rows_within(bound - 1) >= count:
        bound -= 1
    return bound


def _within(distances: Distances, mask: Mask | None, bound: int) -> Mask:
    """Return a mask of the rows of ``mask`` (None for all) that are no further than ``bound``."""
    near = distances <= bound
    return near if mask is None else np.logical_and(near, mask, out=near)


def best(ids: Ids, scores: Single, limit: int) -> tuple[Ids, Single]:
    """Return the ids and scores of the ``limit`` highest ``scores``, best first, equal scores in the order of ids."""
    if limit < len(ids):
        threshold = np.partition(scores, -limit)[-limit]
        within = np.flatnonzero(scores >= threshold)
        ids, scores = ids[within], scores[within]
    order = np.lexsort((ids, -scores))[:limit]
    return ids[order], scores[order]
