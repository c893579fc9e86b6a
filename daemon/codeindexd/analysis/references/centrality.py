"""Ranks files by how much of the code relies on them: PageRank over their definitions and references.

A file passes its rank on to the files that define what it refers to (Page et al., *The PageRank Citation Ranking*,
1999). Names are compared as they are written, without scopes or imports. Of the files that define one, those nearby in
the tree of directories are probably meant: a test tool may have a ``malloc`` of its own. A name that many files define
says little.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from codeindexd.analysis.references.codec import Columns
from codeindexd.types import DECLARATION, ReferenceKind

NOT_CODE: Final = frozenset({"section", "key", "table", "data", "block", "label"})
"""Kinds of definitions that code does not refer to by name."""

_NOT_DEFINING: Final = NOT_CODE | {DECLARATION}
_CODE: Final = frozenset({"function", "method", "constructor"})
CENTRALITY_VERSION: Final = 3
"""Raise it when the same files get other ranks."""

_DAMPING: Final = 0.85
_ROUNDS: Final = 30
_MOST_DEFINING: Final = 5  # files; a name that more of them define does not say which one is meant
_PER_STEP: Final = 0.75  # weight of a definition that is one directory farther away
_MOST_DEPTH: Final = 12  # of directories that are compared
_LEAST_BYTES: Final = 3  # of a name; shorter ones are variables
_DIGITS: Final = 4  # sums differ with their order in the last digits, and answers must not


def assigned_fields(definitions: Iterable[tuple[str, int, int]]) -> set[int]:
    """Return the places, from 0, of the fields that a function assigns to, and that nothing declares.

    ``definitions`` are those of a file in the order of their first lines, as (kind, line of the name, last line).
    """
    found: set[int] = set()
    end = 0  # of the functions so far
    for place, (kind, line, last_line) in enumerate(definitions):
        if kind == "field" and line <= end:
            found.add(place)
        elif kind in _CODE:
            end = max(end, last_line)
    return found


def defined_names(definitions: Iterable[tuple[str, str]]) -> NDArray[np.uint64]:
    """Return the distinct names that code can refer to as hashes (d,), sorted; ``definitions`` are (name, kind)."""
    names = (name.encode("utf-8", "replace") for name, kind in definitions if kind not in _NOT_DEFINING)
    return np.unique(_hashes(name for name in names if len(name) >= _LEAST_BYTES))


def used_names(references: Columns) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the distinct names that a file refers to as hashes (u,), and how often it does (u,)."""
    plain = references.names[references.kinds != ReferenceKind.ALIAS]
    places, counts = np.unique(plain, return_counts=True)
    return _hashes(references.table[place] for place in places.tolist()), counts


def _hashes(names: Iterable[bytes]) -> NDArray[np.uint64]:
    return np.fromiter((xxhash.xxh3_64_intdigest(name) for name in names), np.uint64)


class DefiningFiles:
    """Which of n files define a name, for names that few define; files are given by their places, from 0."""

    def __init__(self, defined: Sequence[NDArray[np.uint64]], directories: Sequence[bytes]) -> None:
        """``defined`` are the :func:`defined_names` of each file, ``directories`` the paths of their directories."""
        self._count = len(defined)
        self._above = _directories_above(directories)
        self._depths = np.count_nonzero(self._above, axis=1)
        places = np.repeat(np.arange(len(defined), dtype=np.int32), [len(names) for names in defined])
        hashes = np.concatenate(defined) if defined else _NO_HASHES
        order = np.argsort(hashes, kind="stable")
        self._places = places[order]
        names, first, defining = np.unique(hashes[order], return_index=True, return_counts=True)
        is_telling = defining <= _MOST_DEFINING
        self._names, self._first, self._defining = names[is_telling], first[is_telling], defining[is_telling]

    def __len__(self) -> int:
        return self._count

    def relied_on(
        self, place: int, used: NDArray[np.uint64], counts: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the places (e,) of the files that the file at ``place`` refers to, and the weights (e,).

        ``used`` and ``counts`` are its :func:`used_names`. A file that defines several of them comes as often. A name
        counts three quarters as much with every step from one directory to the next, and again if the file that refers
        to it defines it, too.
        """
        if not len(self._names):
            return NO_EDGES
        found = np.minimum(np.searchsorted(self._names, used), len(self._names) - 1)
        is_defined = self._names[found] == used
        found, counts = found[is_defined], counts[is_defined]
        if not len(found):
            return NO_EDGES
        times = self._defining[found]
        edge = np.repeat(np.arange(len(found)), times)
        first_edges = np.cumsum(times) - times
        nth = np.arange(len(edge)) - first_edges[edge]
        targets = self._places[self._first[found[edge]] + nth]
        distances = self._distances(place, targets)
        nearest = np.minimum.reduceat(distances, first_edges)
        shares = _PER_STEP ** (distances - nearest[edge])
        weights = (np.sqrt(counts) / np.bincount(edge, shares, len(found)))[edge] * shares
        is_other = targets != place
        return targets[is_other], weights[is_other].astype(np.float32)

    def _distances(self, place: int, others: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the steps in the tree of directories from one file to ``others`` (e,); -1 for itself."""
        own = self._above[place]
        shared = np.count_nonzero((self._above[others] == own) & (own != 0), axis=1)
        steps = self._depths[place] + self._depths[others] - 2 * shared
        return np.where(others == place, -1, steps)


def _directories_above(directories: Sequence[bytes]) -> NDArray[np.int32]:
    """Return for each path of a directory the numbers of it and those above, from the top, filled up with 0 (n, most).

    Equal numbers in a column are equal directories. Of deep paths, the upper ones count.
    """
    numbers: dict[bytes, int] = {}
    above = np.zeros((len(directories), _MOST_DEPTH), dtype=np.int32)
    for place, directory in enumerate(directories):
        parts = directory.split(b"/")[:_MOST_DEPTH] if directory else []
        for depth, path in enumerate(itertools.accumulate(parts, lambda upper, part: upper + b"/" + part)):
            above[place, depth] = numbers.setdefault(path, len(numbers) + 1)
    return above


_NO_HASHES: Final = np.zeros(0, dtype=np.uint64)
NO_EDGES: Final = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32)
"""What :meth:`DefiningFiles.relied_on` returns for a file that refers to nothing of another file."""


def file_ranks(relied_on: Sequence[tuple[NDArray[np.int32], NDArray[np.float32]]]) -> NDArray[np.float32]:
    """Return the centrality of each file (n,): the logarithm of its rank relative to the mean; 0 is the mean.

    ``relied_on`` has what :meth:`DefiningFiles.relied_on` returns for each file.
    """
    count = len(relied_on)
    if not count:
        return np.zeros(0, dtype=np.float32)
    user = np.repeat(np.arange(count, dtype=np.int32), [len(targets) for targets, _ in relied_on])
    target = np.concatenate([targets for targets, _ in relied_on])
    weight = np.concatenate([weights for _, weights in relied_on]).astype(np.float64)
    passed_on = np.bincount(user, weight, count)
    if len(user):
        weight /= passed_on[user]
    is_end = passed_on == 0
    rank = np.full(count, 1 / count)
    for _ in range(_ROUNDS):
        received = np.bincount(target, rank[user] * weight, count)
        rank = (1 - _DAMPING) / count + _DAMPING * (received + rank[is_end].sum() / count)
    logarithms: NDArray[np.float32] = np.log(rank * count).round(_DIGITS).astype(np.float32)
    return logarithms
