"""Finds the chunks with exactly the same text as a given one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

from codeindexd.search.trigram_query import literal_query
from codeindexd.storage.snapshot import Snapshot
from codeindexd.types import StoredChunk

_MOST_CONTENTS: Final = 2_000
_MOST_CHARS: Final = 300  # further ones hardly rule out more


def copies_of(snapshot: Snapshot, chunk: StoredChunk, text: str) -> Iterator[StoredChunk]:
    """Yield the other chunks of the index with the same text as ``chunk``, by path and line.

    ``text`` is that text. Only the first 2,000 contents that may contain its longest lines are looked at. Blocking.
    """
    candidates = snapshot.text.candidates(literal_query(_longest_lines(text)))
    contents = [content for content, _ in itertools.islice(candidates, _MOST_CONTENTS)]
    files = [file.file_id for file in snapshot.catalog.files_with_hashes(contents)]
    ids = [
        chunk_id
        for chunk_id in snapshot.catalog.chunk_ids_with_text(files, chunk.span_hash)
        if chunk_id != chunk.chunk_id
    ]
    yield from sorted(snapshot.catalog.chunks(ids).values(), key=lambda other: (other.path, other.span.start_line))


def _longest_lines(text: str) -> str:
    """Return the longest lines of ``text``, about 300 characters in all."""
    lines = sorted({line.strip() for line in text.splitlines()}, key=lambda line: (-len(line), line))
    sizes = itertools.accumulate(map(len, lines))
    longest = [line for line, size in zip(lines, sizes, strict=True) if size - len(line) < _MOST_CHARS]
    return "\n".join(longest)[:_MOST_CHARS]
