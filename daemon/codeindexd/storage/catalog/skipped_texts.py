"""What is known of the texts of files that have no chunks because they are too large, generated or minified.

Exact search includes these files, but no scan reads them or keeps their stats. A worker reads them in quiet times, so
that the text index has their contents. A row says which content a file had at which stat: as long as the stat on the
disk is the same, so is the content. Rows are a cache: they are written without a new generation, and may be deleted at
any time. The rows of one write have the number of their round. A snapshot of the catalog may see newer rows than its
snapshot of the text index has contents for, and ignores them by that number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from codeindexd.scan.relpath import join
from codeindexd.scan.safe_read import current_stat
from codeindexd.storage.catalog.contents import UNINDEXED
from codeindexd.storage.catalog.rows import get_stat, get_text, put_stat
from codeindexd.storage.sqlite import Reader
from codeindexd.types import FileStat, Outcome

TEXTUAL_REASONS: Final = ("oversized", "generated", "minified")
"""The reasons for which files without chunks may nevertheless be text."""

_REASONS: Final = ", ".join(f"'{reason}'" for reason in TEXTUAL_REASONS)
_SKIPPED_TEXTS: Final = f"""
SELECT f.file_id, f.parent, f.name, f.language, t.hash, t.size, t.mtime_ns, t.ctime_ns, t.inode
FROM file f LEFT JOIN skipped_text t ON t.file_id = f.file_id AND t.round <= ?
WHERE f.{UNINDEXED} AND f.outcome = {int(Outcome.SKIPPED)} AND f.reason IN ({_REASONS})
"""  # noqa: S608
_LONG_RUNS: Final = "SELECT file_id, long_runs FROM skipped_text WHERE file_id IN ({})"


class SkippedText(Struct, frozen=True):
    """A file that is skipped but may be text.

    ``content`` is the hash of its content when its stat was ``stat``; b"" and None if it was not read yet.
    """

    file_id: int
    path: bytes
    language: str
    content: bytes = b""
    stat: FileStat | None = None


def is_unchanged(root: bytes, text: SkippedText) -> bool:
    """Return True if the file below ``root`` has the stat at which its content was read. Blocking."""
    return text.stat is not None and current_stat(root, text.path) == text.stat


class ReadText(Struct, frozen=True):
    """The hash of the content that a skipped file had at ``stat``, and the filter of its long runs (b"": unknown)."""

    file_id: int
    content: bytes
    stat: FileStat
    long_runs: bytes = b""


def skipped_texts(reader: Reader, newest_round: int) -> list[SkippedText]:
    """Return the skipped files that may be text, with what rounds up to ``newest_round`` have read of them.

    They come in no particular order.
    """
    return [
        SkippedText(file_id, join(parent, name), get_text(language), content or b"", get_stat(stat))
        for file_id, parent, name, language, content, *stat in reader.rows(_SKIPPED_TEXTS, (newest_round,))
    ]


def long_runs_of_files(reader: Reader, file_ids: Iterable[int]) -> dict[int, bytes]:
    """Return the filters of the long runs in the texts of these files (see ``analysis.long_runs``), by file id."""
    return dict(reader.rows_in(_LONG_RUNS.format, sorted(file_ids)))


def skipped_contents(reader: Reader) -> set[bytes]:
    """Return the hashes of all contents in the rows."""
    return {row[0] for row in reader.rows("SELECT hash FROM skipped_text")}


def newest_round(connection: sqlite3.Connection) -> int:
    """Return the number of the last round that wrote a row; 0 if there is none."""
    (newest,) = connection.execute("SELECT max(round) FROM skipped_text").fetchone()
    return newest or 0


def write_read_texts(connection: sqlite3.Connection, texts: Iterable[ReadText], round_: int) -> None:
    """Write the rows of a round, inside a transaction; files that are no longer skipped get none."""
    connection.executemany(
        "INSERT OR REPLACE INTO skipped_text"
        " SELECT file_id, ?, ?, ?, ?, ?, ?, ? FROM file WHERE file_id = ? AND outcome = ?",
        [
            (round_, text.content, *put_stat(text.stat), text.long_runs, text.file_id, int(Outcome.SKIPPED))
            for text in texts
        ],
    )


def forget_contents(connection: sqlite3.Connection, contents: Iterable[bytes]) -> None:
    """Delete the rows with these contents, inside a transaction."""
    connection.executemany("DELETE FROM skipped_text WHERE hash = ?", [(content,) for content in contents])


def forget_files(connection: sqlite3.Connection, file_ids: Iterable[int]) -> None:
    """Delete the rows of these files, inside a transaction."""
    connection.executemany("DELETE FROM skipped_text WHERE file_id = ?", [(file_id,) for file_id in file_ids])
