"""The status of a root, and the key by which an unchanged one is recognized."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from codeindexd.indexing.history_status import HistoryStatus
from codeindexd.indexing.problems import RootProblem
from codeindexd.indexing.progress import Progress, StageStats
from codeindexd.roots.adoption import Adoption
from codeindexd.types import Counts, RootState


class RootStatus(Struct, frozen=True):
    """The status of a root at one moment.

    ``queue_lengths`` and ``stages`` are by name of the stage; ``notes`` say what had to be rebuilt at the start.
    ``nested_histories`` are those of repositories inside the root, by directory. ``busy`` are files that change all the
    time, each with the seconds between its scans. ``adoption`` is the adoption of an index since the daemon started.
    """

    state: RootState
    clock: str
    generation: int
    root_hash: bytes
    counts: Counts
    pending_vectors: int
    problems: tuple[RootProblem, ...]
    notes: tuple[str, ...]
    progress: Progress
    stages: Mapping[str, StageStats]
    queue_lengths: Mapping[str, int]
    chunks_embedded: int
    history: HistoryStatus
    nested_histories: tuple[tuple[bytes, HistoryStatus], ...] = ()
    busy: tuple[tuple[bytes, float], ...] = ()
    adoption: Adoption | None = None


class StatusKey(Struct, frozen=True):
    """What the status of a root at rest depends on, apart from failures and rules: equal keys mean equal statuses."""

    path: bytes
    state: RootState
    is_caught_up: bool
    generations: tuple[int, int]
    counts: Counts
    pending_vectors: int
    problems: tuple[RootProblem, ...]
    notes: int
    work_done: int
    history: HistoryStatus
    nested_histories: tuple[tuple[bytes, HistoryStatus], ...] = ()
