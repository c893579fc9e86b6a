"""What the lexical index is given for a chunk."""

from __future__ import annotations

from functools import lru_cache

from codeindexd.lexical import LexicalChunk
from codeindexd.model import IndexedChunk
from codeindexd.tokens import split_identifier, stem


@lru_cache(maxsize=10_000)
def _symbol_words(symbol: str) -> str:
    return " ".join(map(stem, split_identifier(symbol)))


def lexical_chunk(chunk: IndexedChunk) -> LexicalChunk:
    """The document of a committed chunk."""
    span = chunk.draft.span
    return LexicalChunk(
        chunk_id=chunk.chunk_id,
        file_id=chunk.file_id,
        words=chunk.draft.words,
        identifiers=chunk.draft.identifiers,
        symbol=_symbol_words(span.symbol),
        names=tuple(symbol.name for symbol in span.symbols),
        language=chunk.language,
        kind=span.kind,
    )
