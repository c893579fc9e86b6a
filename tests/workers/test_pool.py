"""Real worker processes doing ordinary work: order, fairness, bounds, early exits, restarts."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing

import anyio
import psutil
import pytest

from codeindexd.errors import ShuttingDownError
from codeindexd.workers.jobs import FileJob, FileStatus, TextRange, TextsJob, TextsStatus
from codeindexd.workers.pool import WINDOW_JOBS, WorkerPool
from codeindexd.workers.sizing import Pressure
from codeindexd.workers.worker_handle import Timing
from support.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.processes]


async def test_every_job_has_one_result_and_values_survive_the_wire(served, make_jobs):
    async with served(count=2) as pool:
        results = [result async for result in pool.process(make_jobs(*(f"f{n}" for n in range(500))))]
        assert pool.stats.started == 2
    assert sorted(result.job_id for result in results) == list(range(500))
    one = results[0]
    assert one.status is FileStatus.INDEXED
    assert one.stat is not None
    assert one.stat.size == 3
    assert one.chunks[0].span.symbols[0].qualified == "a.b"
    assert one.chunks[0].vector == b"\0" * 512


async def test_no_process_is_started_before_there_is_a_job(served, make_jobs):
    async with served() as pool:
        assert pool.stats.started == 0
        assert [result async for result in pool.process([])] == []
        assert pool.stats.started == 0
        assert [result.path async for result in pool.process(make_jobs("a"))] == [b"a"]
        assert pool.stats.started == 1  # one file does not start two workers


async def test_jobs_are_taken_from_their_source_only_as_results_are_consumed(served, make_jobs):
    taken = 0

    async def source() -> AsyncIterator[FileJob]:
        nonlocal taken
        for job in make_jobs(*(f"f{n}" for n in range(400))):
            taken += 1
            yield job

    async with served() as pool, aclosing(pool.process(source())) as results:
        for consumed in range(1, 11):
            await anext(results)
            assert taken <= WINDOW_JOBS + consumed + 1


async def test_bytes_in_progress_are_bounded(served, make_jobs):
    taken = []

    def source():
        for job in make_jobs(*(f"f{n}" for n in range(40)), size=10 << 20):
            taken.append(job)
            yield job

    async with served() as pool, aclosing(pool.process(source())) as results:
        await anext(results)
        assert len(taken) <= 6
        assert len([result async for result in results]) == 39


async def test_two_roots_share_the_pool(served, make_jobs):
    order = []

    async def consume(pool: WorkerPool, name: str, count: int) -> None:
        async for _ in pool.process(make_jobs(*("sleep=0.002" for _ in range(count)))):
            order.append(name)

    async with served(count=1) as pool, anyio.create_task_group() as tasks:
        tasks.start_soon(consume, pool, "large", 300)
        await eventually(lambda: order.count("large") >= 20)
        tasks.start_soon(consume, pool, "small", 40)
    after = order[order.index("small") :]
    small = after[: len(after) - after[::-1].index("small")]
    assert Counter(small)["large"] <= 60  # they alternate, although "large" came first and has 280 left


async def test_leaving_drops_the_rest(served, make_jobs):
    async with served(count=1) as pool:
        async for _ in pool.process(make_jobs(*(f"f{n}" for n in range(50)), "sleep")):
            break
        assert [result.job_id async for result in pool.process(make_jobs("other"))] == [0]
        assert pool.stats.waiting == 0
        assert pool.stats.answered < 50


async def test_an_error_of_the_source_reaches_the_consumer(served, make_jobs):
    def source():
        yield from make_jobs("a")
        raise LookupError("the catalog is gone")

    async with served() as pool:
        with pytest.raises(LookupError, match="gone"):
            [result async for result in pool.process(source())]
        assert len([result async for result in pool.process(make_jobs("a"))]) == 1


async def test_urgent_jobs_do_not_wait_behind_bulk_and_run_at_normal_priority(served, make_jobs):
    async with (
        served(count=1) as pool,
        aclosing(pool.process(make_jobs("sleep=3600"))) as bulk,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(anext, bulk, None)
        urgent = [result async for result in pool.process(make_jobs("save"), urgent=True)]
        tasks.cancel_scope.cancel()
    assert urgent[0].reason == f"nice {os.getpriority(os.PRIO_PROCESS, 0)}"


async def test_bulk_jobs_run_at_idle_priority(served, make_jobs):
    async with served(count=1, nice=19) as pool:
        results = [result async for result in pool.process(make_jobs("a"))]
        assert psutil.Process(pool.stats.pids[0]).ionice().ioclass == psutil.IOPRIO_CLASS_IDLE
    assert results[0].reason == "nice 19"


async def test_bulk_jobs_run_at_normal_priority_while_somebody_waits(served, make_jobs):
    normal = f"nice {os.getpriority(os.PRIO_PROCESS, 0)}"
    async with served(count=1, nice=19) as pool:
        with pool.at_normal_priority():
            assert [result.reason async for result in pool.process(make_jobs("a"))] == [normal]
        assert [result.reason async for result in pool.process(make_jobs("a"))] == ["nice 19"]
        assert pool.stats.started == 1, "the same worker lowered its priority"
        with pool.at_normal_priority(), pool.at_normal_priority():
            assert [result.reason async for result in pool.process(make_jobs("a"))] == [normal]
        assert pool.stats.started == 2, "no worker can raise its own"
        assert [result.reason async for result in pool.process(make_jobs("a"))] == ["nice 19"]


async def test_work_that_is_waited_for_does_not_yield_to_other_programs(served, make_jobs):
    busy = Pressure(cpu_some=90.0, foreground=float(os.cpu_count() or 1))
    async with (
        served(count=2, pressure=lambda: busy) as pool,
        aclosing(pool.process(make_jobs("sleep=3600"))) as bulk,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(anext, bulk, None)
        await eventually(lambda: pool.stats.allowed == 1)
        with pool.at_normal_priority():
            await eventually(lambda: pool.stats.allowed == 2)
        tasks.cancel_scope.cancel()


async def test_count_zero_means_one_worker_and_one_file_at_a_time(served, make_jobs):
    async with served(count=0) as pool:
        stream = pool.process(make_jobs(*(f"f{n}" for n in range(20))))
        most = 0
        async for _ in stream:
            most = max(most, pool.stats.running)
        urgent = [result async for result in pool.process(make_jobs("save"), urgent=True)]
        assert most <= 1
        assert len(urgent) == 1
        assert pool.stats.started == 1


async def test_texts(served):
    ranges = (TextRange(0, 5, b"h" * 16), TextRange(5, 9, b"i" * 16))
    job = TextsJob(7, b"/r", b"a", b"l" * 16, ranges)
    async with served() as pool:
        results = [result async for result in pool.texts([job])]
    assert [(result.job_id, result.status, result.texts) for result in results] == [(7, TextsStatus.OK, ["0-5", "5-9"])]


async def test_idle_workers_end_and_are_started_again(served, make_jobs):
    async with served(timing=Timing(bulk_idle_s=0.1, warm_idle_s=0.1)) as pool:
        for round_ in (1, 2):
            assert len([r async for r in pool.process(make_jobs("a"))]) == 1
            assert len([r async for r in pool.process(make_jobs("a"), urgent=True)]) == 1
            await eventually(lambda: not pool.stats.workers)
            assert pool.stats.started == 2 * round_
        assert pool.stats.restarts == 0


async def test_resize_up_and_down(served, make_jobs):
    async with served(count=1) as pool:
        await pool.resize(3)
        assert len([r async for r in pool.process(make_jobs(*("sleep=0.005" for _ in range(200))))]) == 200
        assert pool.stats.started == 3
        await pool.resize(1)
        await eventually(lambda: pool.stats.workers <= 1)
        assert len([r async for r in pool.process(make_jobs("a"))]) == 1
        await pool.resize(0)
        assert len([r async for r in pool.process(make_jobs("a"))]) == 1


async def test_on_battery_one_bulk_worker_works(served, make_jobs):
    files = make_jobs(*("sleep=0.01" for _ in range(200)))
    async with (
        served(count=3, pressure=lambda: Pressure(is_on_battery=True)) as pool,
        aclosing(pool.process(files)) as stream,
    ):
        while pool.stats.allowed > 1:
            await anext(stream)
        for _ in range(13):  # the jobs that the others had already
            await anext(stream)
        assert len({(await anext(stream)).leaf for _ in range(30)}) == 1


async def test_a_growing_worker_is_replaced_after_its_file(served, make_jobs):
    async with served(count=1, recycle_bytes=40 << 20) as pool:
        results = [r async for r in pool.process(make_jobs(*(f"grow-{n}" for n in range(12))))]
        assert len(results) == 12
        assert pool.stats.recycled >= 2
        assert pool.stats.restarts == 0
    assert len({result.leaf for result in results}) >= 3


async def test_stopping_ends_callers_and_processes(served, make_jobs):
    caught = []

    async def consume(pool: WorkerPool) -> None:
        try:
            [r async for r in pool.process(make_jobs("hang", "b"))]
        except ShuttingDownError as error:
            caught.append(error)

    async with anyio.create_task_group() as tasks, served() as pool:
        tasks.start_soon(consume, pool)
        await eventually(lambda: pool.stats.busy)
        pids = pool.stats.pids
        began = anyio.current_time()
    assert anyio.current_time() - began < 1.0
    assert len(caught) == 1
    assert not any(psutil.pid_exists(pid) for pid in pids)
    with pytest.raises(ShuttingDownError):
        [r async for r in pool.process(make_jobs("a"))]
