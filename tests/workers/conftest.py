"""Real pools for tests: the context manager ``served`` and shorthand for jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import pytest

from codeindexd.workers.jobs import FileJob, WorkerSettings
from codeindexd.workers.pool import WorkerPool
from codeindexd.workers.sizing import Pressure
from codeindexd.workers.worker_handle import Timing
from support.places import TESTS

QUICK = Timing(backoff_s=0.01, backoff_max_s=0.05, pressure_s=0.05)


@pytest.fixture(autouse=True)
def _importable_by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


def jobs(*names: str, root: bytes = b"/r", size: int = 0) -> list[FileJob]:
    return [FileJob(number, root, name.encode(), size) for number, name in enumerate(names)]


@pytest.fixture
def make_jobs() -> Callable[..., list[FileJob]]:
    return jobs


@pytest.fixture
def served() -> Callable[..., AbstractAsyncContextManager[WorkerPool]]:
    @asynccontextmanager
    async def serve(pipeline: str = "Scripted", *, count: int = 2, **options: Any) -> AsyncIterator[WorkerPool]:
        pool_options = {key: options.pop(key) for key in ("timing", "recycle_bytes", "pressure") if key in options}
        settings = WorkerSettings(**{"nice": 0, **options})  # at idle priority a busy machine would starve the tests
        pool = WorkerPool(
            settings,
            count=count,
            pipeline=f"workers.scripted_pipelines:{pipeline}",
            **{"timing": QUICK, "pressure": Pressure, **pool_options},
        )
        async with anyio.create_task_group() as tasks:
            await tasks.start(pool.serve)
            yield pool
            pool.stop()

    return serve
