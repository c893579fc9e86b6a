"""The arithmetic of the exact scan: dot products of float16 rows, and the selection of the best."""

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
Single = NDArray[np.float32]
Mask = NDArray[np.bool_]

ALIVE = np.iinfo(np.int32).max  # the "died" epoch of a row that is alive
_BLOCK = 4096
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


def dot(matrix: Half, query: Single) -> Single:
    """Return the dot products (n,) of the rows of ``matrix`` (n, d) with ``query`` (d,), rounded to float16."""
    if not len(matrix):
        return np.empty(0, dtype=np.float32)
    if numkong is not None:
        try:
            products = np.asarray(numkong.cdist(query.astype(np.float16)[None], matrix, "dot"))
            return np.asarray(products[0], dtype=np.float32)
        except (TypeError, ValueError, NotImplementedError):  # no kernel for this type on this machine
            pass
    return dot_in_blocks(matrix, query)


def dot_in_blocks(matrix: Half, query: Single) -> Single:
    """Compute :func:`dot` with numpy alone. About ten times slower: numpy converts float16 one value at a time."""
    rounded = query.astype(np.float16).astype(np.float32)
    scores = np.empty(len(matrix), dtype=np.float32)
    for start in range(0, len(matrix), _BLOCK):
        scores[start : start + _BLOCK] = matrix[start : start + _BLOCK].astype(np.float32) @ rounded
    return scores


def best(ids: Ids, scores: Single, limit: int) -> tuple[Ids, Single]:
    """Return the ids and scores of the ``limit`` highest ``scores``, best first, equal scores in the order of ids."""
    if limit < len(ids):
        threshold = np.partition(scores, -limit)[-limit]
        within = np.flatnonzero(scores >= threshold)
        ids, scores = ids[within], scores[within]
    order = np.lexsort((ids, -scores))[:limit]
    return ids[order], scores[order]
