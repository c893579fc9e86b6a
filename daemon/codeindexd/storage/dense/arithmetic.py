"""The arithmetic of the dense index: rows of int8, their cosines, codes of one bit per value, and the best of scores.

A code keeps the sign of each value. The number of bits in which two codes differ (their Hamming distance) estimates
the angle between the vectors, at an eighth of the memory traffic; cosines of the rows then decide among the nearest.
"""

from __future__ import annotations

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

ALIVE = np.iinfo(np.int32).max  # the "died" epoch of a row that is alive
_CACHED_ROWS = 32_768  # of codes at a time: 256 KB a word
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


def hamming(codes: Codes, code: Codes) -> NDArray[np.uint16]:
    """Return in how many bits each of ``codes`` (w, n) differs from ``code`` (w, 1).

    Works in blocks whose intermediate results stay in the processor's cache: whole ones would be written to fresh pages
    of memory for every word, which takes half as long again.
    """
    rows = codes.shape[1]
    distances = np.zeros(rows, dtype=np.uint16)
    differing = np.empty(min(rows, _CACHED_ROWS), dtype=np.uint64)
    counts = np.empty(min(rows, _CACHED_ROWS), dtype=np.uint8)
    for start in range(0, rows, _CACHED_ROWS):
        part = distances[start : start + _CACHED_ROWS]
        for word, wanted in zip(codes, code[:, 0], strict=True):
            np.bitwise_xor(word[start : start + _CACHED_ROWS], wanted, out=differing[: len(part)])
            part += np.bitwise_count(differing[: len(part)], out=counts[: len(part)])
    return distances


def nearest(distances: NDArray[np.uint16], count: int) -> Rows:
    """Return the sorted positions of the ``count`` smallest ``distances`` (n,), and of all that equal the last one."""
    within = np.cumsum(np.bincount(distances))
    threshold = int(np.searchsorted(within, count))
    return np.flatnonzero(distances <= threshold)


def best(ids: Ids, scores: Single, limit: int) -> tuple[Ids, Single]:
    """Return the ids and scores of the ``limit`` highest ``scores``, best first, equal scores in the order of ids."""
    if limit < len(ids):
        threshold = np.partition(scores, -limit)[-limit]
        within = np.flatnonzero(scores >= threshold)
        ids, scores = ids[within], scores[within]
    order = np.lexsort((ids, -scores))[:limit]
    return ids[order], scores[order]
