"""Counts for a directory: how many files below it are indexed, and how many entries each rule leaves out."""

from __future__ import annotations

from msgspec import Struct

from codeindexd.storage.catalog.rows import get_text
from codeindexd.storage.sqlite import Reader, Row
from codeindexd.types import Outcome

# A slash is the byte before a zero, so ``d/`` to ``d0`` are all paths below d.
_BELOW = "(e.parent = ? OR (e.parent >= ? AND e.parent < ?)) AND e.name > x''"
_LEAVES = f"""
SELECT f.outcome, coalesce(nullif(f.reason, ''), e.reason, ''), coalesce(e.rule, ''), count(*)
FROM entry e JOIN file f ON f.file_id = e.file_id
WHERE {_BELOW} GROUP BY 1, 2, 3 ORDER BY 4 DESC, 3, 2
"""  # noqa: S608
_NOT_SKIPPED = f"""
SELECT 1 FROM entry e JOIN file f ON f.file_id = e.file_id
WHERE {_BELOW} AND f.outcome <> {int(Outcome.SKIPPED)} LIMIT 1
"""  # noqa: S608


class LeftOut(Struct, frozen=True):
    """The number of ``entries`` that one rule leaves out: files, and directories that are not walked."""

    reason: str
    rule: str
    entries: int


class DirectorySummary(Struct, frozen=True):
    """Counts of files for everything below a directory; ``left_out`` has the largest groups first."""

    indexed: int
    failed: int
    pending: int
    left_out: tuple[LeftOut, ...]


def summary_of(reader: Reader, directory: bytes) -> DirectorySummary:
    """Return the counts for everything below ``directory`` (b"" is the root)."""
    rows = _rows_below(reader, _LEAVES, directory)
    outcomes = dict.fromkeys(Outcome, 0)
    left_out: list[LeftOut] = []
    for outcome, reason, rule, count in rows:
        outcomes[Outcome(outcome)] += count
        if outcome == Outcome.SKIPPED:
            left_out.append(LeftOut(get_text(reason), get_text(rule), count))
    return DirectorySummary(
        outcomes[Outcome.INDEXED], outcomes[Outcome.FAILED], outcomes[Outcome.UNPROCESSED], tuple(left_out)
    )


def has_files(reader: Reader, directory: bytes) -> bool:
    """Return True if any file below ``directory`` (b"" is the root) is not skipped: indexed, failed or waiting."""
    return bool(_rows_below(reader, _NOT_SKIPPED, directory))


def _rows_below(reader: Reader, sql: str, directory: bytes) -> list[Row]:
    """Return the rows of ``sql``, which contains ``_BELOW``, for everything below ``directory``."""
    if directory:
        return reader.rows(sql, (directory, directory + b"/", directory + b"0"))
    return reader.rows(sql.replace(_BELOW, "e.name > x''"))
