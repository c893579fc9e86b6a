"""Compares a sample of the vectors with freshly computed ones, for models that do not run in workers."""

from __future__ import annotations

import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from codeindexd.errors import EmbedderError
from codeindexd.roots.verify.audit_result import AuditResult
from codeindexd.roots.verify.compare import add_difference_at, is_same_vector
from codeindexd.roots.verify.target import AuditTarget
from codeindexd.types import StoredChunk
from codeindexd.workers.jobs import TextRange, TextsJob, TextsStatus

_SAMPLE_CHUNKS = 128  # a transformer needs seconds for these, and minutes or hours for all


async def compare_sample(target: AuditTarget, found: AuditResult) -> None:
    """Embed chunks, evenly spread over the ids, and compare the vectors; add a note if the model cannot be used now."""
    picked = await anyio.to_thread.run_sync(_pick, target)
    jobs = [
        TextsJob(number, target.path, chunk.path, leaf, (TextRange(0, 0, chunk.embed_hash),))
        for number, (chunk, leaf) in enumerate(picked)
    ]
    texts: dict[int, str] = {}
    async for result in target.pool.texts(jobs):
        if result.status is TextsStatus.OK:
            texts[result.job_id] = result.texts[0]
    if not texts:
        return
    try:
        fresh = await target.embedder.embed_documents(list(texts.values()))
    except EmbedderError as error:
        found.notes.append(f"vectors were not compared with the model: {error.message}")
        return
    chunks = [picked[number][0] for number in texts]
    await anyio.to_thread.run_sync(_compare, target, chunks, np.ascontiguousarray(fresh, dtype="<f2"), found)
    found.notes.append(f"{len(texts)} of the vectors were computed again; the others were compared with the store")


def _pick(target: AuditTarget) -> list[tuple[StoredChunk, bytes]]:
    """Return the chunks of the sample, all with a vector, each with the leaf hash of its file."""
    with target.index.current.pin() as snapshot:
        if snapshot is None or snapshot.identity != target.index.space.identity:
            return []
        ids = snapshot.dense.ids()
        if not len(ids):
            return []
        chosen = np.unique(ids[np.linspace(0, len(ids) - 1, min(_SAMPLE_CHUNKS, len(ids))).astype(np.int64)])
        chunks = snapshot.catalog.chunks(chosen.tolist()).values()
        files = snapshot.catalog.files_by_id({chunk.file_id for chunk in chunks})
        return [(chunk, files[chunk.file_id].entry.hash) for chunk in chunks if chunk.file_id in files]


def _compare(target: AuditTarget, chunks: list[StoredChunk], fresh: NDArray[np.float16], found: AuditResult) -> None:
    with target.index.current.pin() as snapshot:
        if snapshot is None:
            return
        for row, chunk in enumerate(chunks):
            indexed = snapshot.dense.vector(chunk.chunk_id)
            if indexed is not None and not is_same_vector(fresh[row].tobytes(), indexed):
                found.dense.add(chunk.chunk_id)
                found.embed_hashes.add(chunk.embed_hash)
                add_difference_at(chunk, "dense index", "the vector of {} is not that of their text", found)
