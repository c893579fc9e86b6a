"""The centrality of a root's files: computed from all definitions and references at once, and kept in one row.

It is not part of a commit, since every edit changes the ranks of other files a little. It follows in quiet times, with
the generation that it was computed from.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from codeindexd.analysis.chunking.samples import DOCUMENTS
from codeindexd.analysis.references.centrality import (
    CENTRALITY_VERSION,
    NO_EDGES,
    DefiningFiles,
    assigned_fields,
    defined_names,
    file_ranks,
    used_names,
)
from codeindexd.analysis.references.codec import decode
from codeindexd.storage.catalog.outlines import StoredOutline
from codeindexd.storage.sqlite import Row, TranslatedErrors, connect

_PAGE: Final = 500
_SELECT_DEFINITIONS: Final = """
SELECT r.file_id, f.language, o.definitions, f.parent
FROM reference r JOIN file f ON f.file_id = r.file_id LEFT JOIN outline o ON o.file_id = r.file_id
WHERE r.file_id > ? ORDER BY r.file_id LIMIT ?
"""
_SELECT_REFERENCES: Final = "SELECT file_id, refs FROM reference WHERE file_id > ? ORDER BY file_id LIMIT ?"
_IDS: Final = np.dtype("<i8")
_RANKS: Final = np.dtype("<f4")
_UNRANKED: Final = np.float32(np.nan)


class Centrality(Struct, frozen=True, eq=False):
    """The centrality of files (see ``analysis.references.centrality``) at one ``generation``.

    ``file_ids`` (n,) are sorted; ``ranks`` (n,) are theirs. Files without definitions and references are not ranked.
    """

    generation: int
    file_ids: NDArray[np.int64]
    ranks: NDArray[np.float32]

    def of(self, file_ids: Sequence[int]) -> NDArray[np.float32]:
        """Return the ranks of files (n,), NaN for those that are not ranked."""
        wanted = np.asarray(file_ids, dtype=np.int64)
        if not len(self.file_ids):
            return np.full(len(wanted), _UNRANKED)
        place = np.minimum(np.searchsorted(self.file_ids, wanted), len(self.file_ids) - 1)
        return np.where(self.file_ids[place] == wanted, self.ranks[place], _UNRANKED)

    @classmethod
    def decoded(cls, generation: int, file_ids: bytes, ranks: bytes) -> Centrality:
        """Return the centrality that :meth:`encoded` returned. Raises TypeError or ValueError for other values."""
        return cls(generation, np.frombuffer(file_ids, _IDS), np.frombuffer(ranks, _RANKS))

    def encoded(self) -> tuple[int, bytes, bytes]:
        """Return the generation, and both columns as bytes."""
        return self.generation, self.file_ids.astype(_IDS).tobytes(), self.ranks.astype(_RANKS).tobytes()

    def write(self, connection: sqlite3.Connection) -> None:
        """Write the row, inside a transaction."""
        row = (CENTRALITY_VERSION, *self.encoded())
        connection.execute("INSERT OR REPLACE INTO centrality VALUES (1, ?, ?, ?, ?)", row)


def stored_centrality(connection: sqlite3.Connection) -> Centrality | None:
    """Return the stored centrality; None if there is none, or if it is broken or of another version."""
    row = connection.execute("SELECT version, generation, file_ids, ranks FROM centrality").fetchone()
    if row is None or row[0] != CENTRALITY_VERSION:
        return None
    _, generation, file_ids, ranks = row
    try:
        found = Centrality.decoded(int(generation), file_ids, ranks)
    except (TypeError, ValueError):
        return None
    is_sound = len(found.file_ids) == len(found.ranks) and bool(np.all(np.diff(found.file_ids) > 0))
    return found if is_sound and bool(np.all(np.isfinite(found.ranks))) else None


def compute_centrality(path: Path) -> Centrality:
    """Return the centrality of the files in the catalog at ``path``. Blocking.

    For another process than the one that writes the catalog. Raises StoreDamagedError, StoreFullError, and
    BrokenReferencesError.
    """
    with TranslatedErrors(path):
        connection = connect(path, read_only=True)
        try:
            (generation,) = connection.execute("SELECT generation FROM state").fetchone()
            file_ids, ranks = _ranks(connection)
        finally:
            connection.close()
    return Centrality(generation, file_ids, ranks)


def _ranks(connection: sqlite3.Connection) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the ids (n,) and ranks (n,) of all files with definitions or references.

    What documents show as samples is left out: code cannot rely on it. Definitions are read first, so that of the
    references, only those to a known name are kept.
    """
    defined: dict[int, NDArray[np.uint64]] = {}
    directories: list[bytes] = []
    for file_id, language, blob, directory in _pages(connection, _SELECT_DEFINITIONS):
        if language not in DOCUMENTS:
            defined[file_id] = _defined_names(StoredOutline(blob)) if blob else defined_names(())
            directories.append(directory)
    places = {file_id: place for place, file_id in enumerate(defined)}
    files = DefiningFiles(list(defined.values()), directories)
    del defined, directories
    relied_on = [NO_EDGES] * len(files)
    for file_id, blob in _pages(connection, _SELECT_REFERENCES):
        if blob and (place := places.get(file_id)) is not None:
            relied_on[place] = files.relied_on(place, *used_names(decode(blob)))
    return np.array(list(places), dtype=np.int64), file_ranks(relied_on)


def _defined_names(outline: StoredOutline) -> NDArray[np.uint64]:
    """Return the names that others rely on: without the fields that methods assign to, which few but these use."""
    left_out = assigned_fields(outline.places)
    named = zip(outline.names, outline.kinds, strict=True)
    return defined_names(outline for place, outline in enumerate(named) if place not in left_out)


def _pages(connection: sqlite3.Connection, sql: str) -> Iterator[Row]:
    """Yield rows in the order of file ids, read in pages: a long read would hold back the checkpoints of the log."""
    last = 0
    while rows := connection.execute(sql, (last, _PAGE)).fetchall():
        yield from rows
        last = rows[-1][0]
