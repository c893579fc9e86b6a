"""The graph of commits in a history store, for another process than the one that writes the store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from codeindexd.analysis.history.skipping import CommitGraph
from codeindexd.storage.history import dictionary
from codeindexd.storage.sqlite import connect

_ID_BYTES = 20
_NO_PARENTS: tuple[int, ...] = ()


class StoredGraph:
    """The commits of a store with their parents, read from its database and kept. Not thread-safe.

    Methods raise sqlite3.Error if the database cannot be read.
    """

    def __init__(self, database: Path) -> None:
        """Open a database read-only. Raises sqlite3.Error."""
        self._connection = connect(database, read_only=True)
        self._store = ""
        self._generation = -1
        self._last = 0
        self._numbers: dict[bytes, int] = {}
        self._ids: dict[int, bytes] = {}
        self._times: dict[int, int] = {}
        self._recorded: dict[int, bytes] = {}
        self._parents: dict[int, tuple[int, ...]] = {}
        self._incomplete: list[int] | None = None  # the commits of which not every change is stored

    def graph(self) -> CommitGraph:
        """Return the graph at this moment."""
        store, generation = self._connection.execute("SELECT store, generation FROM state").fetchone()
        if store != self._store:
            for kept in (self._numbers, self._ids, self._times, self._recorded, self._parents):
                kept.clear()
            self._store, self._last = store, 0
        if generation != self._generation:
            self._read_new()
            self._generation = generation
            self._incomplete = None
        return CommitGraph(
            number_of=self._numbers.get,
            id_of=self._ids.__getitem__,
            parents_of=self._parents_of,
            time_of=self._times.__getitem__,
            changing=self._changing,
        )

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _read_new(self) -> None:
        rows = self._connection.execute(
            "SELECT number, id, parents, commit_time FROM commits WHERE number > ?", (self._last,)
        )
        for number, commit, parents, time in rows:
            self._numbers[commit] = number
            self._ids[number] = commit
            self._recorded[number] = parents
            self._times[number] = time
            self._last = max(self._last, number)
        self._parents.clear()  # some that were not known may be known now

    def _parents_of(self, number: int) -> Sequence[int]:
        found = self._parents.get(number)
        if found is None:
            ids = self._recorded[number]
            if len(ids) == _ID_BYTES:
                found = (self._numbers.get(ids, -1),)
            elif ids:
                parts = [ids[start : start + _ID_BYTES] for start in range(0, len(ids), _ID_BYTES)]
                found = tuple(self._numbers.get(part, -1) for part in parts)
            else:
                found = _NO_PARENTS
            self._parents[number] = found
        return found

    def _changing(self, path: bytes) -> list[int]:
        """Return the commits that changed a path, and those of which not every change is stored."""
        if self._incomplete is None:  # looked for in all commits, which takes longer than anything else
            rows = self._connection.execute("SELECT number FROM commits WHERE left_out > 0")
            self._incomplete = [number for (number,) in rows]
        rows = self._connection.execute(
            "SELECT number FROM paths AS p JOIN touched_paths AS t ON t.path = p.id WHERE key = ? AND p.path = ?",
            (dictionary.key_of(path), path),
        )
        return [*(number for (number,) in rows), *self._incomplete]
