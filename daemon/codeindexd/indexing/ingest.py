"""Drives the files of one root from "wanted" to "committed": two lanes of workers, one committer, no wish lost."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

import anyio
import anyio.to_thread
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from codeindexd.errors import StoreFullError, WorkerError
from codeindexd.indexing.policy import SliceLimit, in_order, retry_delay_ns, slice_limit
from codeindexd.indexing.problems import ProblemKey, RootProblem, RootProblems
from codeindexd.indexing.progress import Progress, Run, StageStats
from codeindexd.indexing.queue import Task, WorkQueue
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.types import Entry, Failure, FileUpdate, NodeKind, Outcome, Transaction
from codeindexd.workers.jobs import FileJob, FileResult, FileStatus
from codeindexd.workers.pool import WorkerPool

log = structlog.get_logger(__name__)
T = TypeVar("T")
_URGENT_FILES = 32
_RESULTS_AHEAD = 16
_REMEMBERED_EDITS = 256  # files saved lately come first when all of a root has to be done again
_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 10.0  # what somebody who has made room waits at most; a try that fails costs next to nothing


@dataclass(frozen=True, slots=True)
class _Processed:
    ticket: Task
    result: FileResult


class Ingest:
    """The files of one root on their way through the workers into the catalog.

    ``on_hint`` is called with paths that have to be looked at again (they changed under the worker's hands or
    vanished), and ``on_commit`` after every commit.
    """

    def __init__(
        self,
        root: bytes,
        indexer: IndexWriter,
        pool: WorkerPool,
        problems: RootProblems,
        *,
        on_hint: Callable[[Iterable[bytes]], None],
        on_commit: Callable[[], None],
    ) -> None:
        self._root = root
        self._indexer = indexer
        self._pool = pool
        self._on_hint = on_hint
        self._on_commit = on_commit
        self._problems = problems
        self.queue = WorkQueue()
        self._run = Run()
        self.stages: dict[str, StageStats] = {}
        self.chunks_embedded = 0
        self._edited: deque[bytes] = deque(maxlen=_REMEMBERED_EDITS)
        self._attempts = {failure.path: failure.attempts for failure in indexer.catalog.failures()}
        self._ready: list[Transaction] = []
        self._slices_given = 0
        self._slices_kept = 0
        self._bulk: list[_Processed] = []
        self._bulk_chunks = 0
        self._urgent: list[_Processed] = []
        self._slices_of_run = 0
        self._wake = {True: anyio.Event(), False: anyio.Event()}
        self._commit_wake = anyio.Event()
        self._advanced = anyio.Event()
        self._running = anyio.Event()
        self._running.set()
        self._impatient = anyio.Event()
        self._committing = anyio.Lock()
        self._reread: set[bytes] = set()
        self._results_in: MemoryObjectSendStream[_Processed]
        self._results_out: MemoryObjectReceiveStream[_Processed]
        self._results_in, self._results_out = anyio.create_memory_object_stream(_RESULTS_AHEAD)

    # wishes

    def submit(
        self, slices: Sequence[Transaction], files: Sequence[Entry], gone: Iterable[bytes] = (), *, again: bool = False
    ) -> None:
        """Take over what a reconciliation found; returns at once. ``again`` re-does files that are pending already."""
        self._ready.extend(slices)
        self._slices_given += len(slices)
        since = {move.entry.path: self.queue.since(move.source) for part in slices for move in part.moves}
        redo = [move.entry for part in slices for move in part.moves if move.source in self.queue]
        leaves = (update.entry.path for part in slices for update in part.updates)
        if self.queue.forget({*gone, *leaves}):  # no result on its way may take the place of what is known now
            self._progress()
        files = [*files, *redo]
        urgent = len(files) <= _URGENT_FILES
        wanted = False
        if urgent:
            self._edited.extend(entry.path for entry in files)
        for entry in in_order(files, frozenset(self._edited)):
            wanted |= self.queue.want(entry, urgent=urgent, again=again, since=since.get(entry.path)) is not None
        if wanted:
            self._signal(urgent)
        if slices:
            self._commit_wake.set()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is wanted, in flight or waiting to be committed."""
        return not (self._ready or self.queue)

    @property
    def progress(self) -> Progress:
        """How far the present run is."""
        run = self._run
        return Progress(
            run.files_done, len(self.queue), run.chunks_done, time.monotonic() - run.started, is_idle=self.is_idle
        )

    def queue_lengths(self) -> dict[str, int]:
        """Files waiting by stage: for a worker, and for a commit."""
        waiting = len(self._bulk) + len(self._urgent)
        return {"read": max(0, len(self.queue) - waiting), "apply": waiting + len(self._ready)}

    async def drained(self) -> None:
        """Wait until all that is wanted now is committed or recorded as failed."""
        await self.transactions_committed()
        number = self.queue.latest  # a slice may have left files to be read
        while not self.queue.settled(number):
            await self._advanced.wait()

    def retry_now(self) -> None:
        """Somebody waits: do not sit out the pause after an error."""
        self._impatient.set()
        self._impatient = anyio.Event()

    async def transactions_committed(self) -> list[Task]:
        """Wait until the slices submitted so far are in, for a comparison with the catalog would not know of them.

        Returns what is in flight, of which the catalog does not know either.
        """
        given = self._slices_given
        while self._slices_kept < given:
            await self._advanced.wait()
        return self.queue.in_flight

    async def commit_finished(self) -> None:
        """Wait until the commit in progress is over."""
        async with self._committing:
            pass

    def pause(self) -> None:
        """Stop giving files to workers and committing; what is in flight comes back and waits."""
        if self._running.is_set():  # otherwise somebody waits for the present one
            self._running = anyio.Event()

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        self._running.set()
        self._signal(True)
        self._signal(False)

    # the service

    async def serve(self) -> None:
        """Run until cancelled. Abandoning a slice before its commit loses nothing: the next walk finds it again."""
        async with self._results_in, self._results_out, anyio.create_task_group() as tasks:
            tasks.start_soon(self._lane, True)
            tasks.start_soon(self._lane, False)
            tasks.start_soon(self._gather)
            tasks.start_soon(self._commit)

    def _signal(self, urgent: bool) -> None:
        self._wake[urgent].set()

    async def _lane(self, urgent: bool) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            await self._wake[urgent].wait()
            self._wake[urgent] = anyio.Event()
            await self._running.wait()
            taken: dict[int, Task] = {}
            try:
                async with aclosing(self._pool.process(self._jobs(urgent, taken), urgent=urgent)) as results:
                    async for result in results:
                        await self._results_in.send(_Processed(taken.pop(result.job_id), result))
                pause = _FIRST_PAUSE_S
                self._problems.clear(ProblemKey.WORKERS)
            except WorkerError as error:
                self._problems.set(ProblemKey.WORKERS, RootProblem.from_error(error))
                for ticket in taken.values():
                    self.queue.put_back(ticket)
                pause = await self._rest(pause)
                self._signal(urgent)

    async def _rest(self, pause: float) -> float:
        """Wait ``pause`` seconds, or until somebody is impatient; returns the next pause."""
        with anyio.move_on_after(pause):
            await self._impatient.wait()
        return min(pause * 2, _LONGEST_PAUSE_S)

    async def _jobs(self, urgent: bool, taken: dict[int, Task]) -> AsyncIterator[FileJob]:
        while self._running.is_set() and (ticket := self.queue.next(urgent=urgent)):
            taken[ticket.number] = ticket
            yield FileJob(
                ticket.number, self._root, ticket.path, size=ticket.entry.stat.size if ticket.entry.stat else 0
            )

    async def _gather(self) -> None:
        async for processed in self._results_out:
            if not self.queue.counts(processed.ticket):
                continue
            self._count(processed.result)
            if processed.ticket.urgent:
                self._urgent.append(processed)
            else:
                self._bulk.append(processed)
                self._bulk_chunks += len(processed.result.chunks)
            self._commit_wake.set()
            while len(self._bulk) > 4 * slice_limit(99).files:
                await self._advanced.wait()

    def _count(self, result: FileResult) -> None:
        failed = result.status is FileStatus.FAILED
        self.chunks_embedded += sum(chunk.embedded for chunk in result.chunks)
        for stage, seconds in result.seconds.items():
            self.stages.setdefault(stage, StageStats()).add(
                seconds, size_bytes=result.bytes_read, error=failed and stage == result.stage
            )
        if failed and result.stage not in result.seconds:
            self.stages.setdefault(result.stage or "worker", StageStats()).add(0.0, error=True)

    async def _commit(self) -> None:
        opened = time.monotonic()
        while True:
            limit = slice_limit(self._slices_of_run)
            if not self._commit_wake.is_set():
                patience = max(0.0, limit.seconds - (time.monotonic() - opened)) if self._bulk else None
                with anyio.move_on_after(patience):
                    await self._commit_wake.wait()
            self._commit_wake = anyio.Event()
            await self._running.wait()
            # A result follows the slices that were given before its file was asked for; more may come without end.
            slices = len(self._ready)
            urgent, self._urgent = self._urgent, []
            bulk = self._take_bulk(limit, len(urgent), time.monotonic() - opened)
            for _ in range(slices):
                await self._persist(self._ready[0])
                ready = self._ready.pop(0)
                if ready.moves:  # one whose source was gone by then has to be read
                    self.submit([], await self._until_possible(self._unprocessed))
                self._slices_kept += 1
                self._advance()
            if urgent:
                await self._commit_files(urgent)
            if bulk:
                self._slices_of_run += 1
                opened = time.monotonic()
                await self._commit_files(bulk)
            elif not self._bulk:
                opened = time.monotonic()

    def _take_bulk(self, limit: SliceLimit, urgent: int, waited_s: float) -> list[_Processed]:
        """The bulk results that make a slice by now, or none; ``urgent`` results are committed before them."""
        count, chunks = len(self._bulk), self._bulk_chunks
        complete = len(self.queue) <= count + urgent
        if not count or not (complete or limit.reached(chunks, count, waited_s)):
            return []
        bulk, self._bulk, self._bulk_chunks = self._bulk, [], 0
        return bulk

    async def _unprocessed(self) -> list[Entry]:
        return await anyio.to_thread.run_sync(lambda: list(self._indexer.catalog.unprocessed()))

    async def _commit_files(self, batch: list[_Processed]) -> None:
        async with self._committing:
            await self._commit_newest(batch)
        self._advance()

    async def _commit_newest(self, batch: list[_Processed]) -> None:
        newest: dict[bytes, _Processed] = {}
        for processed in sorted(batch, key=lambda processed: processed.ticket.number):
            if self.queue.counts(processed.ticket):
                newest[processed.ticket.path] = processed
        others = [processed for processed in newest.values() if self._is_other(processed)]
        self.submit([], [processed.ticket.entry for processed in others], again=True)
        batch = [processed for processed in newest.values() if processed not in others]
        updates: list[FileUpdate] = []
        failures: list[Failure] = []
        look_again: list[bytes] = []
        for processed in batch:
            result = processed.result
            if result.status is FileStatus.VANISHED:
                look_again.append(result.path)
                continue
            updates.append(_update(processed))
            if result.status is FileStatus.FAILED:
                failures.append(self._failure(result))
            else:
                self._attempts.pop(result.path, None)
                if not result.settled or result.leaf != processed.ticket.entry.hash:
                    look_again.append(result.path)
        if updates:
            await self._persist(Transaction(updates=updates, failures=failures))
        for processed in batch:
            self.queue.done(processed.ticket)
        self._run.files_done += len(batch)
        self._run.chunks_done += sum(len(update.chunks) for update in updates)
        if look_again:
            self._on_hint(look_again)

    def _is_other(self, processed: _Processed) -> bool:
        """Whether a worker read other bytes than the scan did; only once for a file, which may be written all the time.

        It may have been changed back before the scan, and then no event comes.
        """
        result = processed.result
        read = result.status in (FileStatus.INDEXED, FileStatus.SKIPPED) and self.queue.is_current(processed.ticket)
        if not read or result.leaf == processed.ticket.entry.hash or result.path in self._reread:
            self._reread.discard(result.path)
            return False
        self._reread.add(result.path)
        return True

    def _failure(self, result: FileResult) -> Failure:
        attempts = self._attempts.get(result.path, 0) + 1
        self._attempts[result.path] = attempts
        retry = 0 if result.quarantined else time.time_ns() + retry_delay_ns(attempts, result.stage)
        return Failure(result.path, result.stage, result.error, attempts, retry, result.quarantined)

    async def _persist(self, changes: Transaction) -> None:
        """Commit ``changes``; nothing is lost while the store has no room."""
        began = time.perf_counter()
        await self._until_possible(lambda: self._indexer.apply(changes))
        self.stages.setdefault("apply", StageStats()).add(time.perf_counter() - began)

    async def _until_possible(self, use_store: Callable[[], Awaitable[T]]) -> T:
        """The result of ``use_store``, which is tried again until the store can be used."""
        pause = _FIRST_PAUSE_S
        while True:
            try:
                result = await use_store()
            except StoreFullError as error:
                log.error("cannot commit", error=error.message)  # noqa: TRY400 - the trace would say nothing more
                self._problems.set(ProblemKey.STORE, RootProblem.from_error(error))
                pause = await self._rest(pause)
                continue
            self._problems.clear(ProblemKey.STORE)
            return result

    def _advance(self) -> None:
        if self.is_idle:
            self._run = Run()
            self._slices_of_run = 0
        self._progress()
        self._on_commit()

    def _progress(self) -> None:
        self._advanced.set()
        self._advanced = anyio.Event()


def _update(processed: _Processed) -> FileUpdate:
    result, entry = processed.result, processed.ticket.entry
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
    )
