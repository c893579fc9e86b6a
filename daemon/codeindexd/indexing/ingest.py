"""Moves the files of one root from queued to committed, through an urgent and a bulk lane."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

import anyio

from codeindexd.indexing.commit_buffer import CommitBuffer, Processed
from codeindexd.indexing.committer import Committer
from codeindexd.indexing.lane import Lane
from codeindexd.indexing.policy import in_bulk_order
from codeindexd.indexing.problems import RootProblems
from codeindexd.indexing.progress import IngestStats, Progress, StageStats
from codeindexd.indexing.queue import Task, WorkQueue
from codeindexd.indexing.retries import RetryPause
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.types import Entry, Transaction
from codeindexd.waiting import Broadcast, Gate
from codeindexd.workers.jobs import FileResult
from codeindexd.workers.pool import WorkerPool

_URGENT_FILES = 32
_REMEMBERED_EDITS = 256  # files saved lately come first when the whole root is processed again


class Ingest:
    """The way of one root's files into its index: queue, lanes of workers, buffer, committer.

    ``on_hint`` gets paths that have to be scanned again, because they changed while they were read or vanished,
    ``on_check`` those that are to be looked at again because they are young;
    ``on_commit`` is called after every commit.
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
            requeue=lambda files, force: self.submit([], files, force=force),
        )

    # what is to be done

    def submit(
        self,
        transactions: Sequence[Transaction],
        files: Sequence[Entry],
        gone: Iterable[bytes] = (),
        *,
        force: bool = False,
    ) -> None:
        """Take over what a scan found: ``transactions`` that need no worker, ``files`` to process, ``gone`` paths.

        Returns at once. ``force`` processes files again that are pending with the same content.
        """
        if (transactions or files) and self.is_idle:
            self._stats.start_run()
        moves = [move for transaction in transactions for move in transaction.moves if move.source in self.queue]
        oldest = {move.entry.path: self.queue.oldest_number(move.source) for move in moves}
        committed = (update.entry.path for transaction in transactions for update in transaction.updates)
        if self.queue.remove({*gone, *committed}):  # no earlier result may replace what is known now
            self._advanced.notify_all()
        self._transactions_submitted += len(transactions)
        self._buffer.add_transactions(transactions)
        self._enqueue([*files, *(move.entry for move in moves)], oldest, force=force)

    def _enqueue(self, files: Sequence[Entry], oldest: Mapping[bytes, int | None], *, force: bool) -> None:
        urgent = len(files) <= _URGENT_FILES
        if urgent:
            self._edited.extend(entry.path for entry in files)
        queued = [
            self.queue.add(entry, urgent=urgent, force=force, oldest=oldest.get(entry.path))
            for entry in in_bulk_order(files, frozenset(self._edited))
        ]
        if any(queued):
            (self._urgent_lane if urgent else self._bulk_lane).wake()

    def pause(self) -> None:
        """Stop giving files to workers and committing; what is in flight comes back and waits."""
        self._running.close()

    def resume(self) -> None:
        """Continue after :meth:`pause`."""
        self._running.open()
        self._urgent_lane.wake()
        self._bulk_lane.wake()

    def retry_now(self) -> None:
        """Cut short the pauses after errors, for a request that waits."""
        self._hurry.notify_all()

    # how far it is

    @property
    def is_idle(self) -> bool:
        """Whether nothing is queued, in flight or waiting to be committed."""
        return not (self._buffer.transactions or self.queue)

    @property
    def has_changes(self) -> bool:
        """Whether anything is outstanding that changes an answer; new stats of files with equal content do not."""
        return bool(self.queue) or not all(one.only_touches for one in self._buffer.transactions)

    @property
    def progress(self) -> Progress:
        """How far the present run is."""
        return self._stats.progress(files_left=len(self.queue), is_idle=self.is_idle)

    @property
    def stages(self) -> Mapping[str, StageStats]:
        """What each stage did since the daemon started."""
        return self._stats.stages

    @property
    def work_done(self) -> int:
        """A number that grows with everything that stages and progress count."""
        return self._stats.revision

    @property
    def chunks_embedded(self) -> int:
        """How many vectors the workers computed since the daemon started."""
        return self._stats.chunks_embedded

    def queue_lengths(self) -> dict[str, int]:
        """Return how many files wait by stage: "read" for a worker, "apply" for their commit."""
        processed = self._buffer.files
        transactions = len(self._buffer.transactions)
        return {"read": max(0, len(self.queue) - processed), "apply": processed + transactions}

    async def drained(self) -> None:
        """Wait until all that was submitted is committed or recorded as failed."""
        await self.wait_for_transactions()
        number = self.queue.last_number  # only now: a transaction may have left files to be read
        while not self.queue.is_finished(number):
            await self._advanced.wait()

    async def wait_for_transactions(self) -> list[Task]:
        """Wait until the transactions submitted so far are committed, and return the files in flight.

        Of neither does the catalog know, so a comparison with the catalog has to wait for the one and allow for the
        other.
        """
        submitted = self._transactions_submitted
        while self._committer.transactions_committed < submitted:
            await self._advanced.wait()
        return self.queue.in_flight

    async def commit_finished(self) -> None:
        """Wait until the commit in progress is over."""
        await self._committer.commit_finished()

    # the service

    async def serve(self) -> None:
        """Process and commit until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._urgent_lane.serve)
            tasks.start_soon(self._bulk_lane.serve)
            tasks.start_soon(self._committer.serve)

    async def _buffer_result(self, task: Task, result: FileResult) -> None:
        """Keep a result for its commit; wait when there are too many."""
        if not self.queue.accepts(task):
            return
        self._stats.add_result(result)
        self._buffer.add_processed(Processed(task, result))
        while not task.urgent and self._buffer.is_full:
            await self._advanced.wait()

    def _after_commit(self) -> None:
        if self.is_idle:
            self._buffer.start_run()
        self._advanced.notify_all()
        self._on_commit()
