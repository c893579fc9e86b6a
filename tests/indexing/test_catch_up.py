from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from codeindexd.errors import StoreFullError
from codeindexd.indexing import catch_up
from codeindexd.indexing.catch_up import CatchUp, match_chunks
from codeindexd.indexing.problems import RootProblem, RootProblems
from codeindexd.storage.projections import ProjectionLag
from codeindexd.types import ChunkDraft, StoredChunk, Symbol
from storage.catalog.transactions import draft


def stored(chunk_id: int, one: ChunkDraft) -> StoredChunk:
    return StoredChunk(chunk_id, 7, b"a.py", "python", one.span, one.span_hash, one.embed_hash, one.terms_hash)


def defining(one: ChunkDraft, name: str) -> ChunkDraft:
    return replace(one, span=replace(one.span, symbols=(Symbol(name, name, "function", 0),)))


def test_chunks_with_the_same_text_keep_their_own_symbols() -> None:
    first, second = defining(draft("same"), "uno"), defining(draft("same", line=5), "due")
    found = match_chunks([stored(1, first), stored(2, second)], "python", [second, first])
    assert [(one.chunk_id, one.draft.span.symbols[0].name) for one in found] == [(1, "uno"), (2, "due")]


def test_chunks_that_a_file_no_longer_has_do_not_match() -> None:
    assert match_chunks([stored(1, draft("old"))], "python", [draft("new"), defining(draft("old"), "other")]) == []


class FullIndex:
    """An index whose dense part lags, and can be written at the last of ``writes``."""

    def __init__(self, writes: int) -> None:
        self.lag = ProjectionLag(dense=True)
        self._left = writes

    def catch_up_dense(self) -> None:
        self._left -= 1
        if self._left:
            raise StoreFullError("no space", hint="free some")
        self.lag.dense = False

    async def write(self, function: Callable[[], None]) -> None:
        function()


@pytest.mark.anyio
async def test_a_full_disk_is_reported_once_however_often_it_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catch_up, "_RETRY_S", 0)
    reported: list[str] = []
    problems = RootProblems(lambda _key, problem: reported.append(problem.message if problem else "recovered"))
    index: Any = FullIndex(writes=4)
    unused: Any = None
    done: list[RootProblem] = []
    made = CatchUp(
        b"/root",
        index,
        unused,
        problems,
        on_hint=unused,
        on_reprocess=unused,
        on_caught_up=lambda: done.extend(problems),
    )
    await made.run()
    lagging = "the index is catching up with missed changes"
    assert reported == [lagging, "no space", lagging, "recovered"]
    assert done == []
