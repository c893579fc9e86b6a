"""Compares a whole index once: the disk with the tree, and every file, processed again, with the stores."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial

import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from codeindexd.analysis.tokens import path_words
from codeindexd.protocol.places import text_of_path
from codeindexd.quantities import quantity
from codeindexd.roots.verify.audit_result import AuditResult
from codeindexd.roots.verify.compare import compare_files, compare_skipped_text
from codeindexd.roots.verify.sample import compare_sample
from codeindexd.roots.verify.target import AuditTarget
from codeindexd.scan.merkle import diff
from codeindexd.scan.relpath import is_covered
from codeindexd.storage.catalog.skipped_texts import SkippedText, is_unchanged
from codeindexd.storage.snapshot import Snapshot
from codeindexd.types import Entry, NodeKind, Outcome
from codeindexd.waiting import thread_is_cancelled
from codeindexd.workers.jobs import FileJob, FileResult

OnProgress = Callable[[int, int, int], None]  # files done, total files (0: not known yet), chunks done
_BATCH_CHUNKS = 4_000
_BATCH_FILES = 400
_NUMBERS = re.compile(r"\d+")


class _EmptyTree:
    """A tree without entries, with which a scan hashes every file."""

    def node(self, path: bytes) -> Entry | None:
        return None

    def children(self, directory: bytes) -> Mapping[bytes, Entry]:
        return {}


def ignore_progress(files_done: int, files_total: int, chunks_done: int) -> None:
    """Ignore the progress of an audit."""


async def audit(target: AuditTarget, on_progress: OnProgress = ignore_progress) -> AuditResult:
    """Compare the index with the disk once.

    Changes that are being indexed may appear as differences; they disappear in another audit after a sync.
    ``on_progress`` is called for every file that was processed again. Raises PathRefusedError, StoreFullError,
    StoreDamagedError and WorkerError.
    """
    found = AuditResult()
    on_progress(0, 0, 0)
    for problem in await anyio.to_thread.run_sync(target.index.catalog.check, thread_is_cancelled):
        found.add(b"", "catalog", problem, kind=_NUMBERS.sub("", problem))
    if found.differences:
        found.notes.append("nothing else was compared: the catalog contradicts itself")
        return found
    for problem in await target.index.damaged_files():
        found.add(b"", "files", problem, kind=_NUMBERS.sub("", problem))
    paths = await anyio.to_thread.run_sync(_compare_tree, target, found)
    expected, actual = await target.index.write(target.index.dense_contents)
    _compare_ids("dense index", "chunks", expected, actual, found)
    async for results in _batches(target, paths, on_progress):
        await anyio.to_thread.run_sync(partial(compare_files, target, results, found))
    await _compare_skipped_texts(target, found)
    if not target.pool.settings.embed:
        await compare_sample(target, found)
    return found


async def _batches(
    target: AuditTarget, paths: Sequence[bytes], on_progress: OnProgress
) -> AsyncIterator[list[FileResult]]:
    """Process the files ``paths`` again, and yield the results in batches of bounded size."""
    jobs = [FileJob(number, target.path, path, recompute_vectors=True) for number, path in enumerate(paths)]
    batch: list[FileResult] = []
    chunks = files_done = chunks_done = 0
    async for result in target.pool.process(jobs):
        files_done += 1
        chunks_done += len(result.chunks)
        on_progress(files_done, len(paths), chunks_done)
        batch.append(result)
        chunks += len(result.chunks)
        if chunks >= _BATCH_CHUNKS or len(batch) >= _BATCH_FILES:
            yield batch
            batch, chunks = [], 0
    if batch:
        yield batch


async def _compare_skipped_texts(target: AuditTarget, found: AuditResult) -> None:
    """Read the skipped files again whose texts exact search relies on, and compare their trigrams."""

    def to_read() -> list[SkippedText]:
        with target.index.current.pin() as snapshot:
            every = snapshot.catalog.skipped_texts(snapshot.read_round) if snapshot is not None else []
        return [text for text in every if is_unchanged(target.path, text)]

    texts = await anyio.to_thread.run_sync(to_read)
    jobs = [
        FileJob(number, target.path, text.path, size=text.stat.size if text.stat else 0, text_only=True)
        for number, text in enumerate(texts)
    ]
    async for result in target.pool.process(jobs):
        await anyio.to_thread.run_sync(compare_skipped_text, target, texts[result.job_id], result, found)


def _compare_tree(target: AuditTarget, found: AuditResult) -> list[bytes]:
    """Compare the disk with the tree, and the ids in the lexical index; return the paths of the files to process."""
    scan = target.scanner.scan([b""], _EmptyTree(), now_ns=time.time_ns(), should_stop=thread_is_cancelled)
    with target.index.current.pin() as snapshot:
        if snapshot is None:
            return []
        change = diff(target.index.catalog.tree(), scan.tree)
        unreadable = {path for path, _ in scan.errors}  # files, and directories: what is below them is not known
        for what, entries in (
            ("not in the index", change.added),
            ("content differs", change.modified),
            ("no longer on disk", change.removed),
        ):
            for entry in entries:
                if not is_covered(entry.path, unreadable):
                    found.add(entry.path, what, entry.kind.name.lower())
        for move in change.moved:
            found.add(move.entry.path, "indexed under another path", text_of_path(move.source))
        paths, terms, left_out = [], [], 0
        for file in snapshot.catalog.files():
            if file.entry.kind is not NodeKind.FILE:
                continue
            if is_covered(file.entry.path, unreadable):
                left_out += 1
            elif file.outcome is Outcome.UNPROCESSED:
                found.add(file.entry.path, "chunks", "the file was never processed")
            elif file.outcome is not Outcome.FAILED:
                paths.append(file.entry.path)
            if file.outcome is Outcome.INDEXED:
                terms.append((file.file_id, path_words(file.entry.path)))
        _compare_lexical(snapshot, terms, found)
        if left_out:
            files = quantity(left_out, "file was", "files were")
            found.notes.append(f"{files} not compared, because {'it' if left_out == 1 else 'they'} cannot be read now")
    return paths


def _compare_lexical(snapshot: Snapshot, terms: Sequence[tuple[int, str]], found: AuditResult) -> None:
    """Compare the ids in the lexical index with the catalog; ``terms`` are (file id, terms of its path)."""
    _compare_ids("lexical index", "chunks", snapshot.catalog.all_chunk_ids(), snapshot.lexical.chunk_ids(), found)
    files = np.sort(np.fromiter((file_id for file_id, _ in terms), np.int64))
    _compare_ids("lexical index", "paths", files, snapshot.lexical.file_ids(), found)
    for file_id in snapshot.lexical.missing_paths(terms):
        found.add(b"", "lexical index", f"does not find the path of file {file_id} by its words")


def _compare_ids(
    what: str, things: str, expected: NDArray[np.int64], actual: NDArray[np.int64], found: AuditResult
) -> None:
    """Compare the ids of ``things`` (chunks or paths) in a store, ``what``, with the expected ids."""
    missing, superfluous = np.setdiff1d(expected, actual), np.setdiff1d(actual, expected)
    if len(missing):
        found.add_ids(what, f"lacks {{count}} {things}, the first is {{first}}", missing.tolist())
    if len(superfluous):
        found.add_ids(what, f"has {{count}} {things} too many, the first is {{first}}", superfluous.tolist())
    if len(actual) != len(np.unique(actual)):
        found.add(b"", what, f"has some {things} twice")
