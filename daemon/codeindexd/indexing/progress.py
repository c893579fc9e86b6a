"""The progress of indexing one root, and statistics of its stages."""

from __future__ import annotations

import statistics
import time

from msgspec import Struct, field

from codeindexd.workers.jobs import FileResult, FileStatus

_RECENT = 256  # durations kept for the median


class StageStats(Struct):
    """Statistics of one stage since the daemon started; ``recent`` are the last durations in seconds."""

    items: int = 0
    bytes: int = 0
    seconds: float = 0.0
    errors: int = 0
    recent: list[float] = field(default_factory=list)
    _median: tuple[int, float] = (0, 0.0)  # (number of items, median of their durations)

    @property
    def median_s(self) -> float:
        """The median of ``recent`` in seconds; 0 if there are none. Cached until the next item."""
        if self._median[0] != self.items:
            self._median = self.items, statistics.median(self.recent)
        return self._median[1]

    def add(self, seconds: float, *, size_bytes: int = 0, error: bool = False) -> None:
        """Count one item that took ``seconds``."""
        self.items += 1
        self.bytes += size_bytes
        self.seconds += seconds
        self.errors += error
        self.recent.append(seconds)
        if len(self.recent) > _RECENT:
            del self.recent[: _RECENT // 2]


class IndexingRun(Struct):
    """The work done since the ingest was last idle, for a progress bar."""

    files_done: int = 0
    chunks_done: int = 0
    started: float = field(default_factory=time.monotonic)


class Progress(Struct, frozen=True):
    """The progress of a run at one moment.

    ``seconds`` is its age; ``is_idle`` says that no work is left, ``is_scanning`` that more files may still be found.
    """

    files_done: int
    files_left: int
    chunks_done: int
    seconds: float
    is_idle: bool
    is_scanning: bool = False


class IngestStats:
    """Statistics of one root's indexing: by stage since the daemon started, and for the present run."""

    def __init__(self) -> None:
        self.stages: dict[str, StageStats] = {}
        self.revision = 0  # grows with every change
        self.chunks_embedded = 0  # computed by a worker; vectors that were looked up do not count
        self._run = IndexingRun()

    def add_result(self, result: FileResult) -> None:
        """Count the result of a worker for one file."""
        self.revision += 1
        failed = result.status is FileStatus.FAILED
        self.chunks_embedded += sum(chunk.embedded for chunk in result.chunks)
        for stage, seconds in result.seconds.items():
            error = failed and stage == result.stage
            self._stage(stage).add(seconds, size_bytes=result.bytes_read, error=error)
        if failed and result.stage not in result.seconds:
            self._stage(result.stage or "worker").add(0.0, error=True)

    def add_commit(self, seconds: float) -> None:
        """Count a commit that took ``seconds``."""
        self.revision += 1
        self._stage("apply").add(seconds)

    def add_committed(self, *, files: int, chunks: int) -> None:
        """Count committed files and chunks in the present run."""
        self.revision += 1
        self._run.files_done += files
        self._run.chunks_done += chunks

    def start_run(self) -> None:
        """Begin a new run, because there is work again after the last run has ended."""
        self.revision += 1
        self._run = IndexingRun()

    def progress(self, *, files_left: int, is_idle: bool) -> Progress:
        """Return the progress of the present run."""
        run = self._run
        return Progress(run.files_done, files_left, run.chunks_done, time.monotonic() - run.started, is_idle)

    def _stage(self, name: str) -> StageStats:
        return self.stages.setdefault(name, StageStats())
