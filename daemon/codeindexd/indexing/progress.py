"""How far the indexing of one root is, and what its stages cost."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field

from codeindexd.workers.jobs import FileResult, FileStatus

_RECENT = 256  # durations kept for the median


@dataclass
class StageStats:
    """What one stage did since the daemon started; ``recent`` holds the last durations in seconds."""

    items: int = 0
    bytes: int = 0
    seconds: float = 0.0
    errors: int = 0
    recent: list[float] = field(default_factory=list)
    _median: tuple[int, float] = (0, 0.0)  # and the number of items it is of

    @property
    def median_s(self) -> float:
        """The median of ``recent``, 0 without any; computed once for each number of items."""
        if self._median[0] != self.items:
            self._median = self.items, statistics.median(self.recent)
        return self._median[1]

    def add(self, seconds: float, *, size_bytes: int = 0, error: bool = False) -> None:
        """Count one item."""
        self.items += 1
        self.bytes += size_bytes
        self.seconds += seconds
        self.errors += error
        self.recent.append(seconds)
        if len(self.recent) > _RECENT:
            del self.recent[: _RECENT // 2]


@dataclass
class Run:
    """What was done since the ingest was last idle and got work, for a progress bar."""

    files_done: int = 0
    chunks_done: int = 0
    started: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is at one moment; ``seconds`` is its age, and ``is_idle`` says that nothing is left to do."""

    files_done: int
    files_left: int
    chunks_done: int
    seconds: float
    is_idle: bool


class IngestStats:
    """What one root's indexing has done: since the daemon started by stage, and in the present run."""

    def __init__(self) -> None:
        self.stages: dict[str, StageStats] = {}
        self.revision = 0  # grows with every change
        self.chunks_embedded = 0  # computed by a worker; vectors that were looked up do not count
        self._run = Run()

    def add_result(self, result: FileResult) -> None:
        """Count what a worker did for one file."""
        self.revision += 1
        failed = result.status is FileStatus.FAILED
        self.chunks_embedded += sum(chunk.embedded for chunk in result.chunks)
        for stage, seconds in result.seconds.items():
            error = failed and stage == result.stage
            self._stage(stage).add(seconds, size_bytes=result.bytes_read, error=error)
        if failed and result.stage not in result.seconds:
            self._stage(result.stage or "worker").add(0.0, error=True)

    def add_commit(self, seconds: float) -> None:
        """Count a commit."""
        self.revision += 1
        self._stage("apply").add(seconds)

    def add_committed(self, *, files: int, chunks: int) -> None:
        """Count files of the present run that are done."""
        self.revision += 1
        self._run.files_done += files
        self._run.chunks_done += chunks

    def start_run(self) -> None:
        """Begin a new run: there is work again, and nothing is left of the last one."""
        self.revision += 1
        self._run = Run()

    def progress(self, *, files_left: int, is_idle: bool) -> Progress:
        """Return how far the present run is."""
        run = self._run
        return Progress(run.files_done, files_left, run.chunks_done, time.monotonic() - run.started, is_idle)

    def _stage(self, name: str) -> StageStats:
        return self.stages.setdefault(name, StageStats())
