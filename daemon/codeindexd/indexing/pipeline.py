"""Processes one file: reads, decodes, masks, chunks, tokenises, hashes, and embeds what the vector store lacks.

Only caches are kept between files; an error with a file becomes that file's result.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xxhash
from msgspec.structs import replace

from codeindexd.analysis import secrets
from codeindexd.analysis.chunking import chunker
from codeindexd.analysis.chunking.cells import analyse_cells
from codeindexd.analysis.chunking.chunker import Analysis
from codeindexd.analysis.chunking.indexed_text import IndexedText, indexed_text
from codeindexd.analysis.chunking.languages import detect
from codeindexd.analysis.chunking.notebook import LANGUAGE as NOTEBOOK
from codeindexd.analysis.embedding.static import StaticModel, first_line
from codeindexd.analysis.long_runs import long_runs_of
from codeindexd.analysis.references.codec import BrokenReferencesError, Columns, encode
from codeindexd.analysis.tokens import Terms, Tokenizer
from codeindexd.analysis.trigrams import trigrams_of
from codeindexd.errors import CodeindexError, StoreDamagedError, StoreFullError, place_of
from codeindexd.indexing.fingerprint import fingerprints
from codeindexd.scan.safe_read import NO_SUCH_FILE, Contents, is_settled, read_beneath
from codeindexd.scan.size_limits import MOST_TEXT_BYTES, SizeLimits
from codeindexd.storage.vectors import VectorStore
from codeindexd.types import ChunkDraft, Definition, Span
from codeindexd.workers.jobs import (
    CentralityJob,
    CentralityResult,
    FileJob,
    FileResult,
    FileStatus,
    HistoryJob,
    HistoryResult,
    TextsJob,
    TextsResult,
    TextsStatus,
    WorkerSettings,
)

if TYPE_CHECKING:
    from codeindexd.indexing.history_reader import HistoryReader

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_MOST_POINTER_BYTES = 1024
_GIT_CRYPT = b"\0GITCRYPT\0"


def embed_text(symbol: str, text: str) -> str:
    """Return the text given to the model for a chunk: the qualified name of its definition, then its text; no path."""
    return f"{symbol}\n{text}" if symbol else text


def _placeholder_reason(data: bytes) -> str | None:
    """Return why a file is skipped as a placeholder for content that git keeps elsewhere or encrypted; else None."""
    if data.startswith(_LFS_POINTER) and len(data) < _MOST_POINTER_BYTES:
        return "lfs pointer"
    return "git-crypt" if data.startswith(_GIT_CRYPT) else None


def _definitions_in_file(definitions: tuple[Definition, ...], text: IndexedText) -> tuple[Definition, ...]:
    """Return the definitions in a text with the lines of its file, which differ in a notebook."""
    if not text.cells:
        return definitions
    line = text.source_line
    return tuple(
        replace(one, line=line(one.line), start_line=line(one.start_line), end_line=line(one.end_line))
        for one in definitions
    )


def _references_in_file(references: Columns, text: IndexedText) -> Columns:
    """Return the references in a text with the lines of its file, which differ in a notebook."""
    return references.on_other_lines(text.source_line) if text.cells else references


class _Stopwatch:
    """Measures the seconds of each stage; ``stage`` is the present one, for failures."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.stage = "read"
        self._since = time.perf_counter()

    def enter(self, stage: str) -> None:
        self.stop()
        self.stage = stage

    def stop(self) -> None:
        now = time.perf_counter()
        self.seconds[self.stage] = self.seconds.get(self.stage, 0.0) + now - self._since
        self._since = now


class Pipeline:
    """Processes files of any root with the same settings. Not thread-safe."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._limits = SizeLimits(settings.max_file_bytes, settings.max_notebook_bytes)
        self._fingerprint = fingerprints(settings)
        self._tokenizer = Tokenizer()
        self._model: StaticModel | None = None
        self._vectors: VectorStore | None = None
        self._history: HistoryReader | None = None

    # jobs

    def process(self, job: FileJob) -> FileResult:
        """Process one file. Raises only MemoryError, whatever the file contains."""
        stopwatch = _Stopwatch()
        try:
            return self._process(job, stopwatch)
        except MemoryError:
            raise
        except OSError as error:
            if error.errno in NO_SUCH_FILE:
                return FileResult(job.job_id, job.path, FileStatus.VANISHED)
            return self._failed(job, stopwatch, error.strerror or str(error))
        except Exception as error:  # noqa: BLE001 - one bad file never costs another
            return self._failed(job, stopwatch, place_of(error))

    def texts(self, job: TextsJob) -> TextsResult:
        """Return the texts of catalogued chunks, masked, provided that the file still has the catalogued content."""
        try:
            contents = read_beneath(job.root, job.path, max_bytes=self._limits.of(job.path))
        except OSError as error:
            status = TextsStatus.VANISHED if error.errno in NO_SUCH_FILE else TextsStatus.FAILED
            return TextsResult(job.job_id, job.path, status, error=error.strerror or "")
        if xxhash.xxh3_128_digest(contents.data) != job.leaf:
            return TextsResult(job.job_id, job.path, TextsStatus.CHANGED)
        found = indexed_text(contents.data)
        if found is None:
            return TextsResult(job.job_id, job.path, TextsStatus.CHANGED)
        masked = self._masked(found)
        texts = {}
        for span in self._analysed(found, masked, self._language(job.path, found, masked)).spans:
            text = embed_text(span.symbol, masked[span.start_byte : span.end_byte].decode("utf-8"))
            texts[xxhash.xxh3_128_digest(text.encode())] = text
        wanted = [texts.get(part.embed_hash) for part in job.ranges]
        if None in wanted:
            return TextsResult(job.job_id, job.path, TextsStatus.CHANGED)
        return TextsResult(job.job_id, job.path, TextsStatus.OK, [text for text in wanted if text is not None])

    def history(self, job: HistoryJob) -> HistoryResult:
        """Read a part of a repository's history, as :mod:`indexing.history_reader` does."""
        if self._history is None:
            from codeindexd.indexing.history_reader import HistoryReader  # pygit2 is loaded only where it is needed

            self._history = HistoryReader(self._tokenizer, mask_secrets=self._settings.mask_secrets)
        return self._history.answer(job)

    def centrality(self, job: CentralityJob) -> CentralityResult:
        """Compute the centrality of the files in a catalog; errors are part of the result."""
        from codeindexd.storage.catalog.centrality import compute_centrality  # most workers need no catalog

        try:
            found = compute_centrality(Path(os.fsdecode(job.path)))
        except (CodeindexError, BrokenReferencesError) as error:
            return CentralityResult(job.job_id, job.path, error=str(error))
        return CentralityResult(job.job_id, job.path, *found.encoded())

    # steps

    def _process(self, job: FileJob, stopwatch: _Stopwatch) -> FileResult:
        limit = MOST_TEXT_BYTES if job.text_only else self._limits.of(job.path)
        contents = read_beneath(job.root, job.path, max_bytes=limit)
        leaf = xxhash.xxh3_128_digest(contents.data)
        if len(contents.data) > limit:
            return FileResult(job.job_id, job.path, FileStatus.VANISHED)  # too large now: the next scan skips it
        stopwatch.enter("decode")
        if job.text_only:
            return self._text_only(job, contents, leaf, stopwatch)
        if (reason := _placeholder_reason(contents.data)) is not None:
            return self._skipped(job, contents, leaf, stopwatch, reason)
        found = indexed_text(contents.data)
        if found is None:
            return self._skipped(job, contents, leaf, stopwatch, "binary")
        if min(len(contents.data), len(found.utf8)) > self._settings.max_file_bytes:  # a notebook of text, or none
            return self._skipped(job, contents, leaf, stopwatch, "oversized")
        masked = self._masked(found)
        stopwatch.enter("trigrams")
        trigrams, is_masked = self._trigrams(found, masked)
        stopwatch.enter("chunk")
        language = self._language(job.path, found, masked)
        analysis = self._analysed(found, masked, language)
        spans = analysis.spans
        stopwatch.enter("tokenise")
        texts = [embed_text(s.symbol, masked[s.start_byte : s.end_byte].decode("utf-8")) for s in spans]
        terms = [self._tokenizer.tokenize(text) for text in texts]
        hashes = [xxhash.xxh3_128_digest(text.encode()) for text in texts]
        stopwatch.enter("embed")
        known = {} if job.recompute_vectors else self._stored(hashes)
        fresh = self._embed(known, hashes, texts, terms)
        stopwatch.enter("hash")
        chunks = tuple(
            self._draft(contents.data, found, span, terms[n], hashes[n], known.get(hashes[n]), hashes[n] in fresh)
            for n, span in enumerate(spans)
        )
        stopwatch.stop()
        return self._result(
            job,
            contents,
            leaf,
            stopwatch,
            FileStatus.INDEXED,
            language=language,
            encoding=found.encoding,
            chunks=chunks,
            trigrams=trigrams,
            is_masked=is_masked,
            definitions=_definitions_in_file(analysis.definitions, found),
            is_partial=analysis.is_partial,
            references=encode(_references_in_file(analysis.references, found)),
        )

    def _skipped(self, job: FileJob, contents: Contents, leaf: bytes, stopwatch: _Stopwatch, reason: str) -> FileResult:
        stopwatch.stop()
        return self._result(job, contents, leaf, stopwatch, FileStatus.SKIPPED, reason=reason)

    def _text_only(self, job: FileJob, contents: Contents, leaf: bytes, stopwatch: _Stopwatch) -> FileResult:
        found = indexed_text(contents.data)
        if found is None:
            return self._skipped(job, contents, leaf, stopwatch, "binary")
        stopwatch.enter("trigrams")
        masked = self._masked(found)
        trigrams, is_masked = self._trigrams(found, masked)
        long_runs = long_runs_of(masked)
        stopwatch.stop()
        return self._result(
            job,
            contents,
            leaf,
            stopwatch,
            FileStatus.INDEXED,
            trigrams=trigrams,
            is_masked=is_masked,
            long_runs=long_runs,
        )

    def _trigrams(self, found: IndexedText, masked: bytes) -> tuple[bytes, bool]:
        """Return the encoded trigrams of a text, and whether masking changed it."""
        return trigrams_of(masked).astype("<u4").tobytes(), masked != found.utf8

    def _masked(self, found: IndexedText) -> bytes:
        return secrets.mask(found.utf8) if self._settings.mask_secrets else found.utf8

    def _language(self, path: bytes, found: IndexedText, masked: bytes) -> str:
        return NOTEBOOK if found.cells else detect(path, masked[: masked.find(b"\n")][:200])

    def _analysed(self, found: IndexedText, masked: bytes, language: str) -> Analysis:
        max_bytes = self._settings.max_chunk_bytes
        if found.cells:
            return analyse_cells(masked, found.cells, max_bytes=max_bytes)
        return chunker.analyse(masked, language, max_bytes=max_bytes)

    def _draft(
        self, data: bytes, found: IndexedText, span: Span, terms: Terms, hash_: bytes, vector: bytes | None, fresh: bool
    ) -> ChunkDraft:
        placed = found.to_source_span(span)
        return ChunkDraft(
            span=placed,
            span_hash=xxhash.xxh3_128_digest(data[placed.start_byte : placed.end_byte]),
            embed_hash=hash_,
            words=" ".join(self._tokenizer.stems(terms.words)),
            identifiers=" ".join(terms.identifiers),
            vector=vector,
            embedded=fresh,
        )

    def _embed(
        self, known: dict[bytes, bytes], hashes: Sequence[bytes], texts: Sequence[str], terms: Sequence[Terms]
    ) -> set[bytes]:
        """Compute the vectors that ``known`` (embed hash to vector) lacks, add them to it, and return their hashes."""
        if not self._settings.embed:
            return set()
        missing = {h: n for n, h in enumerate(hashes) if h not in known}
        if missing:
            if self._model is None:
                self._model = StaticModel.load()
            titles = [self._tokenizer.words(first_line(texts[n])) for n in missing.values()]
            vectors = self._model.embed_words([terms[n].words for n in missing.values()], titles)
            halves = np.ascontiguousarray(vectors, dtype="<f2")
            known.update((h, halves[row].tobytes()) for row, h in enumerate(missing))
        return set(missing)

    def _stored(self, hashes: Sequence[bytes]) -> dict[bytes, bytes]:
        path = self._settings.vectors_db
        if path is None or not hashes:
            return {}
        try:
            if self._vectors is None:
                self._vectors = VectorStore.open(Path(path), read_only=True)
            return dict(self._vectors.get_many(self._settings.identity, hashes))
        except (StoreDamagedError, StoreFullError):
            self._vectors = None  # the daemon repairs or reports it; until then all vectors are computed
            return {}

    def _failed(self, job: FileJob, stopwatch: _Stopwatch, error: str) -> FileResult:
        stopwatch.stop()
        return FileResult(
            job.job_id, job.path, FileStatus.FAILED, stage=stopwatch.stage, error=error, seconds=stopwatch.seconds
        )

    def _result(
        self,
        job: FileJob,
        contents: Contents,
        leaf: bytes,
        stopwatch: _Stopwatch,
        status: FileStatus,
        *,
        reason: str = "",
        language: str = "",
        encoding: str = "",
        chunks: tuple[ChunkDraft, ...] = (),
        trigrams: bytes = b"",
        is_masked: bool = False,
        long_runs: bytes = b"",
        definitions: tuple[Definition, ...] = (),
        is_partial: bool = False,
        references: bytes = b"",
    ) -> FileResult:
        return FileResult(
            job.job_id,
            job.path,
            status,
            reason=reason,
            stat=contents.stat,
            leaf=leaf,
            steady=contents.steady,
            settled=contents.steady and is_settled(contents.stat, time.time_ns()),
            language=language,
            encoding=encoding,
            fingerprint=self._fingerprint(language, encoding),
            chunks=chunks,
            trigrams=trigrams,
            is_masked=is_masked,
            long_runs=long_runs,
            definitions=definitions,
            is_partial=is_partial,
            references=references,
            bytes_read=len(contents.data),
            seconds=stopwatch.seconds,
        )
