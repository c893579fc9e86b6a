"""Has workers read files that are too large or generated, so that exact search reads only those that may match."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

import anyio
import anyio.to_thread
import structlog

from codeindexd.errors import CodeindexError
from codeindexd.scan.safe_read import current_stat, settles_soon
from codeindexd.scan.size_limits import MOST_TEXT_BYTES
from codeindexd.storage.catalog.skipped_texts import TEXTUAL_REASONS, ReadText, SkippedText
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.storage.text import Document
from codeindexd.types import FileStat
from codeindexd.waiting import Backoff, Signal
from codeindexd.workers.jobs import FileJob, FileStatus
from codeindexd.workers.pool import WorkerPool

log = structlog.get_logger(__name__)
_QUIET_S: Final = 5.0
_LONGEST_LOOK_S: Final = 60.0  # for whether a busy or paused root is caught up
_MOST_OF_TIME: Final = 0.02  # the share that may be spent on reading
_LONGEST_PAUSE_S: Final = 600.0
_BYTES_AT_ONCE: Final = 32 << 20
_FILES_AT_ONCE: Final = 500


class SkippedTexts:
    """Has workers read the skipped files of a root that may be text, in quiet times.

    No event or scan says that such a file changed, but the stat of its last reading does: exact search compares it,
    reads the changed files itself, and has them read again here. So this saves time, and no answer depends on it.
    """

    def __init__(self, root: bytes, index: IndexWriter, pool: WorkerPool, *, is_caught_up: Callable[[], bool]) -> None:
        """``is_caught_up`` returns True if no file waits."""
        self._root = root
        self._index = index
        self._pool = pool
        self._is_caught_up = is_caught_up
        self._wanted = Signal()
        self._wanted.set()
        self._unusable: dict[int, FileStat] = {}  # of files that are not read again until their stat changes, by id

    def note_unread(self) -> None:
        """Schedule the reading of unread files."""
        self._wanted.set()

    async def serve(self) -> None:
        """Read what is unread at once, and after every :meth:`note_unread`, until cancelled.

        Reading takes a bounded share of the time, since a large file may change all the time.
        """
        looks = Backoff(_QUIET_S, _LONGEST_LOOK_S)
        while True:
            await self._wanted.wait()
            await anyio.sleep(looks.next_s())
            if not self._is_caught_up():
                self._wanted.set()
                continue
            looks.reset()
            self._wanted.clear()
            began = time.monotonic()
            try:
                await self.read()
            except CodeindexError as error:
                log.warning("skipped_files_not_read", root=self._root, error=error.message)
            await anyio.sleep(min((time.monotonic() - began) / _MOST_OF_TIME, _LONGEST_PAUSE_S))

    async def read(self) -> int:
        """Read the unread files now, and return how many were read. Raises StoreFullError, WorkerError, FailedError."""
        unread = await anyio.to_thread.run_sync(self._find_unread)
        read = 0
        for part in _batches(unread):
            jobs = [
                FileJob(number, self._root, text.path, size=stat.size, text_only=True)
                for number, (text, stat) in enumerate(part)
            ]
            texts: list[ReadText] = []
            documents: list[Document] = []
            async for result in self._pool.process(jobs):
                text, stat = part[result.job_id]
                if result.status not in (FileStatus.INDEXED, FileStatus.SKIPPED) or result.stat is None:
                    self._unusable[text.file_id] = stat
                elif result.steady and result.settled:
                    texts.append(ReadText(text.file_id, result.leaf, result.stat, result.long_runs))
                    documents.append(Document.from_bytes(result.leaf, result.trigrams, is_masked=result.is_masked))
                elif not settles_soon(stat, time.time_ns()):
                    self._unusable[text.file_id] = stat
            await self._index.write(self._index.add_read_texts, texts, documents)
            read += len(texts)
        return read

    def _find_unread(self) -> list[tuple[SkippedText, FileStat]]:
        """Return the files to read, each with its present stat. Blocking; opens no store if there are none."""
        if self._index.catalog.counts().skipped.keys().isdisjoint(TEXTUAL_REASONS):
            return []
        with self._index.current.pin() as snapshot:
            skipped = snapshot.catalog.skipped_texts(snapshot.read_round) if snapshot is not None else []
        ids = {text.file_id for text in skipped}
        self._unusable = {file_id: stat for file_id, stat in self._unusable.items() if file_id in ids}
        return list(self._changed(skipped))

    def _changed(self, skipped: list[SkippedText]) -> Iterator[tuple[SkippedText, FileStat]]:
        """Yield those that can be read and differ from what is recorded of them, each with its present stat."""
        for text in skipped:
            stat = current_stat(self._root, text.path)
            if stat is None or stat.size > MOST_TEXT_BYTES or stat in (text.stat, self._unusable.get(text.file_id)):
                continue
            yield text, stat


def _batches(files: list[tuple[SkippedText, FileStat]]) -> Iterator[list[tuple[SkippedText, FileStat]]]:
    """Yield the files in batches, each with a bounded number of files and bytes."""
    batch: list[tuple[SkippedText, FileStat]] = []
    size = 0
    for text, stat in files:
        batch.append((text, stat))
        size += stat.size
        if size >= _BYTES_AT_ONCE or len(batch) >= _FILES_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
