from __future__ import annotations

from msgspec.structs import replace

from codeindexd.indexing.catch_up import match_chunks
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
