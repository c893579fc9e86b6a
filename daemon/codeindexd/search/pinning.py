"""Pins the snapshots of a query's roots, a few roots at a time, and sums up what was searched."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from functools import partial

import anyio.to_thread
from msgspec import Struct, field

from codeindexd.search.searchable_root import PinnedRoot, SearchableRoot
from codeindexd.storage.resting import MOST_AWAKE
from codeindexd.types import RootState
from codeindexd.waiting import run_all

_BEST_TO_WORST = [RootState.FRESH, RootState.RECONCILING, RootState.INDEXING, RootState.PAUSED, RootState.DEGRADED]


def worst_state(roots: Iterable[SearchableRoot]) -> RootState:
    """Return the state that an answer from all of ``roots`` has."""
    return _worst({root.state for root in roots})


def _worst(states: Collection[RootState]) -> RootState:
    if RootState.MISSING in states:
        return RootState.MISSING
    return max(states, key=_BEST_TO_WORST.index, default=RootState.FRESH)


class PinnedPart(Struct, frozen=True):
    """Some of the roots of a query, pinned, with their states at that moment."""

    roots: Sequence[SearchableRoot]
    pinned: Sequence[PinnedRoot]
    state: RootState


def parts_of(roots: Sequence[SearchableRoot]) -> Iterator[Sequence[SearchableRoot]]:
    """Yield the roots of a query, a few at a time: a thousand open stores would take all file descriptors."""
    return (roots[at : at + MOST_AWAKE] for at in range(0, len(roots), MOST_AWAKE))


@contextlib.asynccontextmanager
async def pinned_part(roots: Sequence[SearchableRoot]) -> AsyncIterator[PinnedPart]:
    """Pin the current snapshot of every root that has one until the block ends.

    States and snapshots are taken in one step of the event loop, so they belong together.
    """
    await run_all(partial(anyio.to_thread.run_sync, root.wake) for root in roots if root.is_at_rest)
    with contextlib.ExitStack() as pins:
        state = worst_state(roots)
        snapshots = [(root, pins.enter_context(root.pin_snapshot())) for root in roots]
        yield PinnedPart(
            roots, [PinnedRoot(root, snapshot) for root, snapshot in snapshots if snapshot is not None], state
        )


class SearchedParts(Struct):
    """The state, clock and dense coverage of all parts that were searched."""

    _states: list[RootState] = field(default_factory=list)
    _clocks: list[str] = field(default_factory=list)
    _chunks: int = 0
    _vectors: int = 0

    def add(self, part: PinnedPart) -> None:
        """Add a part whose snapshots are still pinned."""
        self._states.append(part.state)
        self._clocks += _clocks(part.roots, part.pinned)
        self._chunks += sum(pin.snapshot.chunks for pin in part.pinned)
        self._vectors += sum(pin.snapshot.vectors for pin in part.pinned)

    @property
    def state(self) -> RootState:
        """The worst state of any root."""
        return _worst(self._states)

    @property
    def clock(self) -> str:
        """The clocks of all roots, joined by commas."""
        return ",".join(self._clocks)

    @property
    def dense_coverage(self) -> float:
        """The share of chunks that have a vector, from 0 to 1; 1 if there are no chunks."""
        return round(self._vectors / self._chunks, 4) if self._chunks else 1.0


def _clocks(roots: Iterable[SearchableRoot], pinned: Iterable[PinnedRoot]) -> list[str]:
    """Return the clock of each root; of generation 0 if it has no snapshot yet."""
    generations = {id(pin.root): pin.snapshot.generation for pin in pinned}
    return [root.spec.clock(generations.get(id(root), 0)) for root in roots]
