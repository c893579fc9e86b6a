"""The commits of one root in their order, and what is computed from it once."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from codeindexd.storage.history.codec import Numbers


class Places:
    """The place of each commit in an order: 0 for the newest."""

    def __init__(self, order: Numbers) -> None:
        self._places = np.full(int(order.max()) + 1 if len(order) else 0, -1, dtype=np.int32)
        self._places[order] = np.arange(len(order), dtype=np.int32)

    def __contains__(self, number: int) -> bool:
        return 0 <= number < len(self._places) and bool(self._places[number] >= 0)

    def __getitem__(self, number: int) -> int:
        return int(self._places[number])


class Members:
    """The numbers of a root's commits, newest first. Immutable; snapshots of the same view share one."""

    def __init__(self, order: Numbers) -> None:
        self.order = order
        self.inside: Members | None = None
        """Those that changed something in the root, once a snapshot has found out; only for a root below the top."""

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """The numbers in ascending order."""
        return np.sort(self.order).astype(np.int64)

    @cached_property
    def places(self) -> Places:
        """The place of each commit."""
        return Places(self.order)
