"""Reproducible vectors for tests, from an id alone, and clustered ones like those of code."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from codeindexd.storage.dense.arithmetic import to_int8


@functools.cache
def vector_of(chunk_id: int, dimensions: int = 16, version: int = 0) -> bytes:
    """Return the f16 bytes of a unit vector that depends only on the arguments."""
    values = np.random.default_rng([abs(chunk_id), version, dimensions]).normal(size=dimensions)
    return (values / np.linalg.norm(values)).astype("<f2").tobytes()


def rounded(vector: bytes) -> NDArray[np.float32]:
    """Return the unit vector (d,) that a dense index keeps of ``vector``, given as the bytes of float16 values."""
    row = to_int8(np.frombuffer(vector, dtype="<f2")[None])[0].astype(np.float32)
    length = np.linalg.norm(row)
    return row / length if length > 0 else row


def clustered(count: int, dimensions: int, *, clusters: int = 300, seed: int = 0) -> NDArray[np.float16]:
    """Return unit vectors (count, dimensions) around random centers."""
    chance = np.random.default_rng(seed)
    centres = chance.normal(size=(clusters, dimensions))
    values = centres[chance.integers(0, clusters, count)] + 0.8 * chance.normal(size=(count, dimensions))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float16)
