"""The daemon's handle of one worker process: starts, feeds, reads, supervises and stops it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import anyio
import msgspec
from msgspec import Struct

from codeindexd.waiting import Backoff, Signal
from codeindexd.workers import jobs, process_limits, wire
from codeindexd.workers.child import Child, describe_exit
from codeindexd.workers.jobs import CentralityJob, FileJob, HistoryJob, TextsJob, WorkerSettings
from codeindexd.workers.pressure import cpu_time
from codeindexd.workers.schedule import Call, Schedule, ScheduledJob, WorkerSlot
from codeindexd.workers.sizing import is_overdue

MODULE = "codeindexd.workers"


class Timing(Struct, frozen=True):
    """Times in seconds, and the number of tries. Idle times trade memory for 0.2 s of start; the others are guesses."""

    bulk_idle_s: float = 20.0
    warm_idle_s: float = 600.0
    start_s: float = 60.0  # long, because a start at idle priority on a busy machine is slow
    end_s: float = 2.0  # from closing its input until it is killed
    grace_s: float = 0.4  # from SIGTERM to SIGKILL
    pressure_s: float = 5.0
    backoff_s: float = 0.25
    backoff_max_s: float = 30.0
    tries: int = 4

    def backoff(self) -> Backoff:
        """Return new pauses between failed starts."""
        return Backoff(self.backoff_s, self.backoff_max_s)


class WorkerExit(Struct, frozen=True):
    """How a worker ended: whether it was ready for jobs before, the cause, and the last part of its stderr."""

    started: bool
    cause: str
    stderr_tail: str = ""


class Owner(Protocol):
    """The part of the pool that a handle uses; see :class:`WorkerPool`."""

    settings: WorkerSettings
    schedule: Schedule
    timing: Timing
    recycle_bytes: int

    @property
    def is_awaited(self) -> bool: ...

    def may_work(self, member: WorkerHandle) -> bool: ...

    def notify_result(self, call: Call) -> None: ...

    def count_recycled(self) -> None: ...


class WorkerHandle:
    """A worker process, as the daemon controls it. One task runs it from start to end (:meth:`run`)."""

    def __init__(
        self,
        owner: Owner,
        worker: WorkerSlot,
        *,
        bulk: bool,
        pipeline: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.worker = worker
        self.ready = False
        self.pid: int | None = None
        self.at_low_priority = False
        self._must_lower = False
        self._owner = owner
        self._bulk = bulk
        self._pipeline = pipeline
        self._clock = clock
        self._idle_s = owner.timing.bulk_idle_s if bulk else owner.timing.warm_idle_s
        self._cause = ""
        self._base_memory = 0
        self._wake = Signal()
        self._busy = Signal()

    def wake(self) -> None:
        """Give the worker jobs, if there are any for it."""
        self._wake.set()

    def lower_priority(self) -> None:
        """Have a bulk worker continue at low priority, because nobody waits for its work."""
        if self._bulk and not self.at_low_priority:
            self._must_lower = True
            self._wake.set()

    def retire(self) -> None:
        """Give the worker no more jobs; it ends after it has answered its present jobs."""
        self.worker.retiring = True
        self._wake.set()

    async def run(self) -> WorkerExit:
        """Run the process from start to end, and return how it ended. Cancelling kills the process at once."""
        try:
            child = await Child.spawn(MODULE, self._pipeline)
        except OSError as error:
            return WorkerExit(started=False, cause=str(error))
        self.pid = child.pid
        status = None
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(child.listen)
                if await self._start(child):
                    self.ready = True
                    tasks.start_soon(self._feed, child)
                    tasks.start_soon(self._supervise, child)
                    await self._read(child)
                tasks.cancel_scope.cancel()
        finally:
            self.worker.retiring = True
            status = await child.stop(self._owner.timing.grace_s)
        return WorkerExit(
            started=self.ready, cause=self._cause or self._describe(status), stderr_tail=child.stderr_tail
        )

    async def _start(self, child: Child) -> bool:
        """Send the settings to a worker, and return True once it is ready; False if it ended or took too long."""
        with anyio.move_on_after(self._owner.timing.start_s):
            self.at_low_priority = self._bulk and not self._owner.is_awaited
            await child.send([wire.Start(self._owner.settings, self.at_low_priority)])
            message = await self._receive(child)
            if isinstance(message, wire.Ready):
                self._base_memory = message.memory
                self.worker.since = self._clock()
                return True
            return False
        self._cause = f"it was not ready within {self._owner.timing.start_s:g} s"
        return False

    async def _read(self, child: Child) -> None:
        while (message := await self._receive(child)) is not None:
            try:
                assert not isinstance(message, wire.Ready)
                call = self._owner.schedule.record_answer(self.worker, message.result, self._clock())
            except (AssertionError, ValueError) as error:
                self._kill(child, f"it broke the protocol: {error}")
                return
            if message.memory > self._base_memory + self._owner.recycle_bytes and not self.worker.retiring:
                self._owner.count_recycled()
                self.retire()
            self._wake.set()
            self._owner.notify_result(call)

    async def _receive(self, child: Child) -> wire.ToDaemon | None:
        try:
            body = await child.receive()
            return None if body is None else wire.to_daemon.decode(body)
        except (wire.BrokenStreamError, msgspec.MsgspecError) as error:
            self._kill(child, f"it broke the protocol: {error}")
            return None

    async def _feed(self, child: Child) -> None:
        while True:
            if self._must_lower:
                self._must_lower = False
                self.at_low_priority = True
                await child.send([wire.LowerPriority()])
            given = self._owner.schedule.assign(self.worker, self._clock()) if self._owner.may_work(self) else []
            if given:
                self._busy.set()
                await child.send([_message(task) for task in given])
            elif self.worker.retiring and not self.worker.running:
                await child.close_input()
                await anyio.sleep(self._owner.timing.end_s)
                self._kill(child, "it did not exit after its input was closed")
                return
            else:
                await self._wake.wait()

    async def _supervise(self, child: Child) -> None:
        """Kill the process if its file takes too much time or memory; retire it after it has been idle for a while."""
        running = self.worker.running
        while True:
            while running:
                await self._supervise_file(child, running[0])
            if self.worker.retiring:
                return
            left = self.worker.since + self._idle_s - self._clock()
            if left <= 0:
                self.retire()
                return
            with anyio.move_on_after(left):
                await self._busy.wait()

    async def _supervise_file(self, child: Child, task: ScheduledJob) -> None:
        budget_s = jobs.budget_s(task.job, self._owner.settings.file_budget_s)
        limit = self._owner.settings.memory_limit_bytes
        pause = min(1.0, max(0.02, budget_s / 10))
        at_start = cpu_time(child.pid)
        late = 0
        while self.worker.running and self.worker.running[0] is task:
            await anyio.sleep(pause)
            if not self.worker.running or self.worker.running[0] is not task:
                return
            now = cpu_time(child.pid)
            used = now[0] - at_start[0] if now and at_start else None
            wall_s = self._clock() - self.worker.since
            is_late = is_overdue(wall_s=wall_s, cpu_s=used, starved=bool(now and now[1]), budget_s=budget_s)
            late = late + 1 if is_late else 0
            if late == 2:  # only the second time: after a suspension of the daemon, the answer may be in the pipe
                self._kill(child, f"it took longer than {budget_s:g} s")
            elif limit and process_limits.private_memory(child.pid) > limit:
                self._kill(child, _out_of_memory(limit))

    def _kill(self, child: Child, cause: str) -> None:
        self._cause = self._cause or cause
        child.kill()

    def _describe(self, status: int | None) -> str:
        if status == process_limits.EXIT_OUT_OF_MEMORY:
            return _out_of_memory(self._owner.settings.memory_limit_bytes)
        return describe_exit(status)


def _out_of_memory(limit: int) -> str:
    return f"it needed more than {limit // (1024 * 1024)} MB of memory"


def _message(task: ScheduledJob) -> wire.RunFile | wire.RunTexts | wire.RunHistory | wire.RunCentrality:
    match task.job:
        case FileJob() as job:
            return wire.RunFile(job)
        case TextsJob() as job:
            return wire.RunTexts(job)
        case HistoryJob() as job:
            return wire.RunHistory(job)
        case CentralityJob() as job:
            return wire.RunCentrality(job)
