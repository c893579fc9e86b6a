"""Values of all commits of a history store in memory: columns by the number of the commit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from codeindexd.storage.history.codec import Numbers


class CommitColumns(Struct, frozen=True):
    """Values of all commits of a store in memory, by number; 0 where there is no commit. Immutable."""

    numbers: NDArray[np.int64]
    times: NDArray[np.int64]
    authors: Numbers

    @classmethod
    def of(
        cls, count: int, numbers: NDArray[np.int64], times: NDArray[np.int64], authors: NDArray[np.int64]
    ) -> CommitColumns:
        """Return the columns of the commits ``numbers``, which are below ``count``."""
        by_number = np.zeros(count, dtype=np.int64)
        by_number[numbers] = times
        author_by_number = np.zeros(count, dtype=np.int32)
        author_by_number[numbers] = authors
        return cls(np.sort(numbers), by_number, author_by_number)

    def extended(self, count: int, added: Sequence[tuple[int, int, int]]) -> CommitColumns:
        """Return the columns with further commits: number, commit time, author."""
        new = np.array(added, dtype=np.int64).reshape(-1, 3)
        times = np.concatenate((self.times, np.zeros(count - len(self.times), dtype=np.int64)))
        authors = np.concatenate((self.authors, np.zeros(count - len(self.authors), dtype=np.int32)))
        times[new[:, 0]], authors[new[:, 0]] = new[:, 1], new[:, 2]
        return CommitColumns(np.concatenate((self.numbers, new[:, 0])), times, authors)

    def without(self, numbers: Sequence[int]) -> CommitColumns:
        """Return the columns without some commits."""
        return CommitColumns(np.setdiff1d(self.numbers, numbers), self.times, self.authors)
