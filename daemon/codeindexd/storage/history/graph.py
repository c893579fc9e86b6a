"""The graph of commits in a history store, for another process than the one that writes the store."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from codeindexd.analysis.history.packed_ids import ID_BYTES, PackedIds
from codeindexd.analysis.history.skipping import CommitGraph
from codeindexd.storage.history import dictionary
from codeindexd.storage.sqlite import connect

_NO_ID = bytes(ID_BYTES)
_NO_PARENTS: tuple[int, ...] = ()
_UNKNOWN, _NONE, _SEVERAL = -1, -2, -3  # in the place of the number of the only parent
_ROWS_AT_ONCE = 10_000
_NUMBERS_KEPT = 8192  # of ids that were looked for


class StoredGraph:
    """The commits of a store with their parents, read from its database and kept. Not thread-safe.

    A commit takes about 50 bytes. Methods raise sqlite3.Error if the database cannot be read.
    """

    def __init__(self, database: Path) -> None:
        """Open a database read-only. Raises sqlite3.Error."""
        self._connection = connect(database, read_only=True)
        self._store = ""
        self._generation = -1
        self._forget()

    def _forget(self) -> None:
        """Begin with no commits. Values are by number, which begins with 1."""
        self._ids = PackedIds(_NO_ID)
        self._times = array("q", [0])
        self._parent = array("i", [_NONE])
        self._merges: dict[int, tuple[int, ...]] = {}
        self._unresolved: dict[int, bytes] = {}  # the parents of commits of which not all are known
        self._incomplete: list[int] | None = None  # the commits of which not every change is stored

    def graph(self) -> CommitGraph:
        """Return the graph at this moment."""
        store, generation = self._connection.execute("SELECT store, generation FROM state").fetchone()
        if store != self._store:
            self._forget()
            self._store, self._generation = store, -1
        if generation != self._generation:
            self._read_new()
            self._generation = generation
            self._incomplete = None
        return CommitGraph(
            number_of=lru_cache(_NUMBERS_KEPT)(self._ids.place_of),
            id_of=self._ids.__getitem__,
            parents_of=self._parents_of,
            only_parent_of=self._parent.__getitem__,
            time_of=self._times.__getitem__,
            changing=self._changing,
        )

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _read_new(self) -> None:
        """Read the commits that were added. Some parents that were not known may be known then."""
        ids = bytearray(self._ids.joined)
        children = array("i", self._unresolved)
        parent_ids = bytearray().join(self._unresolved.values())
        counts = array("i", (len(parents) // ID_BYTES for parents in self._unresolved.values()))
        cursor = self._connection.execute(
            "SELECT number, id, parents, commit_time FROM commits WHERE number > ? ORDER BY number",
            (len(self._times) - 1,),
        )
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            for number, commit, parents, time in rows:
                while len(self._times) < number:  # numbers of commits that were removed
                    ids += _NO_ID
                    self._times.append(0)
                    self._parent.append(_NONE)
                ids += commit
                self._times.append(time)
                self._parent.append(_NONE)
                if parents:
                    children.append(number)
                    parent_ids += parents
                    counts.append(len(parents) // ID_BYTES)
        self._ids = PackedIds(ids)
        self._resolve(children, PackedIds(parent_ids), counts)

    def _resolve(self, children: Sequence[int], parents: PackedIds, counts: Sequence[int]) -> None:
        """Note the numbers of parents: each of ``children`` has the next of ``parents``, as many as ``counts`` says."""
        found = self._ids.places_of(parents)
        self._unresolved = {}
        at = 0
        for child, count in zip(children, counts, strict=True):
            places = found[at : at + count].tolist()
            if count == 1:
                self._parent[child] = places[0]
            else:
                self._parent[child] = _SEVERAL
                self._merges[child] = tuple(places)
            if _UNKNOWN in places:
                self._unresolved[child] = parents[at : at + count].joined
            at += count

    def _parents_of(self, number: int) -> Sequence[int]:
        parent = self._parent[number]
        if parent >= 0 or parent == _UNKNOWN:
            return (parent,)
        return self._merges[number] if parent == _SEVERAL else _NO_PARENTS

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
