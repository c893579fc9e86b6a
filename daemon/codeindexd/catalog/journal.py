"""What each generation changed, kept until every projection has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from codeindexd.catalog.rows import get_ids
from codeindexd.sqlite_files import Reader


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One generation: ids of the chunks it added and removed, of the files whose path it added and removed."""

    generation: int
    added: tuple[int, ...]
    removed: tuple[int, ...]
    paths_added: tuple[int, ...]
    paths_removed: tuple[int, ...]


def journal_after(reader: Reader, generation: int) -> Iterator[JournalEntry]:
    """Generations above ``generation``, in order, one at a time: commits may go on meanwhile."""
    while True:
        row = reader.row("SELECT * FROM journal WHERE generation > ? ORDER BY generation LIMIT 1", (generation,))
        if row is None:
            return
        generation = row[0]
        yield JournalEntry(generation, *(tuple(get_ids(blob).tolist()) for blob in row[1:]))


def has_journal_since(reader: Reader, generation: int, current: int) -> bool:
    """Whether every generation above ``generation`` up to ``current`` is there."""
    if not 0 <= generation <= current:
        return False
    row = reader.row("SELECT count(*) FROM journal WHERE generation > ? AND generation <= ?", (generation, current))
    return row is not None and row[0] == current - generation
