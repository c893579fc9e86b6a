"""Which job goes to which worker: decided synchronously, without processes, clocks or waiting.

A `Call` is one caller's stream of jobs. Calls of a lane share its workers by start-time fair queueing: the next job
comes from the call that has been served the fewest bytes. A worker answers in order, so when it is lost the first
job without an answer is the culprit; it is tried once more, alone, after the rest of its call. The others of that
worker go back to the front of their queues and nobody hears of it.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, field

from codeindexd.workers import jobs
from codeindexd.workers.jobs import Job, Result

MAX_STRIKES = 2


class Lane(enum.Enum):
    """What kind of worker a call wants."""

    BULK = "bulk"
    URGENT = "urgent"


@dataclass(slots=True, eq=False)
class Task:
    """A job on its way: whose it is, what it is accounted with, how many workers it has cost."""

    call: Call
    job: Job
    cost: int
    strikes: int = 0


@dataclass(slots=True, eq=False)
class Call:
    """One caller's jobs. ``held`` and ``held_cost`` count what the caller gave and has not got back yet."""

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
    def finished(self) -> bool:
        return self.exhausted and not self.held

    def take(self) -> Result:
        """Hands one result to the caller, which makes room for another job."""
        result, cost = self.results.popleft()
        self.held -= 1
        self.held_cost -= cost
        return result


@dataclass(slots=True, eq=False)
class Worker:
    """One worker as the schedule sees it. ``since``: when the job it works on began, or when it ran out of jobs."""

    lanes: tuple[Lane, ...]
    since: float
    running: deque[Task] = field(default_factory=deque)
    answers: int = 0
    retiring: bool = False


class Schedule:
    """All calls, all workers. ``depth`` and ``ahead_bytes`` bound what is sent to a worker before it answered."""

    def __init__(self, *, depth: int = 4, ahead_bytes: int = 256 * 1024) -> None:
        self.depth = depth
        self.ahead_bytes = ahead_bytes
        self.answers = 0
        self._calls: list[Call] = []

    def open(self, lane: Lane) -> Call:
        """A new call; it starts level with the least served one of its lane."""
        served = min((call.served for call in self._active(lane)), default=0)
        call = Call(lane, served=served)
        self._calls.append(call)
        return call

    def close(self, call: Call) -> None:
        """Forgets a call: pending jobs are dropped, answers still under way will be thrown away."""
        call.closed = True
        call.pending.clear()
        call.results.clear()
        if call in self._calls:
            self._calls.remove(call)

    def calls(self, lanes: tuple[Lane, ...]) -> list[Call]:
        """The open calls of ``lanes``."""
        return [call for call in self._calls if call.lane in lanes]

    def submit(self, call: Call, job: Job) -> None:
        """Queues a job."""
        ticket = Task(call, job, jobs.cost(job))
        call.held += 1
        call.held_cost += ticket.cost
        call.pending.append(ticket)

    def waiting(self, lanes: tuple[Lane, ...]) -> tuple[int, int]:
        """(jobs, bytes) that no worker has yet."""
        tickets = [ticket for call in self._calls if call.lane in lanes for ticket in call.pending]
        return len(tickets), sum(ticket.cost for ticket in tickets)

    def assign(self, worker: Worker, now: float) -> list[Task]:
        """Gives ``worker`` what it may take now; the tickets are to be sent in this order."""
        given = []
        while not worker.retiring and (ticket := self._next(worker)) is not None:
            if not worker.running:
                worker.since = now
            worker.running.append(ticket)
            given.append(ticket)
        return given

    def answered(self, worker: Worker, result: Result, now: float) -> Call:
        """Books an answer for the job at the head; raises ValueError when it is not that job's."""
        if not worker.running or worker.running[0].job.job_id != result.job_id:
            raise ValueError("an answer to a question that was not asked")
        ticket = worker.running.popleft()
        worker.since = now
        worker.answers += 1
        self.answers += 1
        self._deliver(ticket, result)
        return ticket.call

    def lost(self, worker: Worker, cause: str) -> Task | None:
        """Books the end of a worker; returns the culprit, which has its strike, or None when it had no job."""
        worker.retiring = True
        tickets = list(worker.running)
        worker.running.clear()
        if not tickets:
            return None
        culprit, *innocent = tickets
        for ticket in reversed(innocent):
            if not ticket.call.closed:
                ticket.call.pending.appendleft(ticket)
                ticket.call.served -= ticket.cost
        culprit.strikes += 1
        if culprit.strikes < MAX_STRIKES and not culprit.call.closed:
            culprit.call.pending.append(culprit)
        else:
            name = culprit.job.path.decode("utf-8", "backslashreplace")
            error = f"{name} ended its worker {culprit.strikes} times: {cause}"
            self._deliver(culprit, jobs.failed(culprit.job, error, quarantined=True))
        return culprit

    def _deliver(self, ticket: Task, result: Result) -> None:
        if not ticket.call.closed:
            ticket.call.results.append((result, ticket.cost))

    def _active(self, lane: Lane) -> list[Call]:
        return [call for call in self._calls if call.lane is lane and call.held]

    def _next(self, worker: Worker) -> Task | None:
        running = worker.running
        if running and (
            len(running) >= self.depth
            or running[0].strikes
            or sum(ticket.cost for ticket in running) >= self.ahead_bytes
        ):
            return None
        for lane in worker.lanes:
            waiting = [call for call in self._calls if call.lane is lane and call.pending]
            if not waiting:
                continue
            call = min(waiting, key=lambda one: one.served)
            if call.pending[0].strikes and running:
                return None  # a suspect is tried alone
            ticket = call.pending.popleft()
            call.served += ticket.cost
            return ticket
        return None
