"""Files that end, stall or bloat their worker, and workers that cannot be started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import anyio
import psutil
import pytest

from codeindexd.errors import WorkerError
from codeindexd.workers.jobs import FileStatus, TextRange, TextsJob, TextsStatus

pytestmark = [pytest.mark.anyio, pytest.mark.processes]


@pytest.mark.parametrize(
    ("verb", "cause"),
    [("exit", "exit status 3"), ("kill", "SIGKILL"), ("abort", "SIGABRT"), ("segv", "SIGSEGV"), ("hog", "memory")],
)
async def test_a_poison_file_is_named_and_affects_no_other(served, make_jobs, verb, cause):
    names = [f"f{n}" for n in range(60)]
    names[10] = verb
    async with served(count=2, memory_limit_bytes=256 << 20) as pool:
        results = {r.job_id: r async for r in pool.process(make_jobs(*names))}
        assert pool.stats.restarts == 2
    assert sorted(results) == list(range(60))
    poison = results.pop(10)
    assert (poison.status, poison.stage, poison.quarantined) == ("failed", "worker", True)
    assert verb in poison.error
    assert cause in poison.error
    assert all(result.status is FileStatus.INDEXED and not result.quarantined for result in results.values())


@pytest.mark.parametrize("verb", ["hang", "sleep"])
async def test_a_file_that_stalls_is_stopped_by_its_budget(served, make_jobs, verb):
    async with served(count=1, file_budget_s=0.3) as pool:
        results = {r.path: r async for r in pool.process(make_jobs("a", verb, "b", "c", "d"))}
    assert results.pop(verb.encode()).quarantined
    assert all(result.status is FileStatus.INDEXED for result in results.values())
    assert len(results) == 4


async def test_many_poison_files_at_once(served, make_jobs):
    names = ["a", *(f"exit-{n}" for n in range(7)), "b", *(f"f{n}" for n in range(20))]
    async with served(count=2) as pool:
        results = {r.path: r async for r in pool.process(make_jobs(*names))}
    assert {p.decode() for p, r in results.items() if r.quarantined} == {f"exit-{n}" for n in range(7)}
    assert len(results) == len(names)


async def test_a_file_that_dies_once_is_indexed(served, make_jobs, tmp_path):
    name = f"once={str(tmp_path / 'marker').encode().hex()}"
    async with served(count=1) as pool:
        results = [r async for r in pool.process(make_jobs("a", name, "b"))]
        assert pool.stats.restarts == 1
    assert [r.status for r in results] == ["indexed"] * 3


async def test_an_exception_becomes_a_result_and_the_worker_lives(served, make_jobs):
    async with served(count=1) as pool:
        results = {r.path: r async for r in pool.process(make_jobs("raise", "a"))}
        assert pool.stats.restarts == 0
    assert results[b"raise"].status is FileStatus.FAILED
    assert results[b"raise"].error.startswith("ValueError (")
    assert "such thing" not in results[b"raise"].error, "a message may quote the file"
    assert not results[b"raise"].quarantined


async def test_output_of_libraries_does_not_reach_the_pipe(served, make_jobs):
    async with served(count=1) as pool:
        assert [r.status async for r in pool.process(make_jobs("print", "a"))] == ["indexed", "indexed"]


async def test_a_poisonous_texts_job(served):
    job = TextsJob(1, b"/r", b"exit", b"l" * 16, (TextRange(0, 1, b"h" * 16),))
    async with served(count=1) as pool:
        results = [r async for r in pool.texts([job])]
    assert results[0].status is TextsStatus.FAILED
    assert "exit" in results[0].error


async def test_a_worker_killed_while_idle_is_replaced(served, make_jobs):
    async with served(count=1) as pool:
        assert len([r async for r in pool.process(make_jobs("a"))]) == 1
        os.kill(pool.stats.pids[0], signal.SIGKILL)
        assert [r.status async for r in pool.process(make_jobs("b", "c"))] == ["indexed", "indexed"]


async def test_a_stopped_worker_does_not_outlive_the_pool(served, make_jobs):
    async with served(count=1) as pool:
        assert len([r async for r in pool.process(make_jobs("a"))]) == 1
        pid = pool.stats.pids[0]
        os.kill(pid, signal.SIGSTOP)
        began = anyio.current_time()
    assert anyio.current_time() - began < 1.0
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("pipeline", ["Broken", "Cursed", "NoSuchName"])
async def test_a_broken_installation_is_an_error_without_endless_retries(served, make_jobs, pipeline):
    async with served(pipeline, count=2) as pool:
        with pytest.raises(WorkerError) as caught:
            [r async for r in pool.process(make_jobs(*(f"f{n}" for n in range(30))))]
        started = pool.stats.started
        assert started <= 16
        with pytest.raises(WorkerError):
            [r async for r in pool.process(make_jobs("a"))]
        assert pool.stats.started <= started + 2
    assert caught.value.hint
    if pipeline == "Broken":
        assert "libmissing.so" in caught.value.message


async def test_a_missing_interpreter_is_an_error(served, make_jobs, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    async with served() as pool:
        with pytest.raises(WorkerError, match="No such file"):
            [r async for r in pool.process(make_jobs("a"))]


def test_no_orphan_survives_a_killed_daemon(tmp_path):
    script = tmp_path / "daemon.py"
    script.write_text(
        textwrap.dedent("""
        import anyio
        from codeindexd.workers.jobs import FileJob, WorkerSettings
        from codeindexd.workers.pool import WorkerPool

        async def consume(pool, urgent):
            async for _ in pool.process([FileJob(0, b"/", b"hang"), FileJob(1, b"/", b"a")], urgent=urgent):
                pass

        async def main():
            pool = WorkerPool(WorkerSettings(), count=2, pipeline="workers.scripted_pipelines:Scripted")
            async with anyio.create_task_group() as tasks:
                await tasks.start(pool.serve)
                tasks.start_soon(consume, pool, False)
                tasks.start_soon(consume, pool, True)
                while pool.stats.busy < 2:
                    await anyio.sleep(0.01)
                print(*pool.stats.pids, flush=True)

        anyio.run(main)
        """)
    )
    package = os.path.dirname(os.path.dirname(sys.modules["codeindexd"].__file__))  # noqa: PTH120
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((os.environ["PYTHONPATH"], package))}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=env) as daemon:
        assert daemon.stdout is not None
        pids = [int(word) for word in daemon.stdout.readline().split()]
        assert len(pids) == 2
        assert all(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)
        daemon.kill()
    deadline = time.monotonic() + 5
    while any(_alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE  # pid 1 reaps it
    except psutil.NoSuchProcess:
        return False
