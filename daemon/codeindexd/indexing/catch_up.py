"""Brings projections that missed commits up to date with the catalog, while queries and new commits continue."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import anyio
import structlog

from codeindexd.errors import FailedError, StoreFullError, WorkerError
from codeindexd.indexing.problems import ProblemKey, RootProblem, RootProblems
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.storage.text import Document
from codeindexd.types import ChunkDraft, Entry, IndexedChunk, StoredChunk
from codeindexd.waiting import Broadcast, Signal
from codeindexd.workers.jobs import FileJob, FileStatus
from codeindexd.workers.pool import WorkerPool

log = structlog.get_logger(__name__)
_BATCH_CHUNKS = 2_000
_BATCH_FILES = 200
_RETRY_S = 10.0
_LAGGING = RootProblem(
    "the index is catching up with missed changes", "nothing to do: until it has caught up, answers may lack some code"
)


class CatchUp:
    """Keeps the projections of one root at the catalog's generation, retrying after errors.

    - ``on_hint(paths)``: files that changed meanwhile, to be scanned again.
    - ``on_reprocess(files)``: files that have to be processed again.
    - ``on_caught_up()``: no projection lags.
    """

    def __init__(
        self,
        root: bytes,
        index: IndexWriter,
        pool: WorkerPool,
        problems: RootProblems,
        *,
        on_hint: Callable[[list[bytes]], None],
        on_reprocess: Callable[[list[Entry]], None],
        on_caught_up: Callable[[], None],
    ) -> None:
        self._root = root
        self._index = index
        self._pool = pool
        self._problems = problems
        self._on_hint = on_hint
        self._on_reprocess = on_reprocess
        self._on_caught_up = on_caught_up
        self._lagging = Signal()
        self._caught_up = Broadcast()

    def trigger(self) -> None:
        """Catch up soon, because a projection may lag."""
        self._lagging.set()

    async def serve(self) -> None:
        """Catch up at once, and after every :meth:`trigger`; runs until cancelled."""
        while True:
            self._lagging.clear()
            await self.run()
            await self._lagging.wait()

    async def run(self) -> None:
        """Catch up, and return once no projection lags; errors become problems of the root and are retried."""
        if self._index.lag.has_lag:
            self._report_lag()
        while self._index.lag.has_lag:
            try:
                await catch_up(
                    self._root,
                    self._index,
                    self._pool,
                    on_hint=self._on_hint,
                    on_reprocess=self._on_reprocess,
                    on_written=self._report_lag,
                )
            except (FailedError, StoreFullError, WorkerError) as error:
                self._problems.set(ProblemKey.CATCH_UP, RootProblem.from_error(error))
                await anyio.sleep(_RETRY_S)
        self._problems.clear(ProblemKey.CATCH_UP)
        self._on_caught_up()
        self._caught_up.notify_all()

    def _report_lag(self) -> None:
        """Report that the index is catching up. An error stays the problem until something could be written again."""
        self._problems.set(ProblemKey.CATCH_UP, _LAGGING)

    async def wait_for_lexical(self) -> None:
        """Wait until the lexical index does not lag."""
        while self._index.lag.lexical:
            await self._caught_up.wait()


async def catch_up(
    root: bytes,
    index: IndexWriter,
    pool: WorkerPool,
    *,
    on_hint: Callable[[list[bytes]], None],
    on_reprocess: Callable[[list[Entry]], None],
    on_written: Callable[[], None] = lambda: None,
) -> int:
    """Bring the projections of a root up to date with its catalog; return how many chunks the lexical index gained.

    Lexical terms are stored nowhere else, so the files are read again. A file whose content is no longer the catalogued
    one is passed to ``on_hint``. If the lexical index still lacks chunks of it in the end, it is also passed to
    ``on_reprocess``, because the next scan may find no change that would replace them (after a move, for example).
    ``on_written`` is called after each write, except the last. Raises StoreFullError, FailedError, WorkerError.
    """
    if index.lag.dense:
        await index.write(index.catch_up_dense)
        on_written()
    if index.lag.text:
        await _catch_up_text(root, index, pool, on_hint=on_hint)
    if not index.lag.lexical:
        return 0
    missing = await index.write(index.find_missing_lexical)
    log.info("catching_up", root=root, files=len(missing), chunks=sum(map(len, missing.values())))
    jobs = [FileJob(job_id=number, root=root, path=path) for number, path in enumerate(missing)]
    added = 0
    batch: list[IndexedChunk] = []
    changed: list[bytes] = []
    async for result in pool.process(jobs):
        matching = match_chunks(missing[result.path], result.language, result.chunks)
        if len(matching) < len(missing[result.path]):
            changed.append(result.path)
        batch.extend(matching)
        if len(batch) >= _BATCH_CHUNKS:
            await index.write(index.add_lexical, batch)
            on_written()
            added += len(batch)
            batch = []
    await index.write(index.add_lexical, batch)
    if unprocessed := await index.write(index.mark_lexical_current):
        on_reprocess(unprocessed)
    if changed:
        on_hint(changed)
    return added + len(batch)


async def _catch_up_text(
    root: bytes, index: IndexWriter, pool: WorkerPool, *, on_hint: Callable[[list[bytes]], None]
) -> None:
    """Read the files whose content is missing from the text index, and add them; changed files become hints."""
    missing = await index.write(index.find_missing_text)
    if missing:
        log.info("catching_up_text", root=root, files=len(missing))
    contents = {file.entry.path: content for content, file in missing.items()}
    jobs = [FileJob(job_id=number, root=root, path=path, text_only=True) for number, path in enumerate(contents)]
    batch: list[Document] = []
    changed: list[bytes] = []
    async for result in pool.process(jobs):
        if result.status is not FileStatus.INDEXED or result.leaf != contents[result.path]:
            changed.append(result.path)
            continue
        batch.append(Document.from_bytes(result.leaf, result.trigrams, is_masked=result.is_masked))
        if len(batch) >= _BATCH_FILES:
            await index.write(index.add_text, batch)
            batch = []
    await index.write(index.add_text, batch)
    await index.write(index.mark_text_current)
    if changed:
        on_hint(changed)


def match_chunks(chunks: Iterable[StoredChunk], language: str, drafts: Iterable[ChunkDraft]) -> list[IndexedChunk]:
    """Return the catalogued ``chunks`` of a file that are also among its present ``drafts``, with their drafts."""
    by_key = {draft.key: draft for draft in drafts}
    return [
        IndexedChunk(chunk.chunk_id, chunk.file_id, language, draft)
        for chunk in chunks
        if (draft := by_key.get(chunk.key)) is not None
    ]
