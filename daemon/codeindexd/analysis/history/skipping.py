"""Skips commits that did not change a path, given the graph of commits and those that changed each path."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Sequence

from msgspec import Struct

_MOST_SKIPPED = 2_000_000  # commits; grafts can make a circle
_LONGEST_LINE = 1000  # commits on one side of a merge since the other branched off
_MOST_BETWEEN = 20_000  # commits between a merge and where its parents' lines of history meet again


class CommitGraph(Struct):
    """The commits that are known, by number.

    ``parents_of`` returns the numbers of a commit's parents, -1 for one that is not known, ``only_parent_of`` that of
    its parent, or a negative number if it has not exactly one that is known. ``time_of`` returns when a commit was
    committed, and ``changing`` the numbers of the commits with one parent that changed a path.
    """

    number_of: Callable[[bytes], int | None]
    id_of: Callable[[int], bytes]
    parents_of: Callable[[int], Sequence[int]]
    only_parent_of: Callable[[int], int]
    time_of: Callable[[int], int]
    changing: Callable[[bytes], Collection[int]]


class Skips:
    """Skips commits of one graph, and knows their parents and times. Not thread-safe."""

    def __init__(self, graph: CommitGraph) -> None:
        self._graph = graph
        self._changing: dict[bytes, Collection[int]] = {}

    def parents(self, commit: bytes) -> tuple[bytes, ...] | None:
        """Return the parents of a commit; None if the graph does not know all of them."""
        number = self._graph.number_of(commit)
        if number is None:
            return None
        parents = self._graph.parents_of(number)
        # none are recorded at the boundary of a shallow clone, which may have been deepened since
        return tuple(map(self._graph.id_of, parents)) if parents and -1 not in parents else None

    def time(self, commit: bytes) -> int | None:
        """Return when a commit was committed, in seconds since the epoch; None if the graph does not know it."""
        number = self._graph.number_of(commit)
        return None if number is None else self._graph.time_of(number)

    def to_change(self, commit: bytes, path: bytes) -> bytes:
        """Return the nearest commit, at or before ``commit``, that changed ``path``, is a merge, or has no parent."""
        start = self._graph.number_of(commit)
        if start is None:
            return commit
        number = self._nearest_change(start, path)
        return commit if number == start else self._graph.id_of(number)

    def _nearest_change(self, number: int, path: bytes) -> int:
        changing = self._changes(path)
        only_parent_of = self._graph.only_parent_of
        for _ in range(_MOST_SKIPPED):
            if number in changing:
                break
            parent = only_parent_of(number)
            if parent < 0:
                break
            number = parent
        return number

    def past_merge(self, commit: bytes, path: bytes) -> bytes:
        """Return a commit before a merge that has ``path`` as the merge has it, or ``commit`` itself.

        That is the first parent, if the other ones left its line of history alone since they branched off, or where the
        parents meet, if no commit between changed the path. The merges between, and ``commit`` itself, may have changed
        it all the same, so look at the path in the result.
        """
        start = self._graph.number_of(commit)
        if start is None or len(self._graph.parents_of(start)) < 2:
            return commit
        first, *others = self._graph.parents_of(start)
        if first >= 0 and all(self._branched_off(other, first, path) for other in others):
            return self._graph.id_of(first)
        changing = self._changes(path)
        seen = {start}
        frontier: list[tuple[int, int]] = []
        number = start
        for _ in range(_MOST_BETWEEN):
            parents = self._graph.parents_of(number)
            if not parents or -1 in parents:
                break
            for parent in parents:
                if parent not in seen:
                    seen.add(parent)
                    heapq.heappush(frontier, (-self._graph.time_of(parent), parent))
            number = heapq.heappop(frontier)[1]
            if not frontier:
                return self._graph.id_of(number)
            if number in changing:
                break
        return commit

    def _branched_off(self, tip: int, main: int, path: bytes) -> bool:
        """Return True if the commits before ``tip`` left ``path`` alone since they branched off the line of ``main``.

        That line is the first parents of ``main``. False if the branch has merges, or branched off long ago.
        """
        if tip < 0:
            return False
        place = self._nearest_change(tip, path)
        oldest = self._graph.time_of(place)
        for _ in range(_LONGEST_LINE):
            if main == place:
                return True
            parents = self._graph.parents_of(main)
            if not parents or parents[0] < 0 or self._graph.time_of(main) < oldest:
                return False
            main = parents[0]
        return False

    def _changes(self, path: bytes) -> Collection[int]:
        found = self._changing.get(path)
        if found is None:
            found = self._changing[path] = frozenset(self._graph.changing(path))
        return found
