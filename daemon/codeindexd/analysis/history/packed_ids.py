"""Ids of many commits in little memory: packed one after the other, and found by binary search."""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray

ID_BYTES = 20
_KEY_BYTES = 8  # of an id by which it is looked for

Places = NDArray[np.int32]


class PackedIds(Sequence[bytes]):
    """Ids of commits in an order. Immutable; a place in the order takes 32 bytes once ids are looked for.

    An id that occurs several times is found at one of its places. The id of zeros is never found, so that it can stand
    for none.
    """

    def __init__(self, joined: bytes | bytearray = b"") -> None:
        """Take over the bytes of ids, one after the other."""
        self.joined = bytes(joined)

    def __len__(self) -> int:
        return len(self.joined) // ID_BYTES

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> PackedIds: ...
    def __getitem__(self, place: int | slice) -> bytes | PackedIds:
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            if step != 1:
                return self.at(np.arange(start, stop, step))
            return PackedIds(self.joined[start * ID_BYTES : max(start, stop) * ID_BYTES])
        start = range(len(self))[place] * ID_BYTES
        return self.joined[start : start + ID_BYTES]

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self.joined), ID_BYTES):
            yield self.joined[start : start + ID_BYTES]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PackedIds) and self.joined == other.joined

    def __hash__(self) -> int:
        return hash(self.joined)

    def __add__(self, other: PackedIds) -> PackedIds:
        return PackedIds(self.joined + other.joined)

    @cached_property
    def rows(self) -> NDArray[np.uint8]:
        """The bytes of the ids, one row for each."""
        return np.frombuffer(self.joined, dtype=np.uint8).reshape(-1, ID_BYTES)

    def at(self, places: NDArray[np.integer] | NDArray[np.bool_]) -> PackedIds:
        """Return the ids at some places, or where a mask is True."""
        return PackedIds(self.rows[places].tobytes())

    def place_of(self, commit_id: bytes) -> int | None:
        """Return the place of an id; None if it is not among these."""
        keys, order = self._views
        key = int.from_bytes(commit_id[:_KEY_BYTES], sys.byteorder)
        at = bisect_left(keys, key)
        while at < len(keys) and keys[at] == key:
            place = order[at]
            if self.joined.startswith(commit_id, place * ID_BYTES) and any(commit_id):
                return place
            at += 1
        return None

    def places_of(self, ids: PackedIds) -> Places:
        """Return the place of each of ``ids`` in this order, -1 for those that are not among these."""
        keys, order = self._index
        found = np.full(len(ids), -1, dtype=np.int32)
        if not len(keys) or not len(ids):
            return found
        wanted = _keys(ids.rows)
        at = np.searchsorted(keys, wanted)
        while True:  # more than once only where keys are equal, which chance does not bring about
            candidates = (found < 0) & (at < len(keys))
            candidates[candidates] = keys[at[candidates]] == wanted[candidates]
            if not candidates.any():
                break
            places = order[at[candidates]]
            same = (self.rows[places] == ids.rows[candidates]).all(axis=1)
            found[np.flatnonzero(candidates)[same]] = places[same]
            at[candidates] += 1
        found[~ids.rows.any(axis=1)] = -1
        return found

    @cached_property
    def _index(self) -> tuple[NDArray[np.uint64], Places]:
        """The keys of the ids, sorted, and the place of each."""
        keys = _keys(self.rows)
        order = np.argsort(keys, kind="stable").astype(np.int32)
        return keys[order], order

    @cached_property
    def _views(self) -> tuple[memoryview[int], memoryview[int]]:
        """The index for looking up one id, for which numpy's arrays are slow."""
        keys, order = self._index
        return keys.data, order.data


def packed(ids: Sequence[bytes]) -> PackedIds:
    """Return ids packed."""
    return ids if isinstance(ids, PackedIds) else PackedIds(b"".join(ids))


def _keys(rows: NDArray[np.uint8]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(rows[:, :_KEY_BYTES]).view(np.uint64).ravel()
