"""How central the files of a root are: read from all definitions and references at once, and kept in one row.

It is no part of what a commit writes, since every edit changes the ranks of other files a little: it follows in quiet
times, and says of which generation it is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from codeindexd.analysis.chunking.samples import DOCUMENTS
from codeindexd.analysis.references import decode
from codeindexd.analysis.references.centrality import CENTRALITY_VERSION, FileNames, file_ranks
from codeindexd.storage.catalog.outlines import StoredOutline
from codeindexd.storage.sqlite import Translated, connect

_PAGE: Final = 500
_SELECT_PAGE: Final = """
SELECT r.file_id, f.language, o.definitions, r.refs
FROM reference r JOIN file f ON f.file_id = r.file_id LEFT JOIN outline o ON o.file_id = r.file_id
WHERE r.file_id > ? ORDER BY r.file_id LIMIT ?
"""
_UNRANKED: Final = np.float32(np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class Centrality:
    """How central files are (see `analysis.references.centrality`), as it was at a ``generation``.

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

    def write(self, connection: sqlite3.Connection) -> None:
        """Write the row, inside a transaction."""
        row = (CENTRALITY_VERSION, self.generation, self.file_ids.astype("<i8"), self.ranks.astype("<f4"))
        connection.execute("INSERT OR REPLACE INTO centrality VALUES (1, ?, ?, ?, ?)", row)


def stored_centrality(connection: sqlite3.Connection) -> Centrality | None:
    """Return what the row has; None if there is none, or if it is of another version or broken."""
    row = connection.execute("SELECT version, generation, file_ids, ranks FROM centrality").fetchone()
    if row is None or row[0] != CENTRALITY_VERSION:
        return None
    _, generation, file_ids, ranks = row
    try:
        found = Centrality(int(generation), np.frombuffer(file_ids, "<i8"), np.frombuffer(ranks, "<f4"))
    except (TypeError, ValueError):
        return None
    is_sound = len(found.file_ids) == len(found.ranks) and bool(np.all(np.diff(found.file_ids) > 0))
    return found if is_sound and bool(np.all(np.isfinite(found.ranks))) else None


def compute_centrality(path: Path) -> Centrality:
    """Compute how central the files of the catalog at ``path`` are. Blocking.

    For another process than the one that writes the catalog. Raises StoreDamagedError, StoreFullError.
    """
    with Translated(path):
        connection = connect(path, read_only=True)
        try:
            (generation,) = connection.execute("SELECT generation FROM state").fetchone()
            ids: list[int] = []
            files: list[FileNames] = []
            for file_id, names in _names(connection):
                ids.append(file_id)
                files.append(names)
        finally:
            connection.close()
    return Centrality(generation, np.array(ids, dtype=np.int64), file_ranks(files))


def _names(connection: sqlite3.Connection) -> Iterator[tuple[int, FileNames]]:
    """Yield the names in each file that has definitions or references, in the order of file ids.

    Read in pages, so that the reader holds back no checkpoint of the log for long. What documents show as samples is
    left out: code cannot rely on it.
    """
    last = 0
    while rows := connection.execute(_SELECT_PAGE, (last, _PAGE)).fetchall():
        for file_id, language, definitions, references in rows:
            if language not in DOCUMENTS:
                outline = StoredOutline(definitions) if definitions else None
                defined = zip(outline.names, outline.kinds, strict=True) if outline is not None else ()
                yield file_id, FileNames.of(defined, decode(references) if references else None)
        last = rows[-1][0]
