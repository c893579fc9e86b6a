"""Compares freshly processed files with the catalog, the projections and the vector store."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xxhash

from codeindexd.analysis.references.codec import are_equal
from codeindexd.roots.verify.audit_result import AuditResult
from codeindexd.roots.verify.target import AuditTarget
from codeindexd.storage.catalog.skipped_texts import SkippedText
from codeindexd.storage.projections import lexical_chunk
from codeindexd.storage.snapshot import Snapshot
from codeindexd.types import ChunkDraft, IndexedChunk, Outcome, StoredChunk, StoredFile
from codeindexd.workers.jobs import FileResult, FileStatus

_SAME_COSINE = 0.9995
"""Vectors with at least this cosine count as equal: storing them rounds to eleven bits, and models round by batch."""

_OUTCOMES = {FileStatus.INDEXED: Outcome.INDEXED, FileStatus.SKIPPED: Outcome.SKIPPED}


def compare_files(target: AuditTarget, results: Sequence[FileResult], found: AuditResult) -> None:
    """Compare the results of freshly processed files with the current snapshot; skip files that changed meanwhile."""
    with target.index.current.pin() as snapshot:
        if snapshot is None:
            return
        pairs: list[tuple[StoredChunk, ChunkDraft]] = []
        for result in results:
            file = snapshot.catalog.file(result.path)
            if file is None or result.status is FileStatus.VANISHED or (result.leaf and result.leaf != file.entry.hash):
                continue
            stored = snapshot.catalog.chunks_of_file(result.path)
            definitions = snapshot.catalog.definitions([file.file_id]).get(file.file_id, ())
            if difference := _difference(file, stored, result):
                found.add(result.path, "chunks", difference)
            elif definitions != result.definitions or snapshot.catalog.is_partial(file.file_id) != result.is_partial:
                found.add(result.path, "definitions", "differ from what was indexed")
            elif not are_equal(snapshot.catalog.encoded_references(file.file_id), result.references):
                found.add(result.path, "references", "differ from what was indexed")
            elif file.outcome is Outcome.INDEXED:
                found.files += 1
                found.chunks += len(stored)
                pairs += zip(stored, result.chunks, strict=True)
                _compare_text(snapshot, result, found)
        _compare_lexical(snapshot, pairs, found)
        _compare_vectors(target, snapshot, pairs, found)


def compare_skipped_text(target: AuditTarget, text: SkippedText, result: FileResult, found: AuditResult) -> None:
    """Compare a skipped file, which was read again, with the content and the trigrams that are stored for its stat."""
    if result.status not in (FileStatus.INDEXED, FileStatus.SKIPPED) or result.stat != text.stat:
        return  # it changed meanwhile, or cannot be read
    if result.leaf != text.content:
        found.text.add(text.content)
        found.add(text.path, "text index", "the content is not the one that is stored for its stat")
        return
    with target.index.current.pin() as snapshot:
        if snapshot is None:
            return
        _compare_text(snapshot, result, found)
        if snapshot.catalog.long_runs_of_files([text.file_id]).get(text.file_id) not in (None, b"", result.long_runs):
            found.text.add(text.content)
            found.add(text.path, "text index", "the long runs are not those of the content")


def _compare_text(snapshot: Snapshot, result: FileResult, found: AuditResult) -> None:
    """Compare the trigrams of a file's text with the trigrams in the text index for its content."""
    stored = snapshot.text.digest(result.leaf)
    if stored is None:
        if snapshot.text_is_complete:
            found.add(result.path, "text index", "lacks the content")
    elif stored != xxhash.xxh3_64_intdigest(result.trigrams):
        found.text.add(result.leaf)
        found.add(result.path, "text index", "the trigrams are not those of the content")


def _difference(file: StoredFile, stored: Sequence[StoredChunk], result: FileResult) -> str:
    """Describe the first difference between a catalogued file with its chunks and a fresh result; "" without one."""
    if result.status is FileStatus.FAILED:
        return f"the file cannot be processed again: {result.error}"
    if _OUTCOMES[result.status] is not file.outcome:
        return f"catalogued as {file.outcome.name.lower()}, now {result.status}"
    if result.fingerprint != file.fingerprint:
        return "made by another version of codeindexd"
    if result.status is FileStatus.INDEXED and (result.language, result.encoding) != (file.language, file.encoding):
        return f"catalogued as {file.language} in {file.encoding}, now {result.language} in {result.encoding}"
    if len(stored) != len(result.chunks):
        return f"{len(stored)} chunks are catalogued, now there are {len(result.chunks)}"
    for chunk, draft in zip(stored, result.chunks, strict=True):
        if (chunk.span, chunk.key) != (draft.span, draft.key):
            return f"{_lines(chunk)} differ from what was indexed"
    return ""


def _compare_lexical(snapshot: Snapshot, pairs: Sequence[tuple[StoredChunk, ChunkDraft]], found: AuditResult) -> None:
    documents = [
        lexical_chunk(IndexedChunk(chunk.chunk_id, chunk.file_id, chunk.language, draft)) for chunk, draft in pairs
    ]
    missing = set(snapshot.lexical.missing_chunks(documents))
    found.lexical |= missing
    for chunk, _ in pairs:
        if chunk.chunk_id in missing:
            add_difference_at(chunk, "lexical index", "{} are not found, or by other words than theirs", found)


def _compare_vectors(
    target: AuditTarget, snapshot: Snapshot, pairs: Sequence[tuple[StoredChunk, ChunkDraft]], found: AuditResult
) -> None:
    """Compare freshly computed vectors with those in the dense index and in the shared store.

    For a model that does not run in workers, the index and the store are compared with each other.
    """
    if snapshot.identity != target.index.space.identity:
        return  # the previous model still answers while the present model's index is being filled
    pairs = sorted(pairs, key=lambda pair: pair[0].chunk_id)
    ids = np.array([chunk.chunk_id for chunk, _ in pairs], dtype=np.int64)
    indexed = snapshot.dense.vectors(ids)
    hashes = [chunk.embed_hash for chunk, _ in pairs]
    stored = target.index.stored_vectors(hashes)
    for row, (chunk, draft) in enumerate(pairs):
        shared = stored.get(chunk.embed_hash)
        fresh = draft.vector or shared
        if fresh is None or np.isnan(indexed[row, 0]):
            continue  # pending, or already reported as missing
        found.vectors += 1
        if not is_same_vector(fresh, indexed[row]):
            found.dense.add(chunk.chunk_id)
            if draft.vector is None:  # either may be wrong, so the model has to decide
                found.embed_hashes.add(chunk.embed_hash)
            add_difference_at(chunk, "dense index", "the vector of {} is not that of their text", found)
        if shared is not None and draft.vector is not None and not is_same_vector(shared, as_float32(draft.vector)):
            found.embed_hashes.add(chunk.embed_hash)
            add_difference_at(chunk, "vector store", "the vector of {} is not that of their text", found)


def is_same_vector(vector: bytes, other: np.ndarray[tuple[int], np.dtype[np.float32]]) -> bool:
    """Return True if ``vector`` (stored bytes) and ``other`` (float32) are equal up to rounding."""
    stored = as_float32(vector)
    if len(stored) != len(other):
        return False
    norms = float(np.linalg.norm(stored)) * float(np.linalg.norm(other))
    return norms == 0.0 or float(stored @ other) >= _SAME_COSINE * norms


def as_float32(vector: bytes) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return a stored vector (bytes of float16) as a float32 array."""
    return np.frombuffer(vector, dtype="<f2").astype(np.float32)


def add_difference_at(chunk: StoredChunk, what: str, detail: str, found: AuditResult) -> None:
    """Add a difference in one chunk; ``detail`` has a placeholder for its lines, which may change between audits."""
    found.add(chunk.path, what, detail.format(_lines(chunk)), kind=detail.format(f"chunk {chunk.chunk_id}"))


def _lines(chunk: StoredChunk) -> str:
    return f"lines {chunk.span.start_line}-{chunk.span.end_line}"
