"""Finds the chunks with exactly the same text as a given one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

from codeindexd.search.trigram_query import literal_query
from codeindexd.storage.snapshot import Snapshot
from codeindexd.types import StoredChunk

_MOST_CONTENTS: Final = 2_000
_AT_ONCE: Final = 500
_MOST_LINE_CHARS: Final = 200


def copies_of(snapshot: Snapshot, chunk: StoredChunk, text: str) -> Iterator[StoredChunk]:
    """Yield the other chunks of the index with the same text as ``chunk``, by path and line.

    ``text`` is that text. Only the first 2,000 contents that may contain its longest line are looked at. Blocking.
    """
    line = max((one.strip() for one in text.splitlines()), key=len, default="")[:_MOST_LINE_CHARS]
    candidates = itertools.islice(snapshot.text.candidates(literal_query(line)), _MOST_CONTENTS)
    found: dict[int, StoredChunk] = {}
    while part := [content for content, _ in itertools.islice(candidates, _AT_ONCE)]:
        for file in snapshot.catalog.files_with_hashes(part):
            for other in snapshot.catalog.chunks_of_file(file.file_id):
                if other.span_hash == chunk.span_hash and other.chunk_id != chunk.chunk_id:
                    found[other.chunk_id] = other
    yield from sorted(found.values(), key=lambda other: (other.path, other.span.start_line))
