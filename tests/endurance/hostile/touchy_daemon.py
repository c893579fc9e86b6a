"""The ordinary daemon with workers that some files end, stall or bloat; its module name is a prefix of the command.

A file whose first line is ``# fatal: kill`` (``hang``, ``hog``) does that to its worker; all others are indexed.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from codeindexd.cli.codeindexd import main
from codeindexd.daemon import app
from codeindexd.indexing.pipeline import Pipeline
from codeindexd.workers.jobs import FileJob, FileResult
from codeindexd.workers.pool import WorkerPool

BUDGET_S = 2.0
_MEMORY = 400 << 20


class Touchy(Pipeline):
    """What the workers run."""

    def process(self, job: FileJob) -> FileResult:
        with Path(os.fsdecode(job.root + b"/" + job.path)).open("rb") as file:
            match file.readline().removeprefix(b"# fatal: ").strip():
                case b"kill":
                    os.kill(os.getpid(), signal.SIGSEGV)
                case b"hang":
                    while True:
                        pass
                case b"hog":
                    kept = [bytearray(16 << 20) for _ in range(1 << 12)]
                    del kept
        return super().process(job)


class _Pool(WorkerPool):
    def __init__(self, settings: Any, **options: Any) -> None:
        settings = replace(settings, file_budget_s=BUDGET_S, memory_limit_bytes=_MEMORY)
        super().__init__(settings, **{**options, "pipeline": "endurance.hostile.touchy_daemon:Touchy"})


if __name__ == "__main__":
    app.WorkerPool = _Pool  # type: ignore[misc]
    sys.exit(main(sys.argv[sys.argv.index("codeindexd") + 1 :]))  # behind the command that we stand in for
