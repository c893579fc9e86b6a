"""Queued files become commits: one bad file never costs another, failures are retried, the newest content wins."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
import xxhash

from codeindexd.indexing.ingest import Ingest
from codeindexd.indexing.problems import ProblemKey, RootProblem, RootProblems
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.storage.vectors import VectorStore
from codeindexd.types import Entry, FileStat, FileUpdate, Move, NodeKind, Outcome, Transaction, VectorSpace
from codeindexd.workers.jobs import WorkerSettings
from codeindexd.workers.pool import WorkerPool
from support.places import TESTS
from support.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.processes]


class Bench:
    """An ingest over real stores and real workers, whose pipeline does what a file's name says."""

    def __init__(self, index: IndexWriter, pool: WorkerPool) -> None:
        self.index = index
        self.pool = pool
        self.on_commit: Callable[[], None] = lambda: None
        self.hints: list[bytes] = []
        self.checks: list[bytes] = []
        self.problems: list[tuple[ProblemKey, RootProblem]] = []
        self.ingest = Ingest(
            b"/nowhere",
            index,
            pool,
            RootProblems(lambda key, problem: self.problems.append((key, problem)) if problem else None),
            on_hint=self.hints.extend,
            on_check=self.checks.extend,
            on_commit=lambda: self.on_commit(),
        )

    async def process(self, *names: str, force: bool = False) -> None:
        """Submit files and wait until all are committed or recorded as failed."""
        self.ingest.submit([], [entry(name) for name in names], force=force)
        with anyio.fail_after(60):
            await self.ingest.wait_until_drained()

    def outcome(self, name: str) -> Outcome | None:
        with self.index.catalog.snapshot() as snapshot:
            file = snapshot.file(name.encode())
        return file.outcome if file else None


def entry(name: str, content: str = "") -> Entry:
    return Entry(name.encode(), NodeKind.FILE, xxhash.xxh3_128_digest((name + content).encode()), FileStat(3, 1, 2, 3))


@asynccontextmanager
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    vectors = VectorStore.open(tmp_path / "vectors.db")
    index = IndexWriter(tmp_path / "root", root_id="id", vectors=vectors, space=VectorSpace("space", 256))
    pool = WorkerPool(WorkerSettings(nice=0, file_budget_s=5), count=2, pipeline="workers.scripted_pipelines:Steady")
    async with anyio.create_task_group() as tasks:
        await tasks.start(pool.serve)
        made = Bench(index, pool)
        tasks.start_soon(made.ingest.serve)
        try:
            yield made
        finally:
            tasks.cancel_scope.cancel()
    index.close()
    vectors.close()


async def test_one_bad_file_never_costs_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    innocents = [f"file{number}" for number in range(50)]
    async with bench(tmp_path, monkeypatch) as made:
        before = time.time_ns()
        await made.process(*innocents[:25], "kill-1", "raise", *innocents[25:])
        assert {made.outcome(name) for name in innocents} == {Outcome.INDEXED}
        assert made.outcome("kill-1") is Outcome.FAILED
        assert made.outcome("raise") is Outcome.FAILED
        failures = {failure.path: failure for failure in made.index.catalog.failures()}
        assert set(failures) == {b"kill-1", b"raise"}
        assert failures[b"kill-1"].quarantined
        assert failures[b"kill-1"].next_retry_ns == 0, "only a change of the file brings it back"
        assert failures[b"raise"].attempts == 1
        assert before + 30e9 <= failures[b"raise"].next_retry_ns <= time.time_ns() + 30e9
        error = failures[b"raise"].error
        assert error.startswith("ValueError (scripted_pipelines.py:"), "the text could quote the file"
        assert "such thing" not in error


async def test_each_failure_waits_longer_and_a_removal_clears_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path, monkeypatch) as made:
        for attempt in (1, 2, 3):
            await made.process("raise", force=True)
            (failure,) = made.index.catalog.failures()
            assert failure.attempts == attempt
            assert failure.next_retry_ns > time.time_ns() + 30e9 * 2 ** (attempt - 1) - 10e9
        await made.process("fine")
        made.ingest.submit([Transaction(removals=[b"raise"])], [], [b"raise"])
        await made.ingest.wait_until_drained()
        assert made.index.catalog.failures() == []


async def test_a_removal_wins_over_a_file_in_flight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(tmp_path, monkeypatch) as made:
        made.ingest.submit([], [entry("sleep=0.3")])
        made.ingest.submit([Transaction(removals=[b"sleep=0.3"])], [], [b"sleep=0.3"])
        await made.process("after")
        assert made.outcome("sleep=0.3") is None, "it was removed while a worker had it"
        assert made.outcome("after") is Outcome.INDEXED
        assert made.ingest.is_idle


async def test_pause_holds_files_until_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(tmp_path, monkeypatch) as made:
        made.ingest.pause()
        made.ingest.submit([], [entry("file1")])
        with anyio.move_on_after(0.3) as waited:
            await made.ingest.wait_until_drained()
        assert waited.cancelled_caught
        assert made.outcome("file1") is None
        made.ingest.resume()
        with anyio.fail_after(30):
            await made.ingest.wait_until_drained()
        assert made.outcome("file1") is Outcome.INDEXED


async def test_pausing_twice_is_the_same_as_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(tmp_path, monkeypatch) as made:
        made.ingest.pause()
        made.ingest.submit([], [entry("file1")])
        await anyio.wait_all_tasks_blocked()
        made.ingest.pause()
        made.ingest.resume()
        with anyio.fail_after(30):
            await made.ingest.wait_until_drained()
        assert made.outcome("file1") is Outcome.INDEXED


async def test_drained_does_not_wait_for_a_removed_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(tmp_path, monkeypatch) as made:
        made.ingest.submit([], [entry("sleep=30")])
        with anyio.fail_after(20):
            async with anyio.create_task_group() as waiting:
                waiting.start_soon(made.ingest.wait_until_drained)
                await anyio.wait_all_tasks_blocked()
                made.ingest.submit([], [], [b"sleep=30"])
        assert made.ingest.is_idle


async def test_drained_does_not_wait_for_later_submissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(tmp_path, monkeypatch) as made:
        made.on_commit = lambda: made.ingest.submit([Transaction(removals=[b"never there"])], [])
        await made.process("file1")
        assert made.outcome("file1") is Outcome.INDEXED
        assert not made.ingest.is_idle


async def test_a_result_is_committed_after_an_earlier_removal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(tmp_path, monkeypatch) as made, anyio.create_task_group() as tasks:
        await made.process("again")
        unblock = threading.Event()
        tasks.start_soon(made.index.write, unblock.wait)
        made.ingest.submit([], [entry("saved")])
        await eventually(
            lambda: made.pool.stats.answered == 2 and made.ingest.queue_lengths()["apply"] == 0
        )  # its commit waits
        made.ingest.submit([Transaction(removals=[b"again"])], [], [b"again"])
        made.ingest.submit([], [entry("again", "2"), *(entry(f"file{number}") for number in range(40))])
        await eventually(lambda: made.ingest.queue_lengths()["apply"] == 42)
        unblock.set()
        with anyio.fail_after(60):
            await made.ingest.wait_until_drained()
        assert made.outcome("again") is Outcome.INDEXED


async def test_drained_waits_for_a_moved_file_whose_source_was_never_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path, monkeypatch) as made:
        made.ingest.submit([Transaction(moves=[Move(b"gone", entry("file1"))])], [], [b"gone"])
        with anyio.fail_after(60):
            await made.ingest.wait_until_drained()
        assert made.outcome("file1") is Outcome.INDEXED


async def test_a_file_that_keeps_changing_is_still_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(tmp_path, monkeypatch) as made, anyio.create_task_group() as tasks:

        async def change() -> None:
            for number in itertools.count():
                made.ingest.submit([], [entry("sleep=0.2", str(number))])
                await anyio.sleep(0.05)

        tasks.start_soon(change)
        await eventually(lambda: made.ingest.queue.last_number > 2)
        with anyio.fail_after(60):
            await made.ingest.wait_until_drained()
        assert made.outcome("sleep=0.2") is Outcome.INDEXED
        tasks.cancel_scope.cancel()


async def test_a_file_that_differs_from_its_scan_is_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been changed back before the scan, and then no event comes."""
    async with bench(tmp_path, monkeypatch) as made:
        made.ingest.submit([], [entry("file", "as it was for a moment")])
        number = made.ingest.queue.last_number
        with anyio.fail_after(60):
            await made.ingest.wait_until_drained()
        assert made.outcome("file") is Outcome.INDEXED
        assert made.ingest.queue.last_number == number + 1
        assert made.hints == [b"file"]
        await made.process("file2")
        assert made.hints == [b"file"]


async def test_wait_for_transactions_returns_the_files_in_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path, monkeypatch) as made:
        made.ingest.submit([], [entry("sleep=0.3")])
        made.ingest.submit([Transaction(directories=[Entry(b"directory", NodeKind.DIRECTORY, b"")])], [])
        with anyio.fail_after(60):
            while not made.ingest.queue.in_flight:
                await anyio.lowlevel.checkpoint()
            assert [task.path for task in await made.ingest.wait_for_transactions()] == [b"sleep=0.3"]
            assert made.index.catalog.tree().node(b"directory") is not None
            await made.ingest.wait_until_drained()
            assert await made.ingest.wait_for_transactions() == []
            await made.ingest.wait_for_commit()


async def test_a_path_that_became_skipped_is_not_replaced_by_an_earlier_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path, monkeypatch) as made:
        made.ingest.submit([], [entry("sleep=0.3")])
        skipped = Entry(b"sleep=0.3", NodeKind.SKIPPED, b"h" * 16, None, "oversized")
        made.ingest.submit([Transaction(updates=[FileUpdate(skipped, Outcome.SKIPPED, reason="oversized")])], [])
        await made.process("after")
        assert made.outcome("sleep=0.3") is Outcome.SKIPPED
        assert made.ingest.is_idle


async def test_new_stats_alone_change_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(tmp_path, monkeypatch) as made:
        await made.process("a")
        made.ingest.pause()
        made.ingest.submit([Transaction(touched=(entry("a"),))], [])
        assert not made.ingest.is_idle
        assert not made.ingest.has_changes
        made.ingest.submit([Transaction(removals=(b"a",))], [])
        assert made.ingest.has_changes
        made.ingest.resume()
        with anyio.fail_after(60):
            await made.ingest.wait_until_drained()
        assert not made.ingest.has_changes
