"""How far the indexing of one root is, and what its stages cost."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

_RECENT = 256  # durations kept for the median


@dataclass
class StageStats:
    """What one stage did since the daemon started; ``recent`` holds the last durations in seconds."""

    items: int = 0
    bytes: int = 0
    seconds: float = 0.0
    errors: int = 0
    recent: list[float] = field(default_factory=list)

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
    """What was done since there was last nothing to do: the past of a progress bar."""

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
