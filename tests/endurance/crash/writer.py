"""One writer's whole life with real stores, to be killed at each named step: ``python -m endurance.crash.writer BASE``.

Lines "STEP PASSING" on stdin; for each a child lives in the fresh directory BASE/STEP until it dies there, and its wait
status is printed. The chunks come from real files, through the pipeline of the workers, and are made only once.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
from msgspec.structs import replace

from codeindexd.errors import CodeindexError
from codeindexd.indexing.pipeline import Pipeline
from codeindexd.roots import adoption
from codeindexd.roots.registry import Registry, RootSpec
from codeindexd.scan.scanner import Scanner
from codeindexd.storage.dense import index as dense_index
from codeindexd.storage.dense.maintenance import Thresholds
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.storage.text import Document
from codeindexd.storage.text import index as text_index
from codeindexd.storage.vectors import VectorStore
from codeindexd.types import (
    ChunkDraft,
    ChunkKey,
    Entry,
    FileUpdate,
    IndexedChunk,
    Move,
    NodeKind,
    Outcome,
    Transaction,
    VectorSpace,
)
from codeindexd.workers.jobs import FileJob, FileResult, WorkerSettings
from endurance.crash.steps import MERGE, Faults, install
from endurance.crash.stores import SMALL_TEXT
from endurance.crash.tree import library_files

FILES = 16
_SMALL = Thresholds(tail_rows=16, segment_rows=600, slack=4)
SPACES = (VectorSpace("model-one", 256), VectorSpace("model-two", 256))
LIBRARY = Path(sysconfig.get_paths()["stdlib"])


def processed() -> list[FileResult]:
    """Return what workers make of some real files, with vectors."""
    pipeline = Pipeline(WorkerSettings(vectors_db=None, identity=SPACES[0].identity, embed=True))
    jobs = [FileJob(n, os.fsencode(LIBRARY), os.fsencode(path)) for n, path in enumerate(library_files(FILES))]
    return [result for result in map(pipeline.process, jobs) if result.chunks]


def opened(directory: Path, space: VectorSpace = SPACES[0]) -> IndexWriter:
    """Open the stores of a writer's directory, with the other model available."""
    vectors = VectorStore.open(directory / "vectors.db")
    usable = {other.identity: other for other in SPACES}
    return IndexWriter(directory / "root", root_id="id", vectors=vectors, space=space, usable=usable)


def update(result: FileResult) -> FileUpdate:
    """Return the result as a transaction takes it."""
    entry = Entry(result.path, NodeKind.FILE, result.leaf, result.stat)
    return FileUpdate(
        entry,
        Outcome.INDEXED,
        result.language,
        "utf-8",
        b"f" * 16,
        chunks=result.chunks,
        trigrams=result.trigrams,
        is_masked=result.is_masked,
    )


def catch_up(index: IndexWriter, drafts: dict[ChunkKey, ChunkDraft]) -> list[Entry]:
    """Catch the projections up with drafts from memory, and return the files to be processed again."""
    if index.lag.dense:
        index.catch_up_dense()
    if not index.lag.lexical:
        return []
    missing = index.find_missing_lexical()
    known = [
        IndexedChunk(chunk.chunk_id, chunk.file_id, chunk.language, draft)
        for chunks in missing.values()
        for chunk in chunks
        if (draft := drafts.get(chunk.key)) is not None
    ]
    index.add_lexical(known)
    return index.mark_lexical_current()


def catch_up_text(index: IndexWriter, results: Sequence[FileResult]) -> None:
    """Catch the text index up from results in memory."""
    missing = index.find_missing_text()
    made = [Document.from_bytes(one.leaf, one.trigrams, is_masked=one.is_masked) for one in results]
    index.add_text([document for document in made if document.content in missing])
    index.mark_text_current()


def drafts_of(results: Sequence[FileResult]) -> dict[ChunkKey, ChunkDraft]:
    """Return every draft by its key."""
    return {draft.key: draft for result in results for draft in result.chunks}


async def live(directory: Path, results: Sequence[FileResult]) -> None:
    """Do everything that a writer ever does, in an order that passes every named step."""
    registry = Registry(directory / "roots.json")
    registry.save([RootSpec("one", directory, 1, 2)])
    index = opened(directory)
    half = len(results) // 2
    for part in (results[:half], results[half:]):  # many commits, so that tantivy merges
        for result in part:
            index.commit(Transaction(updates=[update(result)]))
        await index.maintain(lambda: False)
    await _lend(directory, index, results)
    first, second, third = results[:3]
    index.commit(Transaction(removals=[first.path]))
    moved = replace(update(second).entry, path=b"moved.py")
    index.commit(Transaction(moves=[Move(second.path, moved)]))
    index.commit(Transaction(updates=[replace(update(third), chunks=third.chunks[1:])]))
    index.close()
    shutil.rmtree(directory / "root/lexical")
    shutil.rmtree(directory / "root/dense")
    shutil.rmtree(directory / "root/text")
    index = opened(directory)
    catch_up(index, drafts_of(results))
    catch_up_text(index, results)
    index.close()
    index = opened(directory, SPACES[1])  # another model
    by_hash = {draft.embed_hash: draft.vector for result in results for draft in result.chunks}
    index.add_vectors({chunk: by_hash[digest] or b"" for chunk, digest in index.pending_vectors.items()})
    index.vectors.prune(index.vectors.size_bytes() // 2, keep=[SPACES[0].identity])
    index.close()
    registry.save([])


async def _lend(directory: Path, index: IndexWriter, results: Sequence[FileResult]) -> None:
    """Have another root with the same files adopt the index."""
    code = directory / "code"
    for result in results:
        copy = code / os.fsdecode(result.path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(LIBRARY / os.fsdecode(result.path), copy)
    borrower = adoption.Borrower(
        code,
        "other",
        directory / "other",
        Scanner(code),
        lambda place: IndexWriter(place, root_id="other", vectors=index.vectors, space=SPACES[0]),
    )
    assert await adoption.adopt(borrower, [adoption.Lender(code, index)]) is not None


def _run_and_die(directory: Path, step: str, passing: int, results: Sequence[FileResult]) -> int:
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)
        try:
            faults = Faults()
            dense_index.Thresholds = lambda: _SMALL  # type: ignore[assignment, misc]
            text_index.Thresholds = lambda: SMALL_TEXT  # type: ignore[assignment, misc]
            adoption._FEWEST_FILES = 1  # type: ignore[misc]
            install(faults)
            faults.arm(step, passing)
            directory.mkdir()
            threading.Thread(target=_give_up, daemon=True).start()
            anyio.run(live, directory, results)
            while step == MERGE:  # it comes in its own time
                time.sleep(0.001)
        except CodeindexError as error:
            print(error.message, file=sys.stderr)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    return status


def _give_up() -> None:
    time.sleep(300)
    os._exit(2)


if __name__ == "__main__":
    prepared = processed()
    for line in sys.stdin:
        wanted, number = line.split()
        print(_run_and_die(Path(sys.argv[1]) / wanted, wanted, int(number), prepared), flush=True)
