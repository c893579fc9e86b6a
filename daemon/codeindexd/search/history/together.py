"""What usually changes together: files, or definitions, that the same commits changed."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

LARGE_COMMIT: int = 50
"""A commit that changed more files than this, such as a reformatting or a merge of branches, says nothing."""

_FEW_COMMITS = 3  # of fewer, one commit in common is all that can be expected
_LITTLE_EVIDENCE = 2  # commits in common that count for half

Item = TypeVar("Item", bytes, tuple[bytes, str])


class CommitItems(Struct, Generic[Item], frozen=True):
    """What one commit changed: ``items``, and ``files`` in all."""

    commit: int
    items: Sequence[Item]
    files: int


class Companion(Struct, Generic[Item], frozen=True):
    """Something that changed in ``count`` of the commits that were counted; ``commits`` are those, newest first.

    ``confidence`` is their part of all that were counted: how often a change of what was asked about came with a change
    of this. ``total`` is the number of commits that changed it at all, and ``score``, from 0 to 1, orders companions.
    """

    item: Item
    count: int
    total: int
    confidence: float
    score: float
    commits: tuple[int, ...]


class Companions(Struct, Generic[Item], frozen=True):
    """The companions, best first, of what ``counted`` commits changed; ``large`` commits were left out."""

    found: Sequence[Companion[Item]]
    counted: int
    large: int


def companions(
    commits: Sequence[CommitItems[Item]],
    asked: Collection[Item],
    totals: Callable[[Collection[Item]], Mapping[Item, int]],
    *,
    largest: int = LARGE_COMMIT,
) -> Companions[Item]:
    """Return what changed with ``asked``, given the ``commits`` that changed it, newest first.

    ``totals`` returns how many commits changed each of some items. What changes all the time, such as a changelog,
    comes after what changes seldom otherwise. What changed together only once is a coincidence, unless there are so
    few commits that nothing else can be expected.
    """
    counted = [commit for commit in commits if commit.files <= largest]
    shared: defaultdict[Item, list[int]] = defaultdict(list)
    for commit in counted:
        for item in dict.fromkeys(commit.items):
            if item not in asked:
                shared[item].append(commit.commit)
    least = 1 if len(counted) <= _FEW_COMMITS else 2
    kept = {item: numbers for item, numbers in shared.items() if len(numbers) >= least}
    in_all = Counter(dict(totals(kept.keys())))
    found = [
        Companion(
            item,
            len(numbers),
            max(in_all[item], len(numbers)),
            len(numbers) / len(counted),
            _score(len(numbers), len(counted), max(in_all[item], len(numbers))),
            tuple(numbers),
        )
        for item, numbers in kept.items()
    ]
    found.sort(key=lambda companion: (-companion.score, -companion.count, companion.item))
    return Companions(found, len(counted), len(commits) - len(counted))


def _score(together: int, one: int, other: int) -> float:
    """Return the cosine of two sets of commits, less where it rests on few of them."""
    return together / math.sqrt(one * other) * together / (together + _LITTLE_EVIDENCE)
