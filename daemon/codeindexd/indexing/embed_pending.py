"""Brings in the vectors that did not come with their chunks: a slow model, an endpoint, a model that changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice

import anyio
import anyio.to_thread
import numpy as np
import structlog

from codeindexd.analysis.embedding.base import Embedder, RowsRefusedError, Vectors
from codeindexd.errors import EmbedderError, StoreFullError, WorkerError
from codeindexd.indexing.problems import ProblemKey, RootProblem, RootProblems
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.types import StoredChunk
from codeindexd.workers.jobs import TextRange, TextsJob, TextsStatus
from codeindexd.workers.pool import WorkerPool

log = structlog.get_logger(__name__)
_BATCH_CHUNKS = 512
_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 300.0  # an endpoint is not to be pressed
_LONGEST_LOCAL_PAUSE_S = 10.0  # a disk is


class PendingEmbedder:
    """Embeds the pending chunks of one root, newest first, without ever holding up text search.

    Texts are read again from the disk by the workers, guarded by the file's leaf hash; a file that changed meanwhile
    is left to the change that is on its way.
    """

    def __init__(
        self,
        root: bytes,
        index: IndexWriter,
        pool: WorkerPool,
        embedder: Embedder,
        problems: RootProblems,
        *,
        on_hint: Callable[[list[bytes]], None],
    ) -> None:
        self._root = root
        self._index = index
        self._pool = pool
        self._embedder = embedder
        self._on_hint = on_hint
        self._problems = problems
        self._wake = anyio.Event()
        self._unread: set[int] = set()  # their files were not what the catalog says; a commit may change that
        self.chunks_embedded = 0

    def wake(self) -> None:
        """Chunks without vectors may have been committed, or followed to where their files were moved."""
        self._wake.set()

    async def serve(self) -> None:
        """Run until cancelled."""
        pause = _FIRST_PAUSE_S
        while True:
            if self._wake.is_set():
                self._unread.clear()
            self._wake = anyio.Event()
            batch = self._next_batch()
            if not batch:
                await self._wake.wait()
                continue
            try:
                await self._embed(batch)
            except (EmbedderError, StoreFullError, WorkerError) as error:
                self._problems.set(ProblemKey.EMBEDDER, RootProblem.from_error(error))
                await anyio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S if isinstance(error, EmbedderError) else _LONGEST_LOCAL_PAUSE_S)
            else:
                self._problems.clear(ProblemKey.EMBEDDER)
                pause = _FIRST_PAUSE_S

    def _next_batch(self) -> list[int]:
        """The newest chunks that can be embedded now."""
        refused = self._index.refused_vectors
        newest = reversed(list(self._index.pending_vectors))  # copied in one step: the writing thread changes it
        return list(islice((i for i in newest if i not in refused and i not in self._unread), _BATCH_CHUNKS))

    async def _embed(self, batch: list[int]) -> None:
        found, files = await anyio.to_thread.run_sync(self._look_up, batch)
        texts: dict[bytes, str] = {}
        changed: list[bytes] = []
        jobs = [
            TextsJob(
                job_id=number,
                root=self._root,
                path=path,
                leaf=leaf,
                ranges=tuple(TextRange(c.span.start_byte, c.span.end_byte, c.embed_hash) for c in chunks),
            )
            for number, (path, (leaf, chunks)) in enumerate(files.items())
        ]
        async for result in self._pool.texts(jobs):
            if result.status is not TextsStatus.OK:
                changed.append(result.path)
                continue
            for wanted, text in zip(jobs[result.job_id].ranges, result.texts, strict=True):
                texts[wanted.embed_hash] = text
        asked = set(texts)
        if texts:
            texts, vectors = await self._vectors_of(texts)
            self.chunks_embedded += len(texts)
            halves = np.ascontiguousarray(vectors, dtype="<f2")
            by_hash = {embed_hash: halves[row].tobytes() for row, embed_hash in enumerate(texts)}
            for _, chunks in files.values():
                found.update((c.chunk_id, by_hash[c.embed_hash]) for c in chunks if c.embed_hash in by_hash)
        if found:
            await self._index.write(self._index.add_vectors, found)
        hash_of = {chunk.chunk_id: chunk.embed_hash for _, chunks in files.values() for chunk in chunks}
        lacking = set(batch) - found.keys()
        refused = {chunk_id for chunk_id in lacking if hash_of.get(chunk_id) in asked}
        self._unread |= lacking - refused
        if refused:
            await self._index.write(self._index.refuse_vectors, refused)
        if changed:
            self._on_hint(changed)

    async def _vectors_of(self, texts: dict[bytes, str]) -> tuple[dict[bytes, str], Vectors]:
        """Vectors of texts by embed hash; a text that the model has no finite vector for is left out, not retried."""
        try:
            return texts, await self._embedder.embed_documents(list(texts.values()))
        except RowsRefusedError as error:
            log.warning("texts without a vector", count=len(error.rows), error=error.message)
            refused = set(error.rows)
            kept = {h: text for row, (h, text) in enumerate(texts.items()) if row not in refused}
            return kept, np.delete(error.vectors, sorted(refused), axis=0)

    def _look_up(self, batch: list[int]) -> tuple[dict[int, bytes], dict[bytes, tuple[bytes, list[StoredChunk]]]]:
        """What the vector store has for these chunks by now, and the rest by file with the file's leaf hash."""
        found: dict[int, bytes] = {}
        files: dict[bytes, tuple[bytes, list[StoredChunk]]] = {}
        with self._index.catalog.snapshot() as snapshot:
            chunks: Mapping[int, StoredChunk] = snapshot.chunks(batch)
            hashes = [chunk.embed_hash for chunk in chunks.values()]
            stored = self._index.vectors.get_many(self._index.space.identity, hashes)
            for chunk_id, chunk in chunks.items():
                if chunk.embed_hash in stored:
                    found[chunk_id] = stored[chunk.embed_hash]
                elif chunk.path in files:
                    files[chunk.path][1].append(chunk)
                elif file := snapshot.file(chunk.path):
                    files[chunk.path] = (file.entry.hash, [chunk])
        return found, files
