"""The ordinary daemon in a process that can be told where to die: ``python -m endurance.crash.daemon ARGUMENTS``.

Lines on stdin arm it ("STEP PASSING", see ``endurance.crash.steps``; "none 0" disarms) and are answered by "armed" on
stdout; the first is read before anything starts. The file ``computed`` in the working directory gets a line "IDENTITY
HASH" for every chunk that a model is run on. CRASH_IDENTITIES ("configured,other") gives the bundled model another
identity, so that models can be switched without a second one. Quiet-time upkeep comes early and finds something to do
in a small tree; an index is verified after a kill only with CRASH_EXAMINE in the environment, and then at once.
"""

from __future__ import annotations

import functools
import math
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codeindexd.analysis.embedding.static_embedder import BundledEmbedder
from codeindexd.cli.codeindexd import main
from codeindexd.config import Embedding
from codeindexd.daemon import embedders, upkeep
from codeindexd.indexing import catch_up, embed_pending, ingest
from codeindexd.indexing.queue import Task
from codeindexd.roots import adoption, maintenance
from codeindexd.storage.dense import index as dense_index
from codeindexd.storage.dense.maintenance import Thresholds
from codeindexd.storage.text import index as text_index
from codeindexd.storage.vectors import VectorStore
from codeindexd.workers.jobs import FileResult
from endurance.crash.steps import Faults, install
from endurance.crash.stores import SMALL_TEXT

_UPKEEP_S = 0.25
_SMALL = Thresholds(tail_rows=48, segment_rows=600, dead_share=0.3, slack=16, records=200)


def hasten() -> None:
    """Run upkeep soon after the last commit, with thresholds that a tree of some hundred files reaches."""
    maintenance._EVERY_S = _UPKEEP_S
    upkeep._EVERY_S = _UPKEEP_S
    upkeep._VERIFY_AFTER_S = 0.0 if "CRASH_EXAMINE" in os.environ else math.inf
    catch_up._RETRY_S = _UPKEEP_S
    adoption._FEWEST_FILES = 10
    dense_index.Thresholds = lambda: _SMALL  # type: ignore[assignment, misc]
    text_index.Thresholds = lambda: SMALL_TEXT  # type: ignore[assignment, misc]


def note_computed(path: Path) -> None:
    """Write down every chunk that a model is run on, by a worker or for pending chunks."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    buffer_result, embed_texts = ingest.Ingest._buffer_result, embed_pending.PendingEmbedder._embed_texts

    def note(identity: str, hashes: Sequence[bytes]) -> None:
        os.write(file, b"".join(f"{identity} {digest.hex()}\n".encode() for digest in hashes))

    @functools.wraps(buffer_result)
    async def noting(self: Any, task: Task, result: FileResult) -> None:
        if self.queue.accepts(task):
            identity = self._committer._index.space.identity
            note(identity, [chunk.embed_hash for chunk in result.chunks if chunk.embedded])
        await buffer_result(self, task, result)

    @functools.wraps(embed_texts)
    async def embedding(self: Any, texts: dict[bytes, str]) -> Any:
        note(self._index.space.identity, list(texts))
        return await embed_texts(self, texts)

    ingest.Ingest._buffer_result = noting  # type: ignore[method-assign]
    embed_pending.PendingEmbedder._embed_texts = embedding  # type: ignore[method-assign]


class Renamed(BundledEmbedder):
    """The bundled model under another identity."""

    def __init__(self, suffix: str) -> None:
        super().__init__()
        self._suffix = suffix

    @property
    def identity(self) -> str:
        return super().identity[: -len(self._suffix)] + self._suffix


def switch_models(configured: str, other: str) -> None:
    """Configure the bundled model under the identity ending in ``configured``, with ``other`` available for queries."""

    def opened(embedding: Embedding, *, state: Path, in_use: object) -> embedders.Embedders:
        former = Renamed(other)
        return embedders.Embedders(Renamed(configured), {former.identity: former})

    embedders.Embedders.open = opened  # type: ignore[method-assign, assignment]


def prune_when_armed(faults: Faults) -> None:
    """Let pruning remove vectors only while it is being tested: elsewhere no vector may get lost."""
    keep_within = VectorStore.keep_within

    @functools.wraps(keep_within)
    def keeping(self: VectorStore, budget: int, *arguments: Any) -> int:
        pressing = faults.step.startswith(("vectors.prune", "vectors.fold"))
        return keep_within(self, self.size_bytes() * 3 // 4 if pressing else 1 << 40, *arguments)

    VectorStore.keep_within = keeping  # type: ignore[method-assign]


def _obey(faults: Faults) -> bool:
    line = sys.stdin.readline()
    if line.strip():
        step, passing = line.split()
        faults.arm("" if step == "none" else step, int(passing))
        print("armed", flush=True)
    return bool(line)


def _obey_for_ever(faults: Faults) -> None:
    while _obey(faults):
        pass


if __name__ == "__main__":
    deadly = Faults()
    hasten()
    note_computed(Path("computed"))
    prune_when_armed(deadly)
    if identities := os.environ.get("CRASH_IDENTITIES"):
        switch_models(*identities.split(","))
    install(deadly)
    _obey(deadly)
    threading.Thread(target=_obey_for_ever, args=(deadly,), daemon=True).start()
    sys.exit(main(sys.argv[1:]))
