"""Brings projections that missed commits up to the catalog, while queries and new commits go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import structlog

from codeindexd.storage.index_writer import IndexWriter
from codeindexd.types import ChunkDraft, Entry, IndexedChunk, StoredChunk
from codeindexd.workers.jobs import FileJob
from codeindexd.workers.pool import WorkerPool

log = structlog.get_logger(__name__)
_BATCH_CHUNKS = 2_000


async def replay(
    root: bytes,
    indexer: IndexWriter,
    pool: WorkerPool,
    *,
    on_hint: Callable[[list[bytes]], None],
    on_again: Callable[[list[Entry]], None],
) -> int:
    """Bring both projections of a root up to its catalog; returns how many chunks were put back into the lexical one.

    Lexical terms are not stored anywhere else, so the files are read again. One whose bytes are no longer those that
    were catalogued becomes a hint, and is handed to ``on_again`` if chunks of it are still lacking in the end: the
    change that follows may well keep them (a move does). Raises StoreFullError, WorkerError.
    """
    if indexer.behind.dense:
        await indexer.replay_dense()
    if not indexer.behind.lexical:
        return 0
    missing = await indexer.missing_lexical()
    log.info("replaying", root=root, files=len(missing), chunks=sum(map(len, missing.values())))
    jobs = [FileJob(job_id=number, root=root, path=path) for number, path in enumerate(missing)]
    put_back = 0
    batch: list[IndexedChunk] = []
    changed: list[bytes] = []
    async for result in pool.process(jobs):
        found = matched(missing[result.path], result.language, result.chunks)
        if len(found) < len(missing[result.path]):
            changed.append(result.path)
        batch.extend(found)
        if len(batch) >= _BATCH_CHUNKS:
            await indexer.add_lexical(batch)
            put_back += len(batch)
            batch = []
    await indexer.add_lexical(batch)
    if again := await indexer.lexical_is_up():
        on_again(again)
    if changed:
        on_hint(changed)
    return put_back + len(batch)


def matched(chunks: Iterable[StoredChunk], language: str, drafts: Iterable[ChunkDraft]) -> list[IndexedChunk]:
    """Those catalogued ``chunks`` of a file that are among the ``drafts`` it gives now, with all their index terms."""
    by_key = {draft.key: draft for draft in drafts}
    return [
        IndexedChunk(chunk.chunk_id, chunk.file_id, language, draft)
        for chunk in chunks
        if (draft := by_key.get(chunk.key)) is not None
    ]
