"""Ranks files by how much of the code relies on them: PageRank over their definitions and references.

A file passes its rank on to the files that define what it refers to (Page et al., *The PageRank Citation Ranking*,
1999). Names are compared as they are written, without scopes or imports, so a name that many files define says little.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from codeindexd.analysis.references.codec import Columns
from codeindexd.types import ReferenceKind

NOT_CODE: Final = frozenset({"section", "key", "table", "data", "block", "label"})
"""Kinds of definitions that code does not refer to by name."""

CENTRALITY_VERSION: Final = 1
"""Raise it when the same files get other ranks."""

_DAMPING: Final = 0.85
_ROUNDS: Final = 30
_MOST_DEFINING: Final = 5  # files; a name that more of them define does not say which one is meant
_LEAST_BYTES: Final = 3  # of a name; shorter ones are variables
_DIGITS: Final = 4  # sums differ with their order in the last digits, and answers must not


@dataclass(frozen=True, slots=True, eq=False)
class FileNames:
    """The names that a file defines and uses, as hashes: ``defined`` (d,), ``used`` (u,), and how often (u,)."""

    defined: NDArray[np.uint64]
    used: NDArray[np.uint64]
    counts: NDArray[np.float32]

    @classmethod
    def of(cls, definitions: Iterable[tuple[str, str]], references: Columns | None) -> FileNames:
        """Return the names in a file, given the (name, kind) of its definitions and its references."""
        names = (name.encode("utf-8", "replace") for name, kind in definitions if kind not in NOT_CODE)
        defined = np.unique(_hashes(name for name in names if len(name) >= _LEAST_BYTES))
        if references is None:
            return cls(defined, _NO_HASHES, np.zeros(0, dtype=np.float32))
        plain = references.names[references.kinds != ReferenceKind.ALIAS]
        places, counts = np.unique(plain, return_counts=True)
        used = _hashes(references.table[place] for place in places.tolist())
        return cls(defined, used, counts.astype(np.float32))


_NO_HASHES: Final = np.zeros(0, dtype=np.uint64)


def _hashes(names: Iterable[bytes]) -> NDArray[np.uint64]:
    return np.fromiter((xxhash.xxh3_64_intdigest(name) for name in names), np.uint64)


def file_ranks(files: Sequence[FileNames]) -> NDArray[np.float32]:
    """Return how central each file is (n,): the logarithm of its rank relative to the mean, so that 0 is the mean."""
    count = len(files)
    if not count:
        return np.zeros(0, dtype=np.float32)
    user, target, weight = _edges(files)
    passed_on = np.bincount(user, weight, count)
    flow = weight / passed_on[user] if len(user) else weight
    is_end = passed_on == 0
    rank = np.full(count, 1 / count)
    for _ in range(_ROUNDS):
        received = np.bincount(target, rank[user] * flow, count)
        rank = (1 - _DAMPING) / count + _DAMPING * (received + rank[is_end].sum() / count)
    logarithms: NDArray[np.float32] = np.log(rank * count).round(_DIGITS).astype(np.float32)
    return logarithms


def _edges(files: Sequence[FileNames]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return an edge for each file that uses a name and another that defines it: (user, target, weight), each (e,)."""
    numbers = np.arange(len(files))
    defined = np.concatenate([one.defined for one in files])
    place = np.repeat(numbers, [len(one.defined) for one in files])
    order = np.argsort(defined, kind="stable")
    defined, place = defined[order], place[order]
    names, first, defining = np.unique(defined, return_index=True, return_counts=True)
    used = np.concatenate([one.used for one in files])
    weights = np.sqrt(np.concatenate([one.counts for one in files]), dtype=np.float64)
    users = np.repeat(numbers, [len(one.used) for one in files])
    if not len(names) or not len(used):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0)
    found = np.minimum(np.searchsorted(names, used), len(names) - 1)
    telling = (names[found] == used) & (defining[found] <= _MOST_DEFINING)
    found, weights, users = found[telling], weights[telling], users[telling]
    times = defining[found]
    edge = np.repeat(np.arange(len(found)), times)
    nth = np.arange(len(edge)) - np.repeat(np.cumsum(times) - times, times)
    target = place[first[found[edge]] + nth]
    user, weight = users[edge], (weights / times)[edge]
    other = user != target
    return user[other], target[other], weight[other]
