"""Decides which job goes to which worker, without processes, clocks or waiting.

A call is one caller's stream of jobs. Calls of a lane share its workers by start-time fair queueing: the next job is
taken from the call that has been served the fewest bytes. A worker answers in order, so if it is lost, the first job
without an answer is the culprit. The culprit is retried once, alone, after the rest of its call. The other jobs of that
worker return to the front of their queues, unnoticed by their callers.
"""

from __future__ import annotations

import enum
from collections import deque

from msgspec import Struct, field

from codeindexd.workers import jobs
from codeindexd.workers.jobs import Job, Result

MAX_STRIKES = 2


class JobLane(enum.Enum):
    """The kind of workers that process a call: bulk workers, or the one for urgent jobs."""

    BULK = "bulk"
    URGENT = "urgent"


class ScheduledJob(Struct, eq=False):
    """A job of a call, with its cost in bytes, and the number of workers that it has ended (``strikes``)."""

    call: Call
    job: Job
    cost: int
    strikes: int = 0


class Call(Struct, eq=False):
    """The jobs of one caller. ``held`` counts jobs whose results were not taken yet; ``held_cost`` is their cost."""

    lane: JobLane
    pending: deque[ScheduledJob] = field(default_factory=deque)
    results: deque[tuple[Result, int]] = field(default_factory=deque)
    held: int = 0
    held_cost: int = 0
    served: int = 0
    exhausted: bool = False  # no more jobs will come
    closed: bool = False
    error: Exception | None = None

    @property
    def is_finished(self) -> bool:
        """True once all results were taken and no more jobs will come."""
        return self.exhausted and not self.held

    def take(self) -> Result:
        """Remove and return one result, which makes room for another job."""
        result, cost = self.results.popleft()
        self.held -= 1
        self.held_cost -= cost
        return result


class WorkerSlot(Struct, eq=False):
    """A worker, as the schedule sees it. ``since`` is when its present job began, or when it ran out of jobs."""

    lanes: tuple[JobLane, ...]
    since: float
    running: deque[ScheduledJob] = field(default_factory=deque)
    answers: int = 0
    retiring: bool = False


class Schedule:
    """All calls. A worker is given at most ``depth`` jobs and about ``ahead_bytes`` bytes before it answers."""

    def __init__(self, *, depth: int = 4, ahead_bytes: int = 256 * 1024) -> None:
        self.depth = depth
        self.ahead_bytes = ahead_bytes
        self.answers = 0
        self._calls: list[Call] = []

    def open(self, lane: JobLane) -> Call:
        """Open a call; it counts as having been served as much as the least served active call of its lane."""
        served = min((call.served for call in self._active(lane)), default=0)
        call = Call(lane, served=served)
        self._calls.append(call)
        return call

    def close(self, call: Call) -> None:
        """Close a call: drop its pending jobs, and discard later answers."""
        call.closed = True
        call.pending.clear()
        call.results.clear()
        if call in self._calls:
            self._calls.remove(call)

    def calls(self, lanes: tuple[JobLane, ...]) -> list[Call]:
        """Return the open calls of ``lanes``."""
        return [call for call in self._calls if call.lane in lanes]

    def submit(self, call: Call, job: Job) -> None:
        """Queue a job of ``call``."""
        task = ScheduledJob(call, job, jobs.cost(job))
        call.held += 1
        call.held_cost += task.cost
        call.pending.append(task)

    def waiting(self, lanes: tuple[JobLane, ...]) -> tuple[int, int]:
        """Return the number and the cost in bytes of the jobs that have not been given to a worker."""
        tasks = [task for call in self._calls if call.lane in lanes for task in call.pending]
        return len(tasks), sum(task.cost for task in tasks)

    def assign(self, worker: WorkerSlot, now: float) -> list[ScheduledJob]:
        """Assign to ``worker`` the tasks that it may take now, and return them in the order in which to send them."""
        given = []
        while not worker.retiring and (task := self._next(worker)) is not None:
            if not worker.running:
                worker.since = now
            worker.running.append(task)
            given.append(task)
        return given

    def record_answer(self, worker: WorkerSlot, result: Result, now: float) -> Call:
        """Record the answer to the worker's first job, and return its call.

        Raises ValueError if the answer is for a different job.
        """
        if not worker.running or worker.running[0].job.job_id != result.job_id:
            raise ValueError("it answered a job out of order")
        task = worker.running.popleft()
        worker.since = now
        worker.answers += 1
        self.answers += 1
        self._deliver(task, result)
        return task.call

    def record_loss(self, worker: WorkerSlot, cause: str) -> ScheduledJob | None:
        """Record the loss of a worker, and return the culprit with its strike counted; None if it had no job."""
        worker.retiring = True
        tasks = list(worker.running)
        worker.running.clear()
        if not tasks:
            return None
        culprit, *innocent = tasks
        for task in reversed(innocent):
            if not task.call.closed:
                task.call.pending.appendleft(task)
                task.call.served -= task.cost
        culprit.strikes += 1
        if culprit.strikes < MAX_STRIKES and not culprit.call.closed:
            culprit.call.pending.append(culprit)
        else:
            name = culprit.job.path.decode("utf-8", "backslashreplace")
            error = f"{name} ended its worker {culprit.strikes} times: {cause}"
            self._deliver(culprit, jobs.failed(culprit.job, error, quarantined=True))
        return culprit

    def _deliver(self, task: ScheduledJob, result: Result) -> None:
        if not task.call.closed:
            task.call.results.append((result, task.cost))

    def _active(self, lane: JobLane) -> list[Call]:
        return [call for call in self._calls if call.lane is lane and call.held]

    def _next(self, worker: WorkerSlot) -> ScheduledJob | None:
        running = worker.running
        if running and (
            len(running) >= self.depth or running[0].strikes or sum(task.cost for task in running) >= self.ahead_bytes
        ):
            return None
        for lane in worker.lanes:
            waiting = [call for call in self._calls if call.lane is lane and call.pending]
            if not waiting:
                continue
            call = min(waiting, key=lambda waiting_call: waiting_call.served)
            if call.pending[0].strikes and running:
                return None  # a suspect is retried alone
            task = call.pending.popleft()
            call.served += task.cost
            return task
        return None
