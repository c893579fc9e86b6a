"""Moves the files of one root from queued to committed, through an urgent and a bulk lane."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import anyio

from codeindexd.indexing.commit_buffer import CommitBuffer, ProcessedFile
from codeindexd.indexing.committer import Committer
from codeindexd.indexing.lane import Lane
from codeindexd.indexing.policy import in_bulk_order
from codeindexd.indexing.problems import RootProblems
from codeindexd.indexing.progress import IngestStats, Progress, StageStats
from codeindexd.indexing.queue import Task, WorkQueue, is_urgent
from codeindexd.indexing.retries import RetryPause
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.types import Entry, Transaction
from codeindexd.waiting import Broadcast, Gate
from codeindexd.workers.jobs import FileResult
from codeindexd.workers.pool import WorkerPool

_REMEMBERED_EDITS = 256  # recently saved files, which come first when the whole root is processed again


class Ingest:
    """Processes and commits one root's files: queue, lanes of workers, buffer, committer.

    ``on_hint``, ``on_check`` and ``on_commit`` are as in :class:`Committer`.
    """

    def __init__(
        self,
        root: bytes,
        index: IndexWriter,
        pool: WorkerPool,
        problems: RootProblems,
        *,
        on_hint: Callable[[Iterable[bytes]], None],
        on_check: Callable[[Iterable[bytes]], None],
        on_commit: Callable[[], None],
    ) -> None:
        self.queue = WorkQueue()
        self._on_commit = on_commit
        self._stats = IngestStats()
        self._buffer = CommitBuffer()
        self._edited: deque[bytes] = deque(maxlen=_REMEMBERED_EDITS)
        self._running = Gate(is_open=True)
        self._hurry = Broadcast()
        self._advanced = Broadcast()
        self._transactions_submitted = 0
        self._bulk_lane, self._urgent_lane = (
            Lane(
                root,
                self.queue,
                pool,
                problems,
                urgent=urgent,
                running=self._running,
                retry=RetryPause(self._hurry),
                on_result=self._buffer_result,
            )
            for urgent in (False, True)
        )
        self._committer = Committer(
            index,
            self.queue,
            self._buffer,
            self._stats,
            problems,
            running=self._running,
            retry=RetryPause(self._hurry),
            on_hint=on_hint,
            on_check=on_check,
            on_commit=self._after_commit,
            requeue=partial(self.submit, []),
        )

    # input

    def submit(
        self,
        transactions: Sequence[Transaction],
        files: Sequence[Entry],
        gone: Iterable[bytes] = (),
        *,
        force: bool = False,
    ) -> None:
        """Submit the result of a scan: ``transactions`` that need no worker, ``files`` to process, ``gone`` paths.

        Returns at once. With ``force``, files that are pending with the same content are processed again.
        """
        if (transactions or files) and self.is_idle:
            self._stats.start_run()
        moves = [move for transaction in transactions for move in transaction.moves if move.source in self.queue]
        oldest = {move.entry.path: self.queue.oldest_number(move.source) for move in moves}
        committed = (update.entry.path for transaction in transactions for update in transaction.updates)
        if self.queue.remove({*gone, *committed}):  # so that no earlier result replaces the present state
            self._advanced.notify_all()
        self._transactions_submitted += len(transactions)
        self._buffer.add_transactions(transactions)
        self._enqueue([*files, *(move.entry for move in moves)], oldest, force=force)

    def _enqueue(self, files: Sequence[Entry], oldest: Mapping[bytes, int | None], *, force: bool) -> None:
        urgent = is_urgent(files)
        if urgent:
            self._edited.extend(entry.path for entry in files)
        queued = [
            self.queue.add(entry, urgent=urgent, force=force, oldest=oldest.get(entry.path))
            for entry in in_bulk_order(files, frozenset(self._edited))
        ]
        if any(queued):
            (self._urgent_lane if urgent else self._bulk_lane).wake()

    def pause(self) -> None:
        """Stop giving files to workers, and stop committing; results of files in progress wait in the buffer."""
        self._running.close()

    def resume(self) -> None:
        """Continue after :meth:`pause`."""
        self._running.open()
        self._urgent_lane.wake()
        self._bulk_lane.wake()

    def retry_now(self) -> None:
        """End the present pauses after errors, because a request is waiting."""
        self._hurry.notify_all()

    # progress

    @property
    def is_idle(self) -> bool:
        """True if nothing is queued, in flight or waiting to be committed."""
        return not (self._buffer.transactions or self.queue)

    @property
    def has_changes(self) -> bool:
        """True if there is outstanding work that can change an answer; new stats of unchanged files cannot."""
        return bool(self.queue) or not all(transaction.only_touches for transaction in self._buffer.transactions)

    @property
    def progress(self) -> Progress:
        """The progress of the present run."""
        return self._stats.progress(files_left=len(self.queue), is_idle=self.is_idle)

    @property
    def stages(self) -> Mapping[str, StageStats]:
        """Statistics of each stage since the daemon started, by name."""
        return self._stats.stages

    @property
    def work_done(self) -> int:
        """A number that grows with everything that stages and progress count."""
        return self._stats.revision

    @property
    def chunks_embedded(self) -> int:
        """The number of vectors that workers computed since the daemon started."""
        return self._stats.chunks_embedded

    def queue_lengths(self) -> dict[str, int]:
        """Return the number of waiting files by stage: "read" (for a worker) and "apply" (for their commit)."""
        processed = self._buffer.file_count
        transactions = len(self._buffer.transactions)
        return {"read": max(0, len(self.queue) - processed), "apply": processed + transactions}

    async def wait_until_drained(self) -> None:
        """Wait until everything submitted so far is committed or recorded as failed."""
        await self.wait_for_transactions()
        number = self.queue.last_number  # only now, since a transaction may leave files to be processed
        while not self.queue.is_finished(number):
            await self._advanced.wait()

    async def wait_for_transactions(self) -> list[Task]:
        """Wait until the transactions submitted so far are committed, and return the tasks in flight.

        Needed before a comparison with the catalog, which lacks both: it waits for the transactions and takes the tasks
        into account.
        """
        submitted = self._transactions_submitted
        while self._committer.transactions_committed < submitted:
            await self._advanced.wait()
        return self.queue.in_flight

    async def wait_for_commit(self) -> None:
        """Wait until no commit of files is in progress."""
        await self._committer.wait_for_commit()

    # running

    async def serve(self) -> None:
        """Process and commit until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._urgent_lane.serve)
            tasks.start_soon(self._bulk_lane.serve)
            tasks.start_soon(self._committer.serve)

    async def _buffer_result(self, task: Task, result: FileResult) -> None:
        """Buffer a result for its commit; wait while there are too many."""
        if not self.queue.accepts(task):
            return
        self._stats.add_result(result)
        self._buffer.add_processed(ProcessedFile(task, result))
        while not task.urgent and self._buffer.is_full:
            await self._advanced.wait()

    def _after_commit(self) -> None:
        if self.is_idle:
            self._buffer.start_run()
        self._advanced.notify_all()
        self._on_commit()
