"""Samples of the daemon's resources, and whether they level off."""

from __future__ import annotations

import csv
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from endurance.soak.clients import Clients
from support.daemons import RealDaemon
from support.processes import (
    Memory,
    cpu_seconds,
    disk_bytes,
    family,
    inotify_watches,
    open_files,
    threads,
)

_MB = 1e6
EVENING = "evening"


@dataclass(frozen=True)
class Sample:
    """One moment. Sizes in MB, times in seconds, latencies in ms over the window since the sample before."""

    minute: float
    day: int
    phase: str
    daemon_pss: float
    daemon_anonymous: float
    workers: int
    workers_pss: float
    open_files: int
    threads: int
    watches: int
    vectors: float
    catalog: float
    wal: float
    lexical: float
    dense: float
    cpu_s: float
    files: int
    chunks: int
    generation: int
    queries: int
    p50_ms: float
    p99_ms: float


class Sampler(threading.Thread):
    """Takes a sample every ``interval_s`` seconds; :meth:`take` takes one more at once."""

    def __init__(self, daemon: RealDaemon, clients: Clients, interval_s: float) -> None:
        super().__init__(daemon=True)
        self._daemon = daemon
        self._clients = clients
        self._interval_s = interval_s
        self._began = time.monotonic()
        self._done = threading.Event()
        self._taking = threading.Lock()
        self.day = 0
        self.samples: list[Sample] = []

    def run(self) -> None:
        while not self._done.wait(self._interval_s):
            self.take("day")

    def stop(self) -> None:
        """Stop sampling."""
        self._done.set()
        self.join(60)

    def take(self, phase: str) -> Sample:
        """Take a sample now."""
        with self._taking:
            sample = self._sample(phase)
            self.samples.append(sample)
            return sample

    def _sample(self, phase: str) -> Sample:
        assert self._daemon.process is not None
        pid = self._daemon.process.pid
        workers = family(pid)[1:]
        memory = Memory.of(pid)
        cache = self._daemon.home / "cache/codeindexd"
        stores = cache / "roots"
        roots = self._daemon.call("status")["roots"]
        latencies = self._clients.latencies()

        def on_disk(*patterns: str) -> float:
            return sum(disk_bytes(path) for pattern in patterns for path in stores.glob(pattern)) / _MB

        return Sample(
            minute=(time.monotonic() - self._began) / 60,
            day=self.day,
            phase=phase,
            daemon_pss=memory.pss / _MB,
            daemon_anonymous=memory.anonymous / _MB,
            workers=len(workers),
            workers_pss=sum(Memory.of(worker).pss for worker in workers) / _MB,
            open_files=open_files(pid),
            threads=threads(pid),
            watches=inotify_watches(pid),
            vectors=sum(disk_bytes(path) for path in cache.glob("vectors.db*")) / _MB,
            catalog=on_disk("*/catalog.db"),
            wal=on_disk("*/catalog.db-wal"),
            lexical=on_disk("*/lexical"),
            dense=on_disk("*/dense"),
            cpu_s=cpu_seconds(pid),
            files=sum(root["files"] for root in roots),
            chunks=sum(root["chunks"] for root in roots),
            generation=sum(int(root["clock"].rpartition(":")[2]) for root in roots),
            queries=len(latencies),
            p50_ms=statistics.median(latencies) if latencies else 0.0,
            p99_ms=latencies[int(0.99 * len(latencies))] if latencies else 0.0,
        )


def write_csv(samples: Sequence[Sample], file: Path) -> None:
    """Write all samples, one per row."""
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, [field.name for field in fields(Sample)])
        writer.writeheader()
        for sample in samples:
            writer.writerow({name: _short(value) for name, value in asdict(sample).items()})


def _short(value: object) -> object:
    return round(value, 3) if isinstance(value, float) else value


def table(samples: Sequence[Sample], rows: int = 11) -> str:
    """Return a table of evenings spread over the month, for the documentation."""
    evenings = [sample for sample in samples if sample.phase == EVENING]
    picked = [evenings[round(number * (len(evenings) - 1) / max(1, rows - 1))] for number in range(rows)]
    head = "day,daemon MB (anonymous),files,threads,watches,vectors MB,catalog+log MB,lexical MB,dense MB,chunks"
    columns = [*head.split(","), "bytes a chunk", "commits"]
    lines = [f"| {' | '.join(columns)} |", "| ---: " * len(columns) + "|"]
    lines += [
        f"| {s.day} | {s.daemon_pss:.0f} ({s.daemon_anonymous:.0f}) | {s.open_files} | {s.threads} | {s.watches} "
        f"| {s.vectors:.0f} | {s.catalog:.0f}+{s.wal:.0f} | {s.lexical:.0f} | {s.dense:.0f} | {s.chunks} "
        f"| {_index_bytes(s):.0f} | {s.generation} |"
        for s in dict.fromkeys(picked)
    ]
    return "\n".join(lines)


def _index_bytes(sample: Sample) -> float:
    """Bytes of the stores of all roots for each live chunk."""
    return (sample.catalog + sample.wal + sample.lexical + sample.dense) * _MB / max(1, sample.chunks)


@dataclass(frozen=True)
class Level:
    """How a quantity developed: its median over the last half of the month, and its growth in it."""

    name: str
    median: float
    growth: float
    allowed: float

    @property
    def holds(self) -> bool:
        """Return True if the quantity levels off."""
        return self.growth <= self.allowed


_VECTORS = "vectors, MB"
# Share of the median, and an amount that is never worth a word, that a quantity may grow by in half a month.
_LEVELS: dict[str, tuple[Callable[[Sample], float], float, float]] = {
    "daemon, anonymous MB": (lambda sample: sample.daemon_anonymous, 0.05, 3),
    "daemon, MB": (lambda sample: sample.daemon_pss, 0.10, 5),
    "open files": (lambda sample: sample.open_files, 0.0, 4),
    "threads": (lambda sample: sample.threads, 0.0, 4),
    "watches for each file": (lambda sample: sample.watches / max(1, sample.files), 0.10, 0),
    "catalog, bytes a chunk": (lambda sample: (sample.catalog + sample.wal) * _MB / sample.chunks, 0.10, 0),
    "lexical, bytes a chunk": (lambda sample: sample.lexical * _MB / sample.chunks, 0.10, 0),
    "dense, bytes a chunk": (lambda sample: sample.dense * _MB / sample.chunks, 0.10, 0),
    _VECTORS: (lambda sample: sample.vectors, 0.10, 0),
}


def levels(samples: Sequence[Sample], vectors_budget: float) -> list[Level]:
    """Judge the evenings of the last half; growth is the median slope between any two of them, times the half.

    The vector store may grow up to its budget (MB): it keeps what is gone until it needs the room.
    """
    evenings = [sample for sample in samples if sample.phase == EVENING]
    half = evenings[len(evenings) // 2 :]
    judged = []
    for name, (value, share, amount) in _LEVELS.items():
        values = [value(sample) for sample in half]
        slopes = [
            (later - earlier) / (there - here)
            for here, earlier in enumerate(values)
            for there, later in enumerate(values)
            if there > here
        ]
        median = statistics.median(values)
        growth = statistics.median(slopes) * (len(values) - 1) if slopes else 0.0
        room = vectors_budget - median if name == _VECTORS else 0.0
        judged.append(Level(name, median, growth, max(share * median, amount, room)))
    return judged
