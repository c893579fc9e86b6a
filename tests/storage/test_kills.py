"""``kill -9`` at every named step of a writer's life: what was committed is there, and the stores agree again.

The daemon itself is killed in ``tests/end_to_end/test_kills.py``, and many more times
by ``python tests/endurance kills``.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from codeindexd.roots.registry import Registry
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.types import Transaction
from codeindexd.workers.jobs import FileResult
from endurance.crash import writer
from endurance.crash.steps import STEPS
from endurance.crash.stores import vectors_whole
from storage.dense.sample_vectors import rounded
from support.killing import quick_directory, start

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def results() -> list[FileResult]:
    return writer.processed()


@pytest.fixture(scope="module")
def quick() -> Iterator[Path]:
    with quick_directory() as directory:
        yield directory


@pytest.mark.timeout(600)
def test_a_kill_at_every_named_step(quick: Path, results: list[FileResult]) -> None:
    with start("endurance.crash.writer", str(quick)) as driver:
        assert driver.stdin is not None
        assert driver.stdout is not None
        for step in STEPS:
            print(step.name, 1, file=driver.stdin, flush=True)
            status = int(driver.stdout.readline())
            assert status == signal.SIGKILL, f"{step.name} was not reached ({status})"
            _assert_whole(quick / step.name, results)
        driver.stdin.close()


def _files(index: IndexWriter) -> set[bytes]:
    with index.catalog.snapshot() as snapshot:
        return {file.entry.path for file in snapshot.files()}


def _assert_whole(directory: Path, results: Sequence[FileResult]) -> None:
    held = vectors_whole(directory / "vectors.db")
    assert Registry(directory / "roots.json").load() in ([], [writer.RootSpec("one", directory, 1, 2)])
    index = writer.opened(directory)
    files = _files(index)
    _catch_up(index, results)
    assert files == _files(index)
    index.recovery.mark_verified()  # as after a comparison with the disk
    index.close()
    index.vectors.close()
    index = writer.opened(directory)
    assert (index.lag.has_lag, index.lag.notes) == (False, [])
    index.close()
    index.vectors.close()
    assert held <= vectors_whole(directory / "vectors.db"), "a vector that was committed is gone"


def _catch_up(index: IndexWriter, results: Sequence[FileResult]) -> None:
    """Do what the daemon does at its start, and assert that all stores hold the same."""
    again = {entry.path for entry in writer.catch_up(index, writer.drafts_of(results))}
    again |= {entry.path for entry in index.catalog.unprocessed()}
    if index.lag.text:
        writer.catch_up_text(index, results)
    for result in results:
        if result.path in again:
            index.commit(Transaction(updates=[writer.update(result)]))
    by_hash = {draft.embed_hash: draft.vector for result in results for draft in result.chunks}
    found = {chunk: by_hash[digest] or b"" for chunk, digest in index.pending_vectors.items()}
    index.add_vectors(found)
    assert index.catalog.check() == []
    index.lexical.check()
    index.dense.check()
    with index.current.pin() as snapshot:
        assert snapshot is not None
        wanted = snapshot.catalog.all_chunk_ids().tolist()
        assert snapshot.lexical.chunk_ids().tolist() == wanted
        assert snapshot.dense.ids().tolist() == wanted
        assert snapshot.text_is_complete
        for content in snapshot.catalog.indexed_content_hashes():
            assert snapshot.text.digest(content) is not None
        assert snapshot.lexical.generation == snapshot.dense.generation == snapshot.generation
        for chunk in snapshot.catalog.all_chunks():
            vector = snapshot.dense.vector(chunk.chunk_id)
            assert vector is not None
            assert vector.tolist() == rounded(by_hash[chunk.embed_hash] or b"").tolist()
