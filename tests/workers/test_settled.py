"""Whether the stat in a worker's result must show the next write."""

from __future__ import annotations

import os
import time
from pathlib import Path

from codeindexd.indexing.pipeline import Pipeline
from codeindexd.workers.jobs import FileJob, WorkerSettings


def test_a_clock_of_whole_seconds_settles_later_than_a_fine_one(tmp_path: Path) -> None:
    pipeline = Pipeline(WorkerSettings())
    file = tmp_path / "a.py"
    file.write_text("a = 1\n")
    now = time.time_ns()

    def settled(mtime_ns: int) -> bool:
        os.utime(file, ns=(mtime_ns, mtime_ns))
        time.sleep(0.1)  # ctime cannot be set: it has to be older than a tick of the kernel's clock
        return pipeline.process(FileJob(1, os.fsencode(tmp_path), b"a.py")).settled

    assert settled(now - 500_000_001)
    assert not settled(now // 1_000_000_000 * 1_000_000_000)
    assert settled((now // 1_000_000_000 - 5) * 1_000_000_000)
