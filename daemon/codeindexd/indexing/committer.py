"""Commits the results of workers, in an order in which no result overtakes an earlier change."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import anyio
import anyio.to_thread
import structlog

from codeindexd.errors import StoreFullError
from codeindexd.indexing.commit_buffer import CommitBuffer, ProcessedFile
from codeindexd.indexing.problems import ProblemKey, RootProblem, RootProblems
from codeindexd.indexing.progress import IngestStats
from codeindexd.indexing.queue import WorkQueue
from codeindexd.indexing.retries import FailedFiles, RetryPause
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.types import Entry, Failure, FileUpdate, NodeKind, Outcome, Transaction
from codeindexd.waiting import Gate
from codeindexd.workers.jobs import FileStatus

log = structlog.get_logger(__name__)
T = TypeVar("T")


class Requeue(Protocol):
    """Queues files to be processed."""

    def __call__(self, files: Sequence[Entry], *, force: bool) -> object:
        """Queue ``files``; with ``force``, also those that are pending with the same content."""


class Committer:
    """Moves transactions and processed files from the buffer into the index, one commit at a time.

    Commits only while ``running`` is open.

    - ``on_hint(paths)``: files that changed or vanished while they were processed, to be scanned again.
    - ``on_check(paths)``: files that were modified too recently to trust their stat.
    - ``on_commit()``: called after every commit.
    - ``requeue`` queues files again that have to be processed.
    """

    def __init__(
        self,
        index: IndexWriter,
        queue: WorkQueue,
        buffer: CommitBuffer,
        stats: IngestStats,
        problems: RootProblems,
        *,
        running: Gate,
        retry: RetryPause,
        on_hint: Callable[[Sequence[bytes]], None],
        on_check: Callable[[Sequence[bytes]], None],
        on_commit: Callable[[], None],
        requeue: Requeue,
    ) -> None:
        self._index = index
        self._queue = queue
        self._buffer = buffer
        self._stats = stats
        self._problems = problems
        self._running = running
        self._retry = retry
        self._on_hint = on_hint
        self._on_check = on_check
        self._on_commit = on_commit
        self._requeue = requeue
        self._failed_files = FailedFiles(index.catalog.failures())
        self._read_twice: set[bytes] = set()
        self._commit_lock = anyio.Lock()
        self.transactions_committed = 0

    async def serve(self) -> None:
        """Commit until cancelled; the next walk finds the files again that were not committed."""
        while True:
            await self._buffer.wait()
            await self._running.wait()
            # Only the work that is due by now, since more may arrive without end. Transactions that were submitted
            # before a file was queued precede its result.
            due = self._buffer.take_due(len(self._queue))
            for _ in range(due.transactions):
                await self._commit_next_transaction()
            for files in (due.urgent, due.bulk):
                if files:
                    await self._commit_files(files)

    async def wait_for_commit(self) -> None:
        """Wait until no commit of files is in progress."""
        async with self._commit_lock:
            pass

    # transactions

    async def _commit_next_transaction(self) -> None:
        transaction = self._buffer.transactions[0]
        await self._commit(transaction)
        self._buffer.transactions.popleft()
        if transaction.moves:  # a moved file whose source was already gone has to be processed
            self._requeue(await self._until_store_usable(self._unprocessed), force=False)
        self.transactions_committed += 1
        self._on_commit()

    async def _unprocessed(self) -> list[Entry]:
        return await anyio.to_thread.run_sync(lambda: list(self._index.catalog.unprocessed()))

    # files

    async def _commit_files(self, batch: Sequence[ProcessedFile]) -> None:
        async with self._commit_lock:
            complete: list[ProcessedFile] = []
            outdated: list[ProcessedFile] = []
            for processed in self._newest_results(batch):
                (outdated if self._must_be_read_again(processed) else complete).append(processed)
            self._requeue([processed.task.entry for processed in outdated], force=True)
            await self._commit_results(complete)
        self._on_commit()

    def _newest_results(self, batch: Sequence[ProcessedFile]) -> list[ProcessedFile]:
        """Return the newest result for each path, in the order of tasks, without outdated results."""
        newest: dict[bytes, ProcessedFile] = {}
        for processed in sorted(batch, key=lambda processed: processed.task.number):
            if self._queue.accepts(processed.task):
                newest[processed.task.path] = processed
        return list(newest.values())

    def _must_be_read_again(self, processed: ProcessedFile) -> bool:
        """Return True if a worker read other content than the scan did.

        The file may have been changed back before the scan, and then no event follows. It is read again only once,
        since some files are written all the time.
        """
        task, result = processed.task, processed.result
        was_read = result.status in (FileStatus.INDEXED, FileStatus.SKIPPED) and self._queue.is_newest(task)
        if not was_read or result.leaf == task.entry.hash or result.path in self._read_twice:
            self._read_twice.discard(result.path)
            return False
        self._read_twice.add(result.path)
        return True

    async def _commit_results(self, batch: Sequence[ProcessedFile]) -> None:
        """Commit results, and hint the files that vanished or changed while they were processed."""
        updates: list[FileUpdate] = []
        failures: list[Failure] = []
        changed: list[bytes] = []
        too_recent: list[bytes] = []
        for processed in batch:
            result = processed.result
            if result.status is FileStatus.VANISHED:
                changed.append(result.path)
                continue
            updates.append(_update_of(processed))
            if result.status is FileStatus.FAILED:
                failures.append(self._failed_files.add(result))
                continue
            self._failed_files.forget(result.path)
            if not result.steady or result.leaf != processed.task.entry.hash:
                changed.append(result.path)
            elif not result.settled:
                too_recent.append(result.path)
        if updates:
            await self._commit(Transaction(updates=updates, failures=failures))
        for processed in batch:
            self._queue.finish(processed.task)
        self._stats.add_committed(files=len(batch), chunks=sum(len(update.chunks) for update in updates))
        if changed:
            self._on_hint(changed)
        if too_recent:
            self._on_check(too_recent)

    # the store

    async def _commit(self, transaction: Transaction) -> None:
        began = time.perf_counter()
        await self._until_store_usable(lambda: self._index.write(self._index.commit, transaction))
        self._stats.add_commit(time.perf_counter() - began)

    async def _until_store_usable(self, use_store: Callable[[], Awaitable[T]]) -> T:
        """Return the result of ``use_store()``, which is retried while the store is full or read-only."""
        while True:
            try:
                result = await use_store()
            except StoreFullError as error:
                log.error("commit_failed", error=error.message)  # noqa: TRY400 - a traceback adds nothing
                self._problems.set(ProblemKey.STORE, RootProblem.from_error(error))
                await self._retry.wait()
                continue
            self._retry.reset()
            self._problems.clear(ProblemKey.STORE)
            return result


def _update_of(processed: ProcessedFile) -> FileUpdate:
    """Return what to store of a file; without a stat if it was modified too recently to trust that."""
    result, entry = processed.result, processed.task.entry
    if result.status is FileStatus.FAILED:
        return FileUpdate(entry, Outcome.FAILED, reason=result.error)
    leaf = Entry(entry.path, NodeKind.FILE, result.leaf, result.stat if result.settled else None)
    if result.status is FileStatus.SKIPPED:
        return FileUpdate(leaf, Outcome.SKIPPED, fingerprint=result.fingerprint, reason=result.reason)
    return FileUpdate(
        leaf,
        Outcome.INDEXED,
        language=result.language,
        encoding=result.encoding,
        fingerprint=result.fingerprint,
        chunks=result.chunks,
        trigrams=result.trigrams,
        is_masked=result.is_masked,
        definitions=result.definitions,
        is_partial=result.is_partial,
        references=result.references,
    )
