"""Which job goes to which worker: decided synchronously, without processes, clocks or waiting.

A `Call` is one caller's stream of jobs. Calls of a lane share its workers by start-time fair queueing: the next job
comes from the call that has been served the fewest bytes. A worker answers in order, so if it is lost, the first job
without an answer is the culprit. It is retried once, alone, after the rest of its call. The other jobs of that worker
go back to the front of their queues, unnoticed by their callers.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, field

from codeindexd.workers import jobs
from codeindexd.workers.jobs import Job, Result

MAX_STRIKES = 2


class Lane(enum.Enum):
    """The kind of worker that a call needs."""

    BULK = "bulk"
    URGENT = "urgent"


@dataclass(slots=True, eq=False)
class Task:
    """A job in progress: its call, its cost in bytes, and the number of workers it has ended."""

    call: Call
    job: Job
    cost: int
    strikes: int = 0


@dataclass(slots=True, eq=False)
class Call:
    """One caller's jobs. ``held`` and ``held_cost`` count what the caller gave and has not got back."""

    lane: Lane
    pending: deque[Task] = field(default_factory=deque)
    results: deque[tuple[Result, int]] = field(default_factory=deque)
    held: int = 0
    held_cost: int = 0
    served: int = 0
    exhausted: bool = False  # no more jobs will come
    closed: bool = False
    error: Exception | None = None

    @property
    def is_finished(self) -> bool:
        """True once every job was given back and no more will come."""
        return self.exhausted and not self.held

    def take(self) -> Result:
        """Return one result to the caller, which makes room for another job."""
        result, cost = self.results.popleft()
        self.held -= 1
        self.held_cost -= cost
        return result


@dataclass(slots=True, eq=False)
class Worker:
    """One worker as the schedule sees it. ``since`` is when its present job began, or when it ran out of jobs."""

    lanes: tuple[Lane, ...]
    since: float
    running: deque[Task] = field(default_factory=deque)
    answers: int = 0
    retiring: bool = False


class Schedule:
    """All calls and workers. ``depth`` and ``ahead_bytes`` limit what is sent to a worker before it answers."""

    def __init__(self, *, depth: int = 4, ahead_bytes: int = 256 * 1024) -> None:
        self.depth = depth
        self.ahead_bytes = ahead_bytes
        self.answers = 0
        self._calls: list[Call] = []

    def open(self, lane: Lane) -> Call:
        """Open a call; it starts level with the least served one of its lane."""
        served = min((call.served for call in self._active(lane)), default=0)
        call = Call(lane, served=served)
        self._calls.append(call)
        return call

    def close(self, call: Call) -> None:
        """Forget a call: drop its pending jobs, and discard answers still to come."""
        call.closed = True
        call.pending.clear()
        call.results.clear()
        if call in self._calls:
            self._calls.remove(call)

    def calls(self, lanes: tuple[Lane, ...]) -> list[Call]:
        """Return the open calls of ``lanes``."""
        return [call for call in self._calls if call.lane in lanes]

    def submit(self, call: Call, job: Job) -> None:
        """Queue a job."""
        task = Task(call, job, jobs.cost(job))
        call.held += 1
        call.held_cost += task.cost
        call.pending.append(task)

    def waiting(self, lanes: tuple[Lane, ...]) -> tuple[int, int]:
        """Return (jobs, bytes) that no worker has yet."""
        tasks = [task for call in self._calls if call.lane in lanes for task in call.pending]
        return len(tasks), sum(task.cost for task in tasks)

    def assign(self, worker: Worker, now: float) -> list[Task]:
        """Give ``worker`` what it may take now; send it the returned tasks in this order."""
        given = []
        while not worker.retiring and (task := self._next(worker)) is not None:
            if not worker.running:
                worker.since = now
            worker.running.append(task)
            given.append(task)
        return given

    def answered(self, worker: Worker, result: Result, now: float) -> Call:
        """Record the answer to the worker's first job. Raises ValueError if it answers another job."""
        if not worker.running or worker.running[0].job.job_id != result.job_id:
            raise ValueError("it answered another job than its first")
        task = worker.running.popleft()
        worker.since = now
        worker.answers += 1
        self.answers += 1
        self._deliver(task, result)
        return task.call

    def lost(self, worker: Worker, cause: str) -> Task | None:
        """Record the loss of a worker. Return the culprit, now with a strike more, or None if it had no job."""
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

    def _deliver(self, task: Task, result: Result) -> None:
        if not task.call.closed:
            task.call.results.append((result, task.cost))

    def _active(self, lane: Lane) -> list[Call]:
        return [call for call in self._calls if call.lane is lane and call.held]

    def _next(self, worker: Worker) -> Task | None:
        running = worker.running
        if running and (
            len(running) >= self.depth or running[0].strikes or sum(task.cost for task in running) >= self.ahead_bytes
        ):
            return None
        for lane in worker.lanes:
            waiting = [call for call in self._calls if call.lane is lane and call.pending]
            if not waiting:
                continue
            call = min(waiting, key=lambda one: one.served)
            if call.pending[0].strikes and running:
                return None  # a suspect is retried alone
            task = call.pending.popleft()
            call.served += task.cost
            return task
        return None
