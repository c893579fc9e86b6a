"""How far the work of one root is, and what its stages cost."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class StageStats:
    """How much one stage did since the daemon started; ``recent`` keeps the last durations for the median."""

    items: int = 0
    bytes: int = 0
    seconds: float = 0.0
    errors: int = 0
    recent: list[float] = field(default_factory=list)

    def add(self, seconds: float, *, bytes_: int = 0, error: bool = False) -> None:
        """Count one item."""
        self.items += 1
        self.bytes += bytes_
        self.seconds += seconds
        self.errors += error
        self.recent.append(seconds)
        if len(self.recent) > 256:
            del self.recent[:128]


@dataclass
class Run:
    """Progress of the work since it was last finished: what a progress bar shows."""

    files_done: int = 0
    chunks_done: int = 0
    started: float = field(default_factory=time.monotonic)
