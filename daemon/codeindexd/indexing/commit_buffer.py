"""Holds results until they are due for their commit."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

import anyio
from msgspec import Struct

from codeindexd.indexing.policy import MOST_COMMITS_DOUBLED, commit_limit
from codeindexd.indexing.queue import Task
from codeindexd.types import Transaction
from codeindexd.waiting import Signal
from codeindexd.workers.jobs import FileResult

_LARGEST = commit_limit(MOST_COMMITS_DOUBLED)
_MOST_BULK_FILES = 4 * _LARGEST.files
_MOST_BULK_CHUNKS = _LARGEST.chunks  # they hold most of the memory


class ProcessedFile(Struct, frozen=True):
    """A task and the result that its worker returned."""

    task: Task
    result: FileResult


class DueCommits(Struct, frozen=True):
    """The work to commit now: the first ``transactions`` transactions in the buffer, then urgent and bulk files."""

    transactions: int
    urgent: Sequence[ProcessedFile]
    bulk: Sequence[ProcessedFile]


class CommitBuffer:
    """Transactions that need no worker, and processed files. Urgent files are due at once, bulk files in groups."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.transactions: deque[Transaction] = deque()
        self._urgent: list[ProcessedFile] = []
        self._bulk: list[ProcessedFile] = []
        self._bulk_chunks = 0
        self._bulk_commits = 0
        self._clock = clock
        self._bulk_since = clock()  # when bulk files were last committed, or when none was last waiting
        self._added = Signal()

    @property
    def file_count(self) -> int:
        """The number of processed files in the buffer."""
        return len(self._urgent) + len(self._bulk)

    @property
    def is_full(self) -> bool:
        """True if no more bulk files should be processed before some are committed."""
        return len(self._bulk) > _MOST_BULK_FILES or self._bulk_chunks > _MOST_BULK_CHUNKS

    def add_transactions(self, transactions: Sequence[Transaction]) -> None:
        """Append transactions, which are committed before files that are added later."""
        if transactions:
            self.transactions.extend(transactions)
            self._added.set()

    def add_processed(self, processed: ProcessedFile) -> None:
        """Append a processed file."""
        if processed.task.urgent:
            self._urgent.append(processed)
        else:
            self._bulk.append(processed)
            self._bulk_chunks += len(processed.result.chunks)
        self._added.set()

    def start_run(self) -> None:
        """Begin a new run, whose first bulk commits are small again."""
        self._bulk_commits = 0

    async def wait(self) -> None:
        """Wait until something is added, or until the waiting bulk files are due because of their age."""
        if self._bulk and not self._added.is_set():
            timeout_s = commit_limit(self._bulk_commits).seconds - (self._clock() - self._bulk_since)
            with anyio.move_on_after(max(0.0, timeout_s)):
                await self._added.wait()
        else:
            await self._added.wait()

    def take_due(self, pending_files: int) -> DueCommits:
        """Return the work that is due. Files leave the buffer, transactions stay in it until they are committed.

        ``pending_files`` is the number of files that wait for a worker or for their commit.
        """
        urgent, self._urgent = self._urgent, []
        bulk: list[ProcessedFile] = []
        if self._is_bulk_due(pending_files - len(urgent)):
            bulk = self._take_bulk(commit_limit(self._bulk_commits).chunks)
            self._bulk_commits += 1
        if bulk or not self._bulk:
            self._bulk_since = self._clock()
        return DueCommits(len(self.transactions), urgent, bulk)

    def _take_bulk(self, most_chunks: int) -> list[ProcessedFile]:
        """Remove the oldest bulk files, with about ``most_chunks`` chunks, from the buffer, and return them."""
        count = chunks = 0
        while count < len(self._bulk) and chunks < most_chunks:
            chunks += len(self._bulk[count].result.chunks)
            count += 1
        taken, self._bulk = self._bulk[:count], self._bulk[count:]
        self._bulk_chunks -= chunks
        if self._bulk:
            self._added.set()  # the rest may be due as well
        return taken

    def _is_bulk_due(self, pending_files: int) -> bool:
        files = len(self._bulk)
        is_complete = pending_files <= files
        limit = commit_limit(self._bulk_commits)
        age_s = self._clock() - self._bulk_since
        return files > 0 and (is_complete or limit.is_reached(self._bulk_chunks, files, age_s))
