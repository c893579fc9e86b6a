"""Real roots in the process of the test, with real stores, watches and workers, without a daemon."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio

from codeindexd.analysis.embedding.base import Embedder
from codeindexd.config import Index
from codeindexd.indexing import PIPELINE
from codeindexd.indexing.fingerprint import fingerprints, text_version
from codeindexd.indexing.history_status import HistorySettings
from codeindexd.roots import Root, RootDependencies, RootSettings
from codeindexd.roots.registry import RootSpec
from codeindexd.storage.history.stores import HistoryStores
from codeindexd.storage.lexical import LexicalQuery
from codeindexd.storage.vectors import VectorStore
from codeindexd.workers.jobs import WorkerSettings
from codeindexd.workers.pool import WorkerPool

_MODEL = cast("Embedder", SimpleNamespace(identity="space", dimensions=256))


class Harness:
    """Creates roots over ``path`` that share a pool and one directory of stores."""

    def __init__(self, base: Path, pool: WorkerPool, vectors: VectorStore, settings: WorkerSettings) -> None:
        path = base / "code"
        self.path = path
        self._directory = base / "index"
        status = path.stat()
        self._spec = RootSpec("00000000-0000-0000-0000-000000000001", path, status.st_dev, status.st_ino)
        self._settings = RootSettings(
            index=Index(),
            debounce_s=0.01,
            deadline_s=0.1,
            max_hints=1000,
            reconcile_s=3600,
            history=HistorySettings(True, 1000, ()),
        )
        self._dependencies = RootDependencies(
            pool=pool,
            vectors=vectors,
            histories=HistoryStores(base / "history", fingerprint="test", dimensions=256),
            embedder=_MODEL,
            others={},
            fingerprints=fingerprints(settings),
            text_version=text_version(settings),
            cookies=[base],
            on_event=lambda event: None,
            trim_memory=lambda: None,
        )

    def close_histories(self) -> None:
        """Close the stores of histories, as the end of a daemon does."""
        self._dependencies.histories.close()

    def make(self) -> Root:
        """A root that has not been started."""
        return Root(self._spec, self._directory, self._settings, self._dependencies)

    @asynccontextmanager
    async def running(self, prepare: Callable[[Root], Any] = lambda _: None) -> AsyncIterator[Root]:
        """A root that runs and has been synced once; ``prepare`` gets it before it starts."""
        root = self.make()
        prepare(root)
        async with anyio.create_task_group() as tasks:
            await tasks.start(root.serve)
            await root.sync(60)
            yield root
            tasks.cancel_scope.cancel()

    def make_at(self, path: Path) -> Root:
        """Another root, at ``path``, that has not been started. Its stores are named after its directory."""
        status = path.stat()
        root_id = f"00000000-0000-0000-0000-{path.name:0>12}"
        spec = RootSpec(root_id, path, status.st_dev, status.st_ino)
        return Root(spec, self.stores_at(path), self._settings, self._dependencies)

    def stores_at(self, path: Path) -> Path:
        """Return where the stores of the root at ``path`` are."""
        return self._directory.with_name(f"index-{path.name}")

    @asynccontextmanager
    async def running_at(self, path: Path, others: Sequence[Root] = ()) -> AsyncIterator[Root]:
        """Another root, at ``path``, that runs and has been synced once. It may adopt the index of another one."""
        root = self.make_at(path)
        await root.adopt(others)
        async with anyio.create_task_group() as tasks:
            await tasks.start(root.serve)
            await root.sync(60)
            yield root
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def harness(base: Path) -> AsyncIterator[Harness]:
    """Run a pool of one worker, with a vector store below ``base``; roots are over ``base/code``."""
    (base / "code").mkdir()
    vectors = VectorStore.open(base / "vectors.db")
    settings = WorkerSettings(identity=_MODEL.identity, embed=True, nice=0)
    pool = WorkerPool(settings, count=1, pipeline=PIPELINE)
    async with anyio.create_task_group() as tasks:
        await tasks.start(pool.serve)
        made = Harness(base, pool, vectors, settings)
        yield made
        tasks.cancel_scope.cancel()
    made.close_histories()
    vectors.close()


def found(root: Root, word: str) -> list[bytes]:
    """Return the paths of the files in which ``word`` is found."""
    with root.catalog_snapshot() as catalog:
        hits = root._parts.index.lexical.snapshot().search(LexicalQuery(words=(word,)), 100)
        return sorted({chunk.path for chunk in catalog.chunks([chunk_id for chunk_id, _, _ in hits]).values()})
