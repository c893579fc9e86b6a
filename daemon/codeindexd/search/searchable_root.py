"""What a search needs to know about a root."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from msgspec import Struct

from codeindexd.storage.history import HistorySnapshot
from codeindexd.storage.snapshot import Snapshot
from codeindexd.types import RootState


class PinnedRoot(Struct, frozen=True):
    """A root and the snapshot of it that one query runs on."""

    root: SearchableRoot
    snapshot: Snapshot


class SearchableHistory(Protocol):
    """The history of a root's repository."""

    def snapshot(self) -> AbstractContextManager[HistorySnapshot]:
        """Provide the present history inside the block. Blocking. Raises NoHistoryError if there is none (yet)."""


class SearchableSpec(Protocol):
    """Where a root is, and its part of a clock."""

    @property
    def raw(self) -> bytes:
        """Absolute path of the root."""

    def clock(self, generation: int) -> str:
        """Return the root's part of a clock at ``generation``."""


class SearchableRoot(Protocol):
    """A root that can be searched."""

    @property
    def spec(self) -> SearchableSpec:
        """Path and id of the root."""

    @property
    def state(self) -> RootState:
        """Health of the root now."""

    @property
    def history(self) -> SearchableHistory | None:
        """The history of the root's repository; None if the root cannot have one."""

    @property
    def query_model(self) -> str:
        """Identity of the model whose vectors the root answers from; "" before its first snapshot."""

    @property
    def is_at_rest(self) -> bool:
        """True if the stores that queries need are closed."""

    def wake(self) -> None:
        """Open the stores that queries need, if they are closed. Blocking."""

    def pin_snapshot(self) -> AbstractContextManager[Snapshot | None]:
        """Keep the current snapshot open until the block ends; None before the first snapshot."""

    def hint_from_thread(self, paths: Iterable[bytes]) -> None:
        """Request a scan of ``paths``, relative to the root. Thread-safe."""

    def note_unread_texts(self) -> None:
        """Note that a search had to read skipped files whose text is not known. Thread-safe."""


PastFiles = Callable[[SearchableRoot, str], Mapping[bytes, float]]
"""Returns the files of a root that commits resembling a text changed, with scores from 0 to 1. Blocking."""


def no_past_files(root: SearchableRoot, text: str) -> Mapping[bytes, float]:
    """Return {}: the history has no influence."""
    return {}
