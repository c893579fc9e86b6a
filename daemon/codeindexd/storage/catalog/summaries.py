"""What ranking needs to know of a chunk: a query looks at hundreds of candidates, and shows ten of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from codeindexd.scan.relpath import join
from codeindexd.storage.catalog.rows import get_ids, get_symbols, get_text
from codeindexd.storage.sqlite import Reader
from codeindexd.types import Symbol

_SELECT = """
SELECT c.chunk_id, c.file_id, f.parent, f.name, f.language, c.start_line, c.end_byte - c.start_byte, c.kind, c.symbol,
       c.span_hash, c.symbols
FROM chunk c JOIN file f ON f.file_id = c.file_id WHERE c.chunk_id IN ({})
"""


class ChunkSummary(NamedTuple):
    """A part of a stored chunk. A tuple, because it is built five times as fast as a frozen dataclass."""

    chunk_id: int
    file_id: int
    path: bytes
    language: str
    start_line: int
    size_bytes: int
    kind: str
    stored_symbol: str | bytes | None
    span_hash: bytes
    stored_symbols: bytes | None

    @property
    def symbol(self) -> str:
        """The qualified name of the definition that the chunk is of, "" if none. Raises StoreDamagedError."""
        return get_text(self.stored_symbol)

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """The definitions in the chunk; decoded on every use. Raises StoreDamagedError."""
        return get_symbols(self.stored_symbols)


def summaries(reader: Reader, chunk_ids: Sequence[int]) -> list[ChunkSummary]:
    """Return the summaries of the existing chunks with these ids, in the order of ids."""
    rows = reader.rows_in(_SELECT.format, chunk_ids)
    rows.sort()
    return [
        ChunkSummary(chunk_id, file_id, join(parent, name), *rest) for chunk_id, file_id, parent, name, *rest in rows
    ]


def first_chunk_ids(reader: Reader, file_ids: Iterable[int]) -> list[int]:
    """Return the id of the first chunk of each of these files that has any."""
    sql = "SELECT substr(chunk_ids, 1, 8) FROM file WHERE chunk_ids <> x'' AND file_id IN ({})"
    return [chunk_id for row in reader.rows_in(sql.format, list(file_ids)) for chunk_id in get_ids(row[0]).tolist()]
