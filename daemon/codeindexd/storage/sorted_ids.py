"""Looks up ids in sorted arrays of ids, which may have millions: no set is built and nothing is sorted again."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]


def contained(ids: Ids, allowed: Ids) -> NDArray[np.bool_]:
    """Return a mask (n,) of those ``ids`` (n,) that are in ``allowed`` (m,), which is sorted."""
    if not len(allowed):
        return np.zeros(len(ids), dtype=bool)
    places = np.searchsorted(allowed, ids)
    places[places == len(allowed)] = 0
    return np.equal(allowed[places], ids)


def among(ids: Collection[int], allowed: Ids) -> set[int]:
    """Return those ``ids`` that are in ``allowed`` (m,), which is sorted."""
    wanted = np.fromiter(ids, np.int64, len(ids))
    return set(wanted[contained(wanted, allowed)].tolist())


def without(ids: Ids, others: Ids) -> Ids:
    """Return the sorted ``ids`` (n,) that are not in ``others`` (m,), which is sorted."""
    return ids[~contained(ids, others)]
