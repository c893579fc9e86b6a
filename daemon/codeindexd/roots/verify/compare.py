"""Files as the workers see them now against the same files in the catalog and in both projections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codeindexd.roots.verify.findings import Audit
from codeindexd.roots.verify.target import AuditTarget
from codeindexd.storage.projections import lexical_chunk
from codeindexd.storage.snapshot import Snapshot
from codeindexd.types import ChunkDraft, IndexedChunk, Outcome, StoredChunk, StoredFile
from codeindexd.workers.jobs import FileResult, FileStatus

SAME = 0.9995
"""Cosine from which two vectors are the same one: they are stored with eleven bits, and models round by batch."""

_OUTCOMES = {FileStatus.INDEXED: Outcome.INDEXED, FileStatus.SKIPPED: Outcome.SKIPPED}


def compare_files(target: AuditTarget, results: Sequence[FileResult], found: Audit) -> None:
    """Hold freshly processed files against the current snapshot; one that changed in between is left out."""
    with target.index.current.pin() as snapshot:
        if snapshot is None:
            return
        pairs: list[tuple[StoredChunk, ChunkDraft]] = []
        for result in results:
            file = snapshot.catalog.file(result.path)
            if file is None or result.status is FileStatus.VANISHED or (result.leaf and result.leaf != file.entry.hash):
                continue
            stored = snapshot.catalog.chunks_of_file(result.path)
            if difference := _difference(file, stored, result):
                found.differ(result.path, "chunks", difference)
            elif file.outcome is Outcome.INDEXED:
                found.files += 1
                found.chunks += len(stored)
                pairs += zip(stored, result.chunks, strict=True)
        _compare_lexical(snapshot, pairs, found)
        _compare_vectors(target, snapshot, pairs, found)


def _difference(file: StoredFile, stored: Sequence[StoredChunk], result: FileResult) -> str:
    if result.status is FileStatus.FAILED:
        return f"the file cannot be processed again: {result.error}"
    if _OUTCOMES[result.status] is not file.outcome:
        return f"catalogued as {file.outcome.name.lower()}, now {result.status}"
    if result.fingerprint != file.fingerprint:
        return "made by another version of the pipeline"
    if result.status is FileStatus.INDEXED and (result.language, result.encoding) != (file.language, file.encoding):
        return f"catalogued as {file.language} in {file.encoding}, now {result.language} in {result.encoding}"
    if len(stored) != len(result.chunks):
        return f"{len(stored)} chunks are catalogued, {len(result.chunks)} are cut now"
    for chunk, draft in zip(stored, result.chunks, strict=True):
        if (chunk.span, chunk.key) != (draft.span, draft.key):
            return f"{_lines(chunk)} are not what was indexed"
    return ""


def _compare_lexical(snapshot: Snapshot, pairs: Sequence[tuple[StoredChunk, ChunkDraft]], found: Audit) -> None:
    documents = [
        lexical_chunk(IndexedChunk(chunk.chunk_id, chunk.file_id, chunk.language, draft)) for chunk, draft in pairs
    ]
    lacking = set(snapshot.lexical.lacking(documents))
    found.lexical |= lacking
    for chunk, _ in pairs:
        if chunk.chunk_id in lacking:
            differ_at(chunk, "lexical index", "{} are not found by their own words", found)


def _compare_vectors(
    target: AuditTarget, snapshot: Snapshot, pairs: Sequence[tuple[StoredChunk, ChunkDraft]], found: Audit
) -> None:
    """Vectors computed now, where workers compute them, against the dense index and the shared store.

    Of another model's vectors only this is compared here: that index and store hold the same ones.
    """
    if snapshot.identity != target.index.space.identity:
        return  # the model before still answers; the present one's index is being filled
    pairs = sorted(pairs, key=lambda pair: pair[0].chunk_id)
    ids = np.array([chunk.chunk_id for chunk, _ in pairs], dtype=np.int64)
    held = snapshot.dense.vectors(ids)
    hashes = [chunk.embed_hash for chunk, _ in pairs]
    stored = target.index.vectors.get_many(target.index.space.identity, hashes)
    for row, (chunk, draft) in enumerate(pairs):
        shared = stored.get(chunk.embed_hash)
        fresh = draft.vector or shared
        if fresh is None or np.isnan(held[row, 0]):
            continue  # to come, or counted as missing already
        found.vectors += 1
        if not same(fresh, held[row]):
            found.dense.add(chunk.chunk_id)
            differ_at(chunk, "dense index", "the vector of {} is not that of their text", found)
        if shared is not None and draft.vector is not None and not same(shared, halves(draft.vector)):
            found.embed_hashes.add(chunk.embed_hash)
            differ_at(chunk, "vector store", "the vector of {} is not that of their text", found)


def same(vector: bytes, other: np.ndarray[tuple[int], np.dtype[np.float32]]) -> bool:
    """Whether two vectors (one as stored, one of float32) are the same up to rounding."""
    one = halves(vector)
    if len(one) != len(other):
        return False
    norms = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return norms == 0.0 or float(one @ other) >= SAME * norms


def halves(vector: bytes) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """A stored vector as float32."""
    return np.frombuffer(vector, dtype="<f2").astype(np.float32)


def differ_at(chunk: StoredChunk, what: str, detail: str, found: Audit) -> None:
    """Note a difference about one chunk, which is the same one while its lines move; ``detail`` has a mark for them."""
    found.differ(chunk.path, what, detail.format(_lines(chunk)), kind=detail.format(f"chunk {chunk.chunk_id}"))


def _lines(chunk: StoredChunk) -> str:
    return f"lines {chunk.span.start_line}-{chunk.span.end_line}"
