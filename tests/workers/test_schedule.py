"""The schedule alone: order, shares, strikes; no process, no clock."""

from __future__ import annotations

from collections import Counter

import pytest

from codeindexd.workers.jobs import FileJob, FileResult, FileStatus, TextRange, TextsJob, TextsResult, TextsStatus, cost
from codeindexd.workers.schedule import Call, JobLane, Schedule, WorkerSlot


def submit(schedule: Schedule, call: Call, *names: str, size: int = 1000) -> None:
    for name in names:
        schedule.submit(call, FileJob(hash(name), b"/", name.encode(), size))


def bulk() -> WorkerSlot:
    return WorkerSlot((JobLane.BULK,), 0.0)


def names(worker: WorkerSlot) -> list[str]:
    return [ticket.job.path.decode() for ticket in worker.running]


def answer(schedule: Schedule, worker: WorkerSlot, now: float = 0.0) -> str:
    job = worker.running[0].job
    schedule.record_answer(worker, FileResult(job.job_id, job.path, FileStatus.INDEXED), now)
    return job.path.decode()


def test_depth_and_bytes_limit_what_is_sent_ahead():
    schedule = Schedule(depth=3, ahead_bytes=100_000)
    call = schedule.open(JobLane.BULK)
    submit(schedule, call, *"abcde")
    worker = bulk()
    schedule.assign(worker, 5.0)
    assert names(worker) == ["a", "b", "c"]
    assert worker.since == 5.0
    answer(schedule, worker, 6.0)
    schedule.assign(worker, 7.0)
    assert names(worker) == ["b", "c", "d"]
    assert worker.since == 6.0  # "b" began when "a" ended
    large = schedule.open(JobLane.BULK)
    submit(schedule, large, "x", "y", size=200_000)
    other = bulk()
    schedule.assign(other, 7.0)
    assert len(other.running) <= 2


def test_lanes_are_kept_apart_and_ordered():
    schedule = Schedule()
    submit(schedule, schedule.open(JobLane.BULK), "bulk")
    submit(schedule, schedule.open(JobLane.URGENT), "urgent")
    worker, both = bulk(), WorkerSlot((JobLane.URGENT, JobLane.BULK), 0.0)
    schedule.assign(both, 0.0)
    assert names(both) == ["urgent", "bulk"]
    assert schedule.assign(worker, 0.0) == []


def test_calls_share_by_bytes():
    schedule = Schedule(depth=1)
    small, large, worker = schedule.open(JobLane.BULK), schedule.open(JobLane.BULK), bulk()
    submit(schedule, small, *(f"s{n}" for n in range(40)), size=10_000)
    submit(schedule, large, *(f"l{n}" for n in range(40)), size=98_000)
    served: Counter[str] = Counter()
    while small.pending:
        schedule.assign(worker, 0.0)
        served[answer(schedule, worker)[0]] += 1
    assert served["s"] == 40
    assert 4 <= served["l"] <= 7


def test_a_late_call_starts_level_with_the_others():
    schedule = Schedule(depth=1)
    first, worker = schedule.open(JobLane.BULK), bulk()
    submit(schedule, first, *(f"f{n}" for n in range(20)))
    for _ in range(10):
        schedule.assign(worker, 0.0)
        answer(schedule, worker)
    second = schedule.open(JobLane.BULK)
    submit(schedule, second, *(f"s{n}" for n in range(10)))
    order = ""
    for _ in range(10):
        schedule.assign(worker, 0.0)
        order += answer(schedule, worker)[0]
    assert Counter(order) == {"f": 5, "s": 5}


def test_the_first_job_without_an_answer_is_the_culprit_and_the_others_continue_in_order():
    schedule = Schedule(depth=4)
    call, worker = schedule.open(JobLane.BULK), bulk()
    submit(schedule, call, *"abcdef")
    schedule.assign(worker, 0.0)
    answer(schedule, worker)
    culprit = schedule.record_loss(worker, "signal SIGSEGV")
    assert culprit is not None
    assert culprit.job.path == b"b"
    assert [ticket.job.path for ticket in call.pending] == [b"c", b"d", b"e", b"f", b"b"]
    assert schedule.assign(worker, 0.0) == []


def test_a_suspect_runs_alone_and_is_given_up_after_a_second_strike():
    schedule = Schedule(depth=4)
    call = schedule.open(JobLane.BULK)
    submit(schedule, call, "bad", "good")
    first, second = bulk(), bulk()
    schedule.assign(first, 0.0)
    schedule.record_loss(first, "exit status 1")
    schedule.assign(second, 0.0)
    assert names(second) == ["good"]  # not together with the suspect
    answer(schedule, second)
    schedule.assign(second, 0.0)
    submit(schedule, call, "later")
    schedule.assign(second, 0.0)
    assert names(second) == ["bad"]
    schedule.record_loss(second, "exit status 1")
    results = {result.path: result for result, _ in call.results}
    assert results[b"bad"].quarantined
    assert "exit status 1" in results[b"bad"].error
    assert [ticket.job.path for ticket in call.pending] == [b"later"]


def test_a_closed_call_leaves_nothing_behind():
    schedule = Schedule()
    call, worker = schedule.open(JobLane.BULK), bulk()
    submit(schedule, call, *"abcdef")
    schedule.assign(worker, 0.0)
    schedule.close(call)
    answer(schedule, worker)
    schedule.record_loss(worker, "")
    assert not call.pending
    assert not call.results
    assert schedule.waiting((JobLane.BULK,)) == (0, 0)


def test_a_call_is_finished_when_all_results_were_taken():
    schedule = Schedule()
    call, worker = schedule.open(JobLane.BULK), bulk()
    submit(schedule, call, "a")
    call.exhausted = True
    assert not call.is_finished
    schedule.assign(worker, 0.0)
    answer(schedule, worker)
    assert not call.is_finished
    assert call.take().path == b"a"
    assert call.is_finished
    assert call.held_cost == 0


def test_a_foreign_answer_is_refused():
    schedule = Schedule()
    worker = bulk()
    with pytest.raises(ValueError, match="out of order"):
        schedule.record_answer(worker, TextsResult(1, b"a", TextsStatus.OK), 0.0)
    assert schedule.record_loss(worker, "") is None


def test_cost_counts_the_requested_bytes():
    wanted = TextsJob(1, b"/", b"a", b"", (TextRange(10, 30, b""), TextRange(40, 50, b"")))
    assert cost(wanted) - cost(TextsJob(1, b"/", b"a", b"", ())) == 30
    assert cost(FileJob(1, b"/", b"a", 5000)) - cost(FileJob(1, b"/", b"a", 1000)) == 4000
