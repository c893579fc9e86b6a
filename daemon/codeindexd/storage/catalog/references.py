"""The references of files: one row for each file, written with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from codeindexd.analysis.references.codec import BrokenReferencesError, Columns, decode
from codeindexd.errors import StoreDamagedError
from codeindexd.storage.sqlite import REBUILT, Reader, Row


class FileReferences(Struct, frozen=True):
    """The references of a file as its worker encoded them, and the number of its definitions."""

    definitions: int = 0
    encoded: bytes = b""

    def __bool__(self) -> bool:
        return bool(self.definitions or self.encoded)


class GraphCounts(Struct, frozen=True):
    """The numbers of definitions and references in a root, and of files that have any."""

    files: int
    definitions: int
    references: int


def get_references(blob: bytes) -> Columns:
    """Return the references in a row. Raises StoreDamagedError."""
    try:
        return decode(blob)
    except BrokenReferencesError as error:
        message = f"the catalog contains broken references: {error}"
        raise StoreDamagedError(message, hint=REBUILT) from error


def references_of(reader: Reader, file_ids: Iterable[int]) -> dict[int, Columns]:
    """Return the references of these files by file id; a file without any is left out."""
    return {file_id: get_references(blob) for file_id, blob in encoded_references(reader, file_ids).items()}


def encoded_references(reader: Reader, file_ids: Iterable[int]) -> dict[int, bytes]:
    """Return the references of these files by file id, as their workers encoded them."""
    sql = "SELECT file_id, refs FROM reference WHERE file_id IN ({}) AND refs <> x''"
    return dict(reader.rows_in(lambda marks: sql.format(marks), [int(file_id) for file_id in file_ids]))


def graph_file_ids(reader: Reader) -> NDArray[np.int64]:
    """Return the sorted ids (n,) of the files with definitions or references."""
    rows = reader.rows("SELECT file_id FROM reference INDEXED BY reference_counts")
    return np.sort(np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows)))


def graph_versions(reader: Reader, file_ids: Iterable[int]) -> dict[int, bytes]:
    """Return the content hash and fingerprint of files, by file id."""
    sql = (
        "SELECT f.file_id, e.hash, f.fingerprint FROM file f JOIN entry e USING (parent, name) WHERE f.file_id IN ({})"
    )
    rows = reader.rows_in(sql.format, [*file_ids])
    return {file_id: digest + fingerprint for file_id, digest, fingerprint in rows}


def graph_counts(reader: Reader) -> GraphCounts:
    """Return the counts of the whole root, from an index that holds nothing else."""
    sql = "SELECT count(*), sum(definition_count), sum(reference_count) FROM reference INDEXED BY reference_counts"
    row = reader.row(sql)
    return GraphCounts(*(count or 0 for count in row)) if row is not None else GraphCounts(0, 0, 0)


class ReferenceDiffer:
    """Collects the changes of one transaction to the references of files, and writes them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._rows: list[Row] = []
        self._removed: list[int] = []

    @property
    def is_changed(self) -> bool:
        """True if anything has to be written."""
        return bool(self._rows or self._removed)

    def drop(self, file_id: int) -> None:
        """Remove the references of a file that was removed."""
        self.diff(file_id, FileReferences())

    def diff(self, file_id: int, references: FileReferences) -> None:
        """Replace the references of a file."""
        stored = self._connection.execute("SELECT * FROM reference WHERE file_id = ?", (file_id,)).fetchone()
        row = _row(file_id, references) if references else None
        if row == stored:
            return
        if row is None:
            self._removed.append(file_id)
        else:
            self._rows.append(row)

    def write(self) -> None:
        """Write all changes. Raises sqlite3.Error."""
        self._connection.executemany(
            "DELETE FROM reference WHERE file_id = ?", [(file_id,) for file_id in self._removed]
        )
        self._connection.executemany("INSERT OR REPLACE INTO reference VALUES (?, ?, ?, ?)", self._rows)


def _row(file_id: int, references: FileReferences) -> Row:
    return file_id, references.definitions, len(decode(references.encoded)), references.encoded
