"""The vectors of commits: one file of int8 rows, in which the row of a commit is its number."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from codeindexd.errors import StoreDamagedError
from codeindexd.storage.dense.arithmetic import Int8Rows, Single, cosines, to_int8, unit
from codeindexd.storage.durable import storing, write_fully

WHAT = "vectors of the history"


class CommitVectors:
    """The rows of all commits that were ever stored; rows of pruned commits stay until the store is built again.

    A row is written before its commit is, so rows beyond the last commit mean nothing.
    """

    def __init__(self, path: Path, dimensions: int) -> None:
        """Open the file, or create it. Raises StoreFullError."""
        self._path = path
        self.dimensions = dimensions
        with storing(WHAT):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            if os.fstat(self._file).st_size < dimensions:
                write_fully(self._file, bytes(dimensions), 0)  # numbers begin with 1

    def write(self, first: int, rows: Sequence[bytes]) -> None:
        """Write the rows of the commits from the number ``first``; b"" is a row of zeros. Raises StoreFullError."""
        empty = bytes(self.dimensions)
        with storing(WHAT):
            write_fully(self._file, b"".join(row or empty for row in rows), first * self.dimensions)

    def rows(self, count: int) -> Int8Rows:
        """Return the rows of the numbers below ``count``, memory-mapped. Raises StoreDamagedError if some are gone."""
        if not count:
            return np.zeros((0, self.dimensions), dtype=np.int8)
        with storing(WHAT):
            if os.fstat(self._file).st_size < count * self.dimensions:
                raise StoreDamagedError(
                    f"{self._path} is cut off", hint="nothing to do: the history will be read again"
                )
            return np.memmap(self._path, dtype=np.int8, mode="r", shape=(count, self.dimensions))

    def sync(self) -> None:
        """Write the rows to the disk, so that they survive a power loss. Raises StoreFullError."""
        with storing(WHAT):
            os.fsync(self._file)

    def close(self) -> None:
        """Close the file; arrays stay valid."""
        os.close(self._file)


def similarities(rows: Int8Rows, vector: Single) -> Single:
    """Return the cosines of all ``rows`` with the ``vector`` of a question; 0 for rows of zeros."""
    return cosines(rows, to_int8(unit(vector, rows.shape[1])[None])[0])
