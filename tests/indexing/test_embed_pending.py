"""Vectors that are added later: of a slow model, of one that refuses texts, of one that replaced another."""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import anyio
import numpy as np
import pytest

from codeindexd.analysis.embedding.base import Vectors, unit
from codeindexd.indexing.embed_pending import PendingEmbedder
from codeindexd.indexing.problems import RootProblems
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.storage.vectors import VectorStore
from codeindexd.types import VectorSpace
from codeindexd.workers.jobs import WorkerSettings
from codeindexd.workers.pool import WorkerPool
from storage.index_writers import save
from support.places import TESTS
from support.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.processes]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[IndexWriter]:
    vectors = VectorStore.open(tmp_path / "vectors.db")
    index = IndexWriter(tmp_path / "root", root_id="id", vectors=vectors, space=VectorSpace("space-one", 8))
    yield index
    index.close()
    vectors.close()


class RecordingEmbedder:
    """An embedder that refuses texts which contain ``refused``, and records what it is asked."""

    model, identity, dimensions, device = "asked", "space-two", 8, "cpu"

    def __init__(self, refused: str = "nothing is refused") -> None:
        self.refused = refused
        self.texts: list[str] = []

    async def embed_documents(self, texts: Sequence[str]) -> Vectors:
        self.texts.extend(texts)
        vectors = np.ones((len(texts), 8), dtype=np.float32)
        vectors[[self.refused in text for text in texts]] = np.nan
        return unit(vectors)

    async def embed_query(self, text: str) -> Vectors:
        vector: Vectors = (await self.embed_documents([text]))[0]
        return vector

    async def aclose(self) -> None: ...


@asynccontextmanager
async def serving(
    index: IndexWriter, embedder: RecordingEmbedder, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PendingEmbedder]:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    pool = WorkerPool(WorkerSettings(nice=0), count=1, pipeline="workers.scripted_pipelines:Steady")
    problems = RootProblems(lambda *_: None)
    made = PendingEmbedder(b"/nowhere", index, pool, embedder, problems, on_hint=lambda _: None)
    async with anyio.create_task_group() as outer:
        await outer.start(pool.serve)
        async with anyio.create_task_group() as inner:
            inner.start_soon(made.serve)
            yield made
            inner.cancel_scope.cancel()
        outer.cancel_scope.cancel()


async def test_batches_are_chosen_while_the_writing_thread_changes_what_is_pending(
    index: IndexWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.pending_vectors.update((number, b"h" * 16) for number in range(10_000_000, 10_060_000))
    stop = threading.Event()

    def write() -> None:
        for start in count(0, 300):
            if stop.is_set():
                return
            some = range(start, start + 300)
            index.pending_vectors.update((number, b"h" * 16) for number in some)
            for number in some:
                del index.pending_vectors[number]

    before = sys.getswitchinterval()
    writer = threading.Thread(target=write)
    sys.setswitchinterval(1e-6)
    try:
        writer.start()
        async with serving(index, RecordingEmbedder(), monkeypatch) as made:
            await eventually(lambda: len(made._unreadable) > 60_000)  # all were tried; no file has them
    finally:
        stop.set()
        writer.join()
        sys.setswitchinterval(before)


async def test_refused_texts_are_embedded_only_once(index: IndexWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    index.commit(save("a.py", "alpha", vector=False))
    embedder = RecordingEmbedder(refused="0-10")
    async with serving(index, embedder, monkeypatch) as made:
        await eventually(lambda: index.refused_vectors)
        made.wake()
        index.commit(save("b.py", "beta", vector=False))
        made.wake()
        await eventually(lambda: len(index.refused_vectors) == 2)
    assert embedder.texts == ["0-10", "0-10"]
    assert index.pending_vectors.keys() == index.refused_vectors, "status counts them"
