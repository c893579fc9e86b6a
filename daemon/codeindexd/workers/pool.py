"""The pool of worker processes: started on demand, shared by all callers, replaced when they die.

No file is parsed in the daemon's process. Guarantees to callers:

- Every job gets exactly one result, whatever it does to its worker, unless no worker can be started at all.
- Memory use does not grow with the number of jobs: these are taken from their source only as results are consumed.
- Callers share the bulk workers by bytes; urgent jobs have a worker of their own at normal priority.
- Bulk workers run at low priority, except while somebody waits for their work.
- Closing a stream of results drops its remaining jobs.

Neither multiprocessing nor anyio's process pool does this: both run the parent's main script again in every child,
neither can say which job killed a worker, and both keep idle workers.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import cast

import anyio
import anyio.abc
import anyio.to_thread
import structlog
from anyio import TASK_STATUS_IGNORED
from msgspec import Struct, field

from codeindexd.errors import CodeindexError, ShuttingDownError, WorkerError
from codeindexd.waiting import Backoff, Signal
from codeindexd.workers.jobs import (
    CentralityJob,
    CentralityResult,
    FileJob,
    FileResult,
    HistoryJob,
    HistoryResult,
    Job,
    Result,
    TextsJob,
    TextsResult,
    WorkerSettings,
)
from codeindexd.workers.pressure import PressureReader
from codeindexd.workers.schedule import Call, JobLane, Schedule, WorkerSlot
from codeindexd.workers.sizing import Pressure, allowed_workers
from codeindexd.workers.worker_handle import Timing, WorkerExit, WorkerHandle

RECYCLE_BYTES = 192 * 1024 * 1024  # a worker whose private memory has grown by more than this is replaced
WINDOW_JOBS = 64  # jobs of one caller that are in progress, or whose results are not yet consumed
WINDOW_BYTES = 4 * 1024 * 1024  # of sources; their results take about four times as much memory
_DEPTH = 4
_BROKEN_AFTER = 5  # after losing so many workers to different files without any result, do not blame the files

_log = structlog.get_logger("codeindexd.workers")


class PoolStats(Struct, frozen=True):
    """Figures for ``status``. ``allowed`` is the number of bulk workers that may work under the present pressure."""

    workers: int
    busy: int
    allowed: int
    waiting: int  # jobs that have not been given to a worker
    running: int
    answered: int
    started: int
    restarts: int  # workers that were lost with a job, whatever the cause
    recycled: int
    pids: tuple[int, ...]


class _Group(Struct, eq=False):
    """The workers of one kind: bulk workers, or the warm worker for urgent jobs."""

    bulk: bool
    lanes: tuple[JobLane, ...]
    limit: int
    backoff: Backoff  # counts the failed starts since the last successful one
    members: list[WorkerHandle] = field(default_factory=list)
    retry_at: float = 0.0
    lost_to: set[bytes] = field(default_factory=set)
    broken: bool = False  # workers start, and then fail at every job
    error: str = ""

    @property
    def live(self) -> list[WorkerHandle]:
        """The workers that still take jobs."""
        return [member for member in self.members if not member.worker.retiring]


class _Stream(Struct, eq=False):
    """The state of one caller that is not in its ``Call``: result arrived, room for more jobs, scope of its task."""

    arrived: Signal = field(default_factory=Signal)
    room: Signal = field(default_factory=Signal)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    async def wait_for_room(self, call: Call) -> None:
        """Wait until ``call`` may have another job. It may always have one, however large."""
        while call.held and (call.held >= WINDOW_JOBS or call.held_cost >= WINDOW_BYTES):
            await self.room.wait()


class WorkerPool:
    """A pool of ``count`` bulk workers and one for urgent jobs; with 0, one worker does everything, file by file.

    ``pipeline`` is the class that the workers run, as "module:class".
    """

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        count: int,
        pipeline: str,
        timing: Timing | None = None,
        recycle_bytes: int = RECYCLE_BYTES,
        pressure: Callable[[], Pressure] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.timing = timing or Timing()
        self.recycle_bytes = recycle_bytes
        self.schedule = Schedule()
        self._pipeline = pipeline
        self._pressure = pressure or PressureReader().read
        self._clock = clock
        self._bulk = _Group(bulk=True, lanes=(JobLane.BULK,), limit=1, backoff=self.timing.backoff())
        self._warm = _Group(bulk=False, lanes=(JobLane.URGENT,), limit=1, backoff=self.timing.backoff())
        self._streams: dict[Call, _Stream] = {}
        self._tasks: anyio.abc.TaskGroup | None = None
        self._any_bulk = Signal()
        self._started = self._restarts = self._recycled = 0
        self._allowed = 1
        self._waiting = 0
        self._set_count(count)

    # running

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Run the pool until cancelled or stopped. Processes are started when there are jobs."""
        if self._tasks is not None:
            raise RuntimeError("the worker pool is running already")
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                task_status.started()
                await self._watch_pressure()
        finally:
            self._tasks = None
            self._fail((JobLane.BULK, JobLane.URGENT), lambda: ShuttingDownError("the worker pool is stopping"))

    def stop(self) -> None:
        """End :meth:`serve` and all processes."""
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()

    async def resize(self, count: int) -> None:
        """Change the number of bulk workers (0: one worker does everything). Superfluous ones finish their files."""
        self._set_count(count)
        for group in (self._bulk, self._warm):
            for member in group.live:
                if member.worker.lanes != group.lanes:
                    member.retire()
            for member in group.live[group.limit :]:
                member.retire()
            self._balance(group)

    def process(
        self, jobs: Iterable[FileJob] | AsyncIterable[FileJob], *, urgent: bool = False
    ) -> AsyncGenerator[FileResult, None]:
        """Process files, and yield results in the order of completion.

        Raises WorkerError if no worker can be started after several tries, ShuttingDownError if the pool is not
        running or stops, and what ``jobs`` raises.
        """
        return cast("AsyncGenerator[FileResult, None]", self._results(jobs, urgent=urgent))

    def texts(
        self, jobs: Iterable[TextsJob] | AsyncIterable[TextsJob], *, urgent: bool = False
    ) -> AsyncGenerator[TextsResult, None]:
        """Read the texts of catalogued chunks; yield results in the order of completion. Raises as :meth:`process`."""
        return cast("AsyncGenerator[TextsResult, None]", self._results(jobs, urgent=urgent))

    def history(
        self, jobs: Iterable[HistoryJob] | AsyncIterable[HistoryJob], *, urgent: bool = False
    ) -> AsyncGenerator[HistoryResult, None]:
        """Read the history of a repository; yield results in the order of completion. Raises as :meth:`process`."""
        return cast("AsyncGenerator[HistoryResult, None]", self._results(jobs, urgent=urgent))

    def centrality(self, jobs: Iterable[CentralityJob]) -> AsyncGenerator[CentralityResult, None]:
        """Compute the centrality of files, one catalog a job, in bulk workers. Raises as :meth:`process`."""
        return cast("AsyncGenerator[CentralityResult, None]", self._results(jobs, urgent=False))

    @contextlib.contextmanager
    def at_normal_priority(self) -> Iterator[None]:
        """Do bulk work at normal priority inside the block, because somebody waits for it.

        A process cannot raise its own priority, so workers at low priority finish their files and are then replaced.
        """
        self._waiting += 1
        if self._waiting == 1 and self.settings.nice > 0:
            for member in self._bulk.live:
                if member.at_low_priority:
                    member.retire()
            self._balance(self._bulk)
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                for member in self._bulk.members:
                    member.lower_priority()

    @property
    def is_awaited(self) -> bool:
        """True if somebody waits for bulk work."""
        return self._waiting > 0

    def warm_up(self) -> None:
        """Start the worker for urgent jobs before there is an urgent job."""
        if self._warm.limit and not self._warm.live and self._clock() >= self._warm.retry_at:
            self._spawn(self._warm)

    @property
    def stats(self) -> PoolStats:
        """Figures of the pool at this moment."""
        members = self._bulk.members + self._warm.members
        return PoolStats(
            workers=len(members),
            busy=sum(bool(member.worker.running) for member in members),
            allowed=min(self._allowed, self._bulk.limit),
            waiting=self.schedule.waiting((JobLane.BULK, JobLane.URGENT))[0],
            running=sum(len(member.worker.running) for member in members),
            answered=self.schedule.answers,
            started=self._started,
            restarts=self._restarts,
            recycled=self._recycled,
            pids=tuple(member.pid for member in members if member.pid is not None),
        )

    # callers

    async def _results(self, jobs: Iterable[Job] | AsyncIterable[Job], *, urgent: bool) -> AsyncGenerator[Result, None]:
        if self._tasks is None:
            raise ShuttingDownError("the worker pool is not running")
        call = self.schedule.open(JobLane.URGENT if urgent else JobLane.BULK)
        stream = self._streams[call] = _Stream()
        self._tasks.start_soon(self._take_jobs, call, stream, jobs)
        try:
            while True:
                while call.results:
                    result = call.take()
                    stream.room.set()
                    yield result
                if call.error is not None:
                    raise call.error
                if call.is_finished:
                    return
                await stream.arrived.wait()
        finally:  # must not await, since it also runs when the caller drops the iterator
            self.schedule.close(call)
            del self._streams[call]
            stream.scope.cancel()

    async def _take_jobs(self, call: Call, stream: _Stream, jobs: Iterable[Job] | AsyncIterable[Job]) -> None:
        """Take jobs from their source whenever there is room for more."""
        group = self._warm if call.lane is JobLane.URGENT and self._warm.limit else self._bulk
        with stream.scope:
            try:
                async for job in _iterate(jobs):
                    await stream.wait_for_room(call)
                    if call.closed:
                        return
                    self.schedule.submit(call, job)
                    self._balance(group)
                call.exhausted = True
            except Exception as error:  # noqa: BLE001 - raised where the results are consumed
                call.error = error
        stream.arrived.set()

    def notify_result(self, call: Call) -> None:
        """Wake the caller of ``call``, which has a new result; called by worker handles."""
        if (stream := self._streams.get(call)) is not None:
            stream.arrived.set()

    def _fail(self, lanes: tuple[JobLane, ...], error: Callable[[], CodeindexError]) -> None:
        for call in self.schedule.calls(lanes):
            call.error = call.error or error()
            call.pending.clear()
            self.notify_result(call)

    # workers

    def _set_count(self, count: int) -> None:
        sequential = count <= 0
        self.schedule.depth = 1 if sequential else _DEPTH
        self._bulk.limit = max(1, count)
        self._bulk.lanes = (JobLane.URGENT, JobLane.BULK) if sequential else (JobLane.BULK,)
        self._warm.limit = 0 if sequential else 1
        self._allowed = self._bulk.limit

    def may_work(self, member: WorkerHandle) -> bool:
        """Return True if ``member`` may take jobs under the present pressure; the others stay idle until they end."""
        live = self._bulk.live
        return member not in live or live.index(member) < self._allowed

    def count_recycled(self) -> None:
        """Count a worker that is replaced because of its memory; called by worker handles."""
        self._recycled += 1

    def _balance(self, group: _Group) -> None:
        """Wake the workers of a group, and start more if there are enough waiting jobs for them."""
        for member in group.members:
            member.wake()
        live = group.live
        limit = min(group.limit, self._allowed) if group.bulk else group.limit
        if len(live) >= limit:
            return
        count, size = self.schedule.waiting(group.lanes)
        if not count:
            return
        if self._clock() < group.retry_at:
            if not live and (group.broken or group.backoff.failures >= self.timing.tries):
                self._give_up(group)
            return
        running = sum(len(member.worker.running) for member in live)
        wanted = max(math.ceil((count + running) / self.schedule.depth), math.ceil(size / self.schedule.ahead_bytes))
        limit = 1 if group.broken or group.backoff.failures else limit
        for _ in range(min(limit, wanted) - len(live)):
            self._spawn(group)

    def _spawn(self, group: _Group) -> None:
        if self._tasks is None:
            return
        worker = WorkerSlot(group.lanes, self._clock())
        member = WorkerHandle(self, worker, bulk=group.bulk, pipeline=self._pipeline, clock=self._clock)
        group.members.append(member)
        self._started += 1
        self._tasks.start_soon(self._own, group, member)
        if group.bulk:
            self._any_bulk.set()

    async def _own(self, group: _Group, member: WorkerHandle) -> None:
        """Run a worker, and handle its end; the only task of this worker."""
        try:
            worker_exit = await member.run()
        finally:
            group.members.remove(member)
        if not worker_exit.started:
            await self._start_failed(group, worker_exit)
        else:
            group.backoff.reset()
            self._handle_loss(group, member, worker_exit)
        self._balance(group)

    async def _start_failed(self, group: _Group, worker_exit: WorkerExit) -> None:
        now = self._clock()
        last_line = "".join(worker_exit.stderr_tail.splitlines()[-1:])
        group.error = f"{worker_exit.cause}: {last_line}" if last_line else worker_exit.cause
        if now >= group.retry_at:  # several failures at the same time count as one
            delay = group.backoff.next_s()
            group.retry_at = now + delay
            _log.warning("worker_start_failed", error=group.error, tries=group.backoff.failures, retry_s=delay)
        if group.backoff.failures < self.timing.tries:
            await anyio.sleep(max(0.0, group.retry_at - now))
        elif not group.live:
            self._give_up(group)

    def _handle_loss(self, group: _Group, member: WorkerHandle, worker_exit: WorkerExit) -> None:
        culprit = self.schedule.record_loss(member.worker, worker_exit.cause)
        if culprit is None:
            return
        self._restarts += 1
        _log.warning(
            "worker_lost", pid=member.pid, cause=worker_exit.cause, path=culprit.job.path, strikes=culprit.strikes
        )
        self.notify_result(culprit.call)
        group.lost_to.add(culprit.job.path)
        if self.schedule.answers:
            group.broken = False
            group.lost_to.clear()
        elif group.broken or len(group.lost_to) >= _BROKEN_AFTER:
            group.broken = True
            group.lost_to.clear()
            group.error = worker_exit.cause
            group.retry_at = self._clock() + self.timing.backoff_max_s
            self._give_up(group)

    def _give_up(self, group: _Group) -> None:
        text = f"no worker process can be started: {group.error}"
        hint = "free memory, or check the installation: codeindex doctor"
        self._fail(group.lanes, lambda: WorkerError(text, hint=hint))

    async def _watch_pressure(self) -> None:
        """While there are bulk workers, limit how many of them work to what the machine can spare."""
        while True:
            await self._any_bulk.wait()
            while self._bulk.members:
                pressure = await anyio.to_thread.run_sync(self._pressure)
                cpus = os.cpu_count() or 1
                allowed = allowed_workers(self._bulk.limit, cpus, pressure, is_awaited=self.is_awaited)
                if allowed != self._allowed:
                    _log.info("workers_allowed", allowed=allowed, of=self._bulk.limit)
                    self._allowed = allowed
                    self._balance(self._bulk)
                await anyio.sleep(self.timing.pressure_s)


async def _iterate(jobs: Iterable[Job] | AsyncIterable[Job]) -> AsyncIterator[Job]:
    if isinstance(jobs, AsyncIterable):
        async for job in jobs:
            yield job
    else:
        for job in jobs:
            yield job
