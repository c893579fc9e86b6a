"""One of the two lanes of queued files through the workers: urgent or bulk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

from codeindexd.errors import WorkerError
from codeindexd.indexing.problems import ProblemKey, RootProblem, RootProblems
from codeindexd.indexing.queue import Task, WorkQueue
from codeindexd.indexing.retries import RetryPause
from codeindexd.waiting import Gate, Signal
from codeindexd.workers.jobs import FileJob, FileResult
from codeindexd.workers.pool import WorkerPool


class Lane:
    """Gives the urgent or the bulk tasks of a queue to the workers, and awaits ``on_result(task, result)`` for each.

    No task is given to a worker while ``running`` is closed, or while ``on_result`` has not returned and enough results
    are waiting.
    """

    def __init__(
        self,
        root: bytes,
        queue: WorkQueue,
        pool: WorkerPool,
        problems: RootProblems,
        *,
        urgent: bool,
        running: Gate,
        retry: RetryPause,
        on_result: Callable[[Task, FileResult], Awaitable[None]],
    ) -> None:
        self._root = root
        self._queue = queue
        self._pool = pool
        self._problems = problems
        self._urgent = urgent
        self._running = running
        self._retry = retry
        self._on_result = on_result
        self._queued = Signal()

    def wake(self) -> None:
        """Check the queue soon, because tasks were queued or the lane may run again."""
        self._queued.set()

    async def serve(self) -> None:
        """Process tasks until cancelled; if no worker can run, queue them again and retry after a pause."""
        while True:
            await self._queued.wait()
            await self._running.wait()
            in_flight: dict[int, Task] = {}
            try:
                await self._process_queued(in_flight)
                self._retry.reset()
                self._problems.clear(ProblemKey.WORKERS)
            except WorkerError as error:
                self._problems.set(ProblemKey.WORKERS, RootProblem.from_error(error))
                for task in in_flight.values():
                    self._queue.put_back(task)
                await self._retry.wait()
                self.wake()

    async def _process_queued(self, in_flight: dict[int, Task]) -> None:
        jobs = self._jobs(in_flight)
        async with aclosing(self._pool.process(jobs, urgent=self._urgent)) as results:
            async for result in results:
                await self._on_result(in_flight.pop(result.job_id), result)

    async def _jobs(self, in_flight: dict[int, Task]) -> AsyncIterator[FileJob]:
        while self._running.is_open and (task := self._queue.take(urgent=self._urgent)):
            in_flight[task.number] = task
            size = task.entry.stat.size if task.entry.stat else 0
            yield FileJob(task.number, self._root, task.path, size=size)
