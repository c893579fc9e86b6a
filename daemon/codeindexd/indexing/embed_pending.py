"""Adds vectors that were not computed with their chunks: for a slow model, an endpoint, or a changed model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import islice

import anyio
import anyio.to_thread
import numpy as np
import structlog
from msgspec import Struct

from codeindexd.analysis.embedding.base import Embedder, RowsRefusedError, Vectors
from codeindexd.errors import EmbedderError, StoreFullError, WorkerError
from codeindexd.indexing.problems import ProblemKey, RootProblem, RootProblems
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.types import StoredChunk
from codeindexd.waiting import Backoff, Signal
from codeindexd.workers.jobs import TextRange, TextsJob, TextsStatus
from codeindexd.workers.pool import WorkerPool

log = structlog.get_logger(__name__)
_BATCH_CHUNKS = 512
_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 300.0  # spares an endpoint that is overloaded
_LONGEST_LOCAL_PAUSE_S = 10.0


class _File(Struct, frozen=True):
    """A catalogued file's leaf hash, and its chunks that have to be embedded."""

    leaf: bytes
    chunks: list[StoredChunk]


class PendingEmbedder:
    """Embeds the pending chunks of one root, newest first, without ever delaying text search.

    Workers read the texts from the disk again, provided that the file still has the catalogued leaf hash. A file that
    changed meanwhile is passed to ``on_hint``; its commit makes its chunks pending again.
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
        self._problems = problems
        self._on_hint = on_hint
        self._committed = Signal()
        self._unreadable: set[int] = set()  # chunks of files that changed or cannot be read; retried after a commit
        self.chunks_embedded = 0

    def wake(self) -> None:
        """Check for pending chunks soon, because of a commit."""
        self._committed.set()

    async def serve(self) -> None:
        """Embed all pending chunks, also later ones; runs until cancelled."""
        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        while True:
            if self._committed.is_set():
                self._committed.clear()
                self._unreadable.clear()
            batch = self._next_batch()
            if not batch:
                await self._committed.wait()
                self._unreadable.clear()
                continue
            try:
                await self._embed(batch)
            except (EmbedderError, StoreFullError, WorkerError) as error:
                self._problems.set(ProblemKey.EMBEDDER, RootProblem.from_error(error))
                is_local = not isinstance(error, EmbedderError)
                await anyio.sleep(backoff.next_s(at_most_s=_LONGEST_LOCAL_PAUSE_S if is_local else None))
            else:
                self._problems.clear(ProblemKey.EMBEDDER)
                backoff.reset()

    def _next_batch(self) -> list[int]:
        """Return the newest chunks that can be embedded now."""
        excluded = self._index.refused_vectors | self._unreadable
        newest = reversed(list(self._index.pending_vectors))  # copied in one step, since the writing thread changes it
        return list(islice((chunk_id for chunk_id in newest if chunk_id not in excluded), _BATCH_CHUNKS))

    async def _embed(self, batch: Collection[int]) -> None:
        vectors, files = await anyio.to_thread.run_sync(self._look_up, batch)
        texts, changed = await self._read_texts(files)
        if texts:
            embedded = await self._embed_texts(texts)
            self.chunks_embedded += len(embedded)
            chunks = (chunk for file in files.values() for chunk in file.chunks)
            vectors.update((c.chunk_id, embedded[c.embed_hash]) for c in chunks if c.embed_hash in embedded)
        if vectors:
            await self._index.write(self._index.add_vectors, vectors)
        await self._exclude(set(batch) - vectors.keys(), files, asked=texts.keys())
        if changed:
            self._on_hint(changed)

    def _look_up(self, batch: Collection[int]) -> tuple[dict[int, bytes], dict[bytes, _File]]:
        """Return the vectors that are in the shared store, by chunk id, and the other chunks of ``batch`` by path."""
        vectors: dict[int, bytes] = {}
        files: dict[bytes, _File] = {}
        with self._index.catalog.snapshot() as snapshot:
            chunks: Mapping[int, StoredChunk] = snapshot.chunks(list(batch))
            hashes = [chunk.embed_hash for chunk in chunks.values()]
            stored = self._index.stored_vectors(hashes)
            for chunk_id, chunk in chunks.items():
                if chunk.embed_hash in stored:
                    vectors[chunk_id] = stored[chunk.embed_hash]
                elif chunk.path in files:
                    files[chunk.path].chunks.append(chunk)
                elif file := snapshot.file(chunk.path):
                    files[chunk.path] = _File(file.entry.hash, [chunk])
        return vectors, files

    async def _read_texts(self, files: Mapping[bytes, _File]) -> tuple[dict[bytes, str], list[bytes]]:
        """Return the texts of chunks by embed hash, and the paths of files that changed or cannot be read."""
        jobs = [
            TextsJob(
                job_id=number,
                root=self._root,
                path=path,
                leaf=file.leaf,
                ranges=tuple(TextRange(c.span.start_byte, c.span.end_byte, c.embed_hash) for c in file.chunks),
            )
            for number, (path, file) in enumerate(files.items())
        ]
        texts: dict[bytes, str] = {}
        changed: list[bytes] = []
        async for result in self._pool.texts(jobs):
            if result.status is not TextsStatus.OK:
                changed.append(result.path)
                continue
            for part, text in zip(jobs[result.job_id].ranges, result.texts, strict=True):
                texts[part.embed_hash] = text
        return texts, changed

    async def _embed_texts(self, texts: Mapping[bytes, str]) -> dict[bytes, bytes]:
        """Return the vectors (little-endian float16) by embed hash; texts that the model refuses are missing.

        Raises EmbedderError.
        """
        hashes = list(texts)
        vectors: Vectors
        try:
            vectors = await self._embedder.embed_documents(list(texts.values()))
        except RowsRefusedError as error:
            log.warning("texts_without_vector", count=len(error.rows), error=error.message)
            refused = set(error.rows)
            hashes = [embed_hash for row, embed_hash in enumerate(hashes) if row not in refused]
            vectors = np.delete(error.vectors, sorted(refused), axis=0)
        halves = np.ascontiguousarray(vectors, dtype="<f2")
        return {embed_hash: halves[row].tobytes() for row, embed_hash in enumerate(hashes)}

    async def _exclude(self, chunk_ids: set[int], files: Mapping[bytes, _File], *, asked: Collection[bytes]) -> None:
        """Exclude chunks without a vector from further tries: those the model refused, and those not readable now.

        ``asked`` are the embed hashes of the texts that were given to the model.
        """
        hash_of = {chunk.chunk_id: chunk.embed_hash for file in files.values() for chunk in file.chunks}
        refused = {chunk_id for chunk_id in chunk_ids if hash_of.get(chunk_id) in asked}
        self._unreadable |= chunk_ids - refused
        if refused:
            await self._index.write(self._index.refuse_vectors, refused)
