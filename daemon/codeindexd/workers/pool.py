"""The daemon's worker processes: started on demand, shared by all callers, replaced when they die.

No file is parsed in the daemon's process. Guarantees to callers:

- every job gets exactly one result, whatever it does to its worker, unless no worker can be started at all;
- memory stays flat for any number of jobs: jobs are taken from their source only as results are consumed;
- callers share the bulk workers by bytes; urgent jobs have a worker of their own at normal priority;
- bulk workers run at low priority, except while somebody waits for their work;
- leaving a stream of results drops the rest of it.

Neither multiprocessing nor anyio's process pool does this: both run the parent's main script again in every child,
neither can say which job killed a worker, and both keep idle workers.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

import anyio
import anyio.abc
import anyio.to_thread
import structlog
from anyio import TASK_STATUS_IGNORED

from codeindexd.errors import CodeindexError, ShuttingDownError, WorkerError
from codeindexd.waiting import Backoff, Signal
from codeindexd.workers.jobs import FileJob, FileResult, Job, Result, TextsJob, TextsResult, WorkerSettings
from codeindexd.workers.member import Member, Timing, WorkerExit
from codeindexd.workers.pressure import PressureReader
from codeindexd.workers.schedule import Call, Lane, Schedule, Worker
from codeindexd.workers.sizing import Pressure, allowed_workers

RECYCLE_BYTES = 192 * 1024 * 1024  # private memory a worker may keep beyond what it had at its start
WINDOW_JOBS = 64  # jobs of one caller that are in progress or not consumed yet
WINDOW_BYTES = 32 * 1024 * 1024
_DEPTH = 4
_BROKEN_AFTER = 5  # workers lost to different files before any result: the files are not the cause

_log = structlog.get_logger("codeindexd.workers")


@dataclass(frozen=True, slots=True)
class PoolStats:
    """Figures for ``status``. ``allowed`` is the number of bulk workers that may work under the present pressure."""

    workers: int
    busy: int
    allowed: int
    waiting: int  # jobs that no worker has yet
    running: int
    answered: int
    started: int
    restarts: int  # workers that were lost, for any cause
    recycled: int
    pids: tuple[int, ...]


@dataclass(slots=True, eq=False)
class _Group:
    """Workers of one kind."""

    bulk: bool
    lanes: tuple[Lane, ...]
    limit: int
    backoff: Backoff  # counts the starts that failed since the last successful one
    members: list[Member] = field(default_factory=list)
    retry_at: float = 0.0
    lost_to: set[bytes] = field(default_factory=set)
    broken: bool = False  # workers start and then fail at everything
    error: str = ""

    @property
    def live(self) -> list[Member]:
        return [member for member in self.members if not member.worker.retiring]


@dataclass(slots=True, eq=False)
class _Stream:
    """What the pool keeps for one caller besides its `Call`."""

    arrived: Signal = field(default_factory=Signal)
    room: Signal = field(default_factory=Signal)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class WorkerPool:
    """A pool of ``count`` bulk workers; with 0, one worker does everything, one file at a time.

    ``pipeline`` is the import path ("module:class") of what the workers run.
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
        self._bulk = _Group(bulk=True, lanes=(Lane.BULK,), limit=1, backoff=self.timing.backoff())
        self._warm = _Group(bulk=False, lanes=(Lane.URGENT,), limit=1, backoff=self.timing.backoff())
        self._streams: dict[Call, _Stream] = {}
        self._tasks: anyio.abc.TaskGroup | None = None
        self._any_bulk = Signal()
        self._started = self._restarts = self._recycled = 0
        self._allowed = 1
        self._waiting = 0
        self._set_count(count)

    # --- the service -------------------------------------------------------------------------------------------

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Run the pool until cancelled or stopped; no process is started before there is a job."""
        if self._tasks is not None:
            raise RuntimeError("the worker pool is running already")
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                task_status.started()
                await self._watch_pressure()
        finally:
            self._tasks = None
            self._fail((Lane.BULK, Lane.URGENT), lambda: ShuttingDownError("the worker pool is stopping"))

    def stop(self) -> None:
        """End `serve` and all processes."""
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()

    async def resize(self, count: int) -> None:
        """Change the number of bulk workers; surplus workers finish their files first."""
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
        """Yield results in the order of completion.

        Raises `WorkerError` if no worker can be started after retries, `ShuttingDownError`, and whatever ``jobs``
        raises.
        """
        return cast("AsyncGenerator[FileResult, None]", self._results(jobs, urgent=urgent))

    def texts(
        self, jobs: Iterable[TextsJob] | AsyncIterable[TextsJob], *, urgent: bool = False
    ) -> AsyncGenerator[TextsResult, None]:
        """Yield results as `process` does, for the texts of catalogued chunks."""
        return cast("AsyncGenerator[TextsResult, None]", self._results(jobs, urgent=urgent))

    @contextlib.contextmanager
    def waited_for(self) -> Iterator[None]:
        """Do bulk work at normal priority inside the block, because somebody waits for it.

        A process cannot raise its own priority, so workers at low priority are replaced once they finished their files.
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
    def is_waited_for(self) -> bool:
        """Whether somebody waits for bulk work."""
        return self._waiting > 0

    def warm_up(self) -> None:
        """Start the worker for urgent jobs before there is such a job."""
        if self._warm.limit and not self._warm.live and self._clock() >= self._warm.retry_at:
            self._spawn(self._warm)

    @property
    def stats(self) -> PoolStats:
        members = self._bulk.members + self._warm.members
        return PoolStats(
            workers=len(members),
            busy=sum(bool(member.worker.running) for member in members),
            allowed=min(self._allowed, self._bulk.limit),
            waiting=self.schedule.waiting((Lane.BULK, Lane.URGENT))[0],
            running=sum(len(member.worker.running) for member in members),
            answered=self.schedule.answers,
            started=self._started,
            restarts=self._restarts,
            recycled=self._recycled,
            pids=tuple(member.pid for member in members if member.pid is not None),
        )

    # --- callers -----------------------------------------------------------------------------------------------

    async def _results(self, jobs: Iterable[Job] | AsyncIterable[Job], *, urgent: bool) -> AsyncGenerator[Result, None]:
        if self._tasks is None:
            raise ShuttingDownError("the worker pool is not running")
        call = self.schedule.open(Lane.URGENT if urgent else Lane.BULK)
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
        finally:  # must not await: it also runs when the caller just drops the iterator
            self.schedule.close(call)
            del self._streams[call]
            stream.scope.cancel()

    async def _take_jobs(self, call: Call, stream: _Stream, jobs: Iterable[Job] | AsyncIterable[Job]) -> None:
        """Take jobs from their source as there is room for them."""
        group = self._warm if call.lane is Lane.URGENT and self._warm.limit else self._bulk
        with stream.scope:
            try:
                async for job in _iterate(jobs):
                    while call.held and (call.held >= WINDOW_JOBS or call.held_cost >= WINDOW_BYTES):
                        await stream.room.wait()
                    if call.closed:
                        return
                    self.schedule.submit(call, job)
                    self._balance(group)
                call.exhausted = True
            except Exception as error:  # noqa: BLE001 - raised where the results are consumed
                call.error = error
        stream.arrived.set()

    def delivered(self, call: Call) -> None:
        """Wake the caller of ``call``, which has a new result (called by members)."""
        if (stream := self._streams.get(call)) is not None:
            stream.arrived.set()

    def _fail(self, lanes: tuple[Lane, ...], error: Callable[[], CodeindexError]) -> None:
        for call in self.schedule.calls(lanes):
            call.error = call.error or error()
            call.pending.clear()
            self.delivered(call)

    # --- workers -----------------------------------------------------------------------------------------------

    def _set_count(self, count: int) -> None:
        sequential = count <= 0
        self.schedule.depth = 1 if sequential else _DEPTH
        self._bulk.limit = max(1, count)
        self._bulk.lanes = (Lane.URGENT, Lane.BULK) if sequential else (Lane.BULK,)
        self._warm.limit = 0 if sequential else 1
        self._allowed = self._bulk.limit

    def may_work(self, member: Member) -> bool:
        """Return True if ``member`` may take jobs under the present pressure; others idle until they end."""
        live = self._bulk.live
        return member not in live or live.index(member) < self._allowed

    def recycled(self) -> None:
        """Count a member that ends because of its memory (called by members)."""
        self._recycled += 1

    def _balance(self, group: _Group) -> None:
        """Wake the workers of a group and start more if waiting jobs need them."""
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
        worker = Worker(group.lanes, self._clock())
        member = Member(self, worker, bulk=group.bulk, pipeline=self._pipeline, clock=self._clock)
        group.members.append(member)
        self._started += 1
        self._tasks.start_soon(self._own, group, member)
        if group.bulk:
            self._any_bulk.set()

    async def _own(self, group: _Group, member: Member) -> None:
        """Run a worker and handle its end; the only task of this worker."""
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

    def _handle_loss(self, group: _Group, member: Member, worker_exit: WorkerExit) -> None:
        culprit = self.schedule.lost(member.worker, worker_exit.cause)
        if culprit is None:
            return
        self._restarts += 1
        _log.warning(
            "worker_lost", pid=member.pid, cause=worker_exit.cause, path=culprit.job.path, strikes=culprit.strikes
        )
        self.delivered(culprit.call)
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
        hint = "free memory, or run `codeindex doctor` to check the installation"
        self._fail(group.lanes, lambda: WorkerError(text, hint=hint))

    async def _watch_pressure(self) -> None:
        """Limit the working bulk workers to what the machine can spare, while there are any."""
        while True:
            await self._any_bulk.wait()
            while self._bulk.members:
                pressure = await anyio.to_thread.run_sync(self._pressure)
                cpus = os.cpu_count() or 1
                allowed = allowed_workers(self._bulk.limit, cpus, pressure, is_waited_for=self.is_waited_for)
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
