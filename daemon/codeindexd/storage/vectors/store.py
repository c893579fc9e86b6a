"""The vectors of all roots by embed hash, so that nothing is embedded twice.

One SQLite file, which only the daemon writes while its worker processes read it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path

from codeindexd.errors import StoreDamagedError, StoreFullError
from codeindexd.storage.sqlite import Row, TranslatedErrors, give_back_pages, in_lists
from codeindexd.storage.vectors.file import VectorFile, warn
from codeindexd.storage.vectors.schema import REBUILD, bytes_in_use, checksum, is_intact

_COARSE_DAYS = 7  # a guess: a vector's last use is written at most this often, so that reading hardly ever writes
_PRUNE_BATCH = 20_000
_JOINED = "FROM key k JOIN vector v ON v.id = k.vector_id"
_PRUNED_SHARE = 0.95  # of the budget, so that the next save does not exceed it again


def today() -> int:
    """Return the number of days since the epoch."""
    return int(time.time() // 86_400)


class VectorStore(VectorFile):
    """Vectors (little-endian float16) by model identity and embed hash. Thread-safe; calls run one at a time.

    Methods raise StoreDamagedError if the file is damaged or was deleted (then :meth:`repair` it), StoreFullError if
    it cannot be read or written now.
    """

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> VectorStore:
        """Open the store, or create it (mode 0600, in a directory of mode 0700).

        With ``read_only`` the file may be missing or not yet set up: then there are no vectors, and later calls check
        again. A replaced file is opened again. Raises StoreDamagedError, StoreFullError.
        """
        store = cls(path, read_only=read_only)
        if not read_only:
            store._connect_writer()
        return store

    @classmethod
    def open_or_repair(cls, path: Path) -> VectorStore:
        """Open the store, repairing it if needed. If it cannot be used now, it is opened at its next use."""
        store = cls(path, read_only=False)
        try:
            store.repair_if_damaged()
        except StoreFullError as error:
            warn("vector_store_unusable", store=str(path), error=error.message, hint=error.hint)
        return store

    def _identity(self, connection: sqlite3.Connection, name: str) -> tuple[int, int] | None:
        """Return the id of a model identity and the dimensions of its vectors; None if it is not stored."""
        known = self._identities.get(name)
        if known is None:
            row = connection.execute("SELECT id, dimensions FROM identity WHERE name = ?", (name,)).fetchone()
            if row is not None:
                known = self._identities[name] = (row[0], row[1])
        return known

    # reading

    def get_many(self, identity: str, hashes: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the stored vectors with these embed hashes, by embed hash (2 bytes per dimension).

        Damaged vectors are left out: they are computed again, and :meth:`put_many` replaces them.
        """
        rows = self._look_up(identity, hashes, f"k.hash, v.data, v.checksum {_JOINED} WHERE k.identity = ?")
        found = {digest: data for digest, data, expected in rows if is_intact(identity, digest, data, expected)}
        if len(found) < len(rows):
            warn("damaged_vectors_skipped", store=str(self.path), count=len(rows) - len(found))
        return found

    def known(self, identity: str, hashes: Iterable[bytes]) -> set[bytes]:
        """Return the embed ``hashes`` that have a stored vector, without reading the vectors."""
        return {row[0] for row in self._look_up(identity, hashes, "k.hash FROM key k WHERE k.identity = ?")}

    def _look_up(self, identity: str, hashes: Iterable[bytes], select: str) -> list[Row]:
        wanted = list(dict.fromkeys(hashes))
        found: list[Row] = []
        with self._lock, TranslatedErrors(self.path):
            connection = self._reader() if wanted else None
            known = self._identity(connection, identity) if connection is not None else None
            if connection is None or known is None:
                return found
            for marks, part in in_lists(wanted):
                sql = f"SELECT {select} AND k.hash IN ({marks})"
                found += connection.execute(sql, (known[0], *part)).fetchall()
        return found

    def size_bytes(self) -> int:
        """Return the size of the file in bytes, not counting pages that pruning freed; 0 if there is no file."""
        with self._lock, TranslatedErrors(self.path):
            connection = self._reader()
            return 0 if connection is None else bytes_in_use(connection)

    def count(self, identity: str) -> int:
        """Return the number of vectors of the model ``identity``."""
        with self._lock, TranslatedErrors(self.path):
            connection = self._reader()
            known = self._identity(connection, identity) if connection is not None else None
            if connection is None or known is None:
                return 0
            found: int = connection.execute("SELECT count(*) FROM key WHERE identity = ?", known[:1]).fetchone()[0]
            return found

    # writing

    def put_many(self, identity: str, vectors: Iterable[tuple[bytes, bytes]], *, day: int | None = None) -> None:
        """Store vectors, given as (embed hash, little-endian float16), in one transaction; known hashes are kept.

        ``day`` is the day of their use (days since the epoch, default today). The first vector of an identity sets its
        dimensions; raises ValueError, storing nothing, if a vector has a different length.
        """
        items = dict(vectors)
        if not items:
            return
        used = today() if day is None else day
        with self._lock, self._transaction() as connection:
            number, dimensions = self._identity_for(connection, identity, len(next(iter(items.values()))))
            for data in items.values():
                if len(data) != 2 * dimensions:
                    raise ValueError(f"a vector of {identity} has {2 * dimensions} bytes, not {len(data)}")
            self._mark(connection, number, list(items), used)
            for digest in self._present(connection, number, identity, list(items)):
                del items[digest]
            first = self._next_vector
            ids = range(first, first + len(items))
            sums = [checksum(identity, digest, data) for digest, data in items.items()]
            connection.executemany("INSERT INTO vector VALUES (?, ?, ?)", zip(ids, items.values(), sums, strict=True))
            keys = sorted((digest, vector_id) for digest, vector_id in zip(items, ids, strict=True))
            connection.executemany(
                "INSERT INTO key VALUES (?, ?, ?, ?)", [(number, digest, vector_id, used) for digest, vector_id in keys]
            )
            self._next_vector = first + len(items)

    def _identity_for(self, connection: sqlite3.Connection, name: str, length: int) -> tuple[int, int]:
        """Return a model identity as :meth:`_identity` does, but add a new one. A vector has ``length`` bytes."""
        known = self._identity(connection, name)
        if known is None:
            if length == 0 or length % 2:
                raise ValueError(f"{length} bytes are not a float16 vector")
            connection.execute("INSERT INTO identity (name, dimensions) VALUES (?, ?)", (name, length // 2))
            known = self._identity(connection, name)
            assert known is not None
        elif length != 2 * known[1]:
            sql = f"SELECT length(v.data) {_JOINED} WHERE k.identity = ? LIMIT 1"
            if connection.execute(sql, known[:1]).fetchone() == (length,):  # the row of the identity is damaged
                connection.execute("UPDATE identity SET dimensions = ? WHERE id = ?", (length // 2, known[0]))
                known = self._identities[name] = (known[0], length // 2)
        return known

    def _present(
        self, connection: sqlite3.Connection, number: int, name: str, hashes: Sequence[bytes]
    ) -> Iterator[bytes]:
        """Yield the ``hashes`` that have an intact vector; delete keys whose vector is damaged, missing or wrong."""
        for marks, part in in_lists(hashes):
            joined = _JOINED.replace("JOIN", "LEFT JOIN")
            of_part = f"WHERE k.identity = ? AND k.hash IN ({marks})"
            sql = f"SELECT k.hash, v.data, v.checksum {joined} {of_part}"
            for digest, data, expected in connection.execute(sql, (number, *part)).fetchall():
                if is_intact(name, digest, data, expected):
                    yield digest
                else:
                    connection.execute("DELETE FROM key WHERE identity = ? AND hash = ?", (number, digest))

    def mark_used(
        self, identity: str, hashes: Iterable[bytes], *, day: int | None = None, coarse_days: int = _COARSE_DAYS
    ) -> None:
        """Record that vectors are used on ``day`` (days since the epoch, default today), so that they are kept longer.

        The last use of a vector is written at most every ``coarse_days`` days.
        """
        wanted = list(dict.fromkeys(hashes))
        with self._lock, self._transaction() as connection:
            known = self._identity(connection, identity)
            if known is not None:
                self._mark(connection, known[0], wanted, today() if day is None else day, coarse_days)

    @staticmethod
    def _mark(
        connection: sqlite3.Connection, number: int, hashes: Sequence[bytes], day: int, coarse_days: int = _COARSE_DAYS
    ) -> None:
        for marks, part in in_lists(hashes):
            sql = f"UPDATE key SET used = ? WHERE identity = ? AND used <= ? AND hash IN ({marks})"  # noqa: S608
            connection.execute(sql, (day, number, day - coarse_days, *part))

    def keep_within(self, budget: int, identity: str, in_use: Callable[[], Iterable[Iterable[bytes]]]) -> int:
        """Shrink the store to 95 % of ``budget`` bytes if it exceeds that; return the number of deleted vectors.

        ``in_use()`` yields the embed hashes that roots use with the model ``identity``; they count as used today.
        """
        if self.size_bytes() <= budget:
            return 0
        for hashes in in_use():
            self.mark_used(identity, hashes, coarse_days=1)
        return self.prune(int(budget * _PRUNED_SHARE), keep=[identity])

    def drop(self, identity: str) -> int:
        """Delete all vectors of the model ``identity``, in short transactions; return their number."""
        dropped = 0
        with self._lock, TranslatedErrors(self.path):
            connection = self._writer()
            known = self._identity(connection, identity)
            if known is None:
                return 0
            days = connection.execute(
                "SELECT used, count(*) FROM key WHERE identity = ? GROUP BY used", known[:1]
            ).fetchall()
            for used, count in days:
                dropped += self._drop(known[0], used, count)
            self._release(connection, dropped)
        return dropped

    def forget(self, identity: str, hashes: Iterable[bytes]) -> None:
        """Delete the vectors with these embed hashes, in one transaction; missing ones are ignored."""
        with self._lock, self._transaction() as connection:
            known = self._identity(connection, identity)
            if known is not None:
                self._delete(connection, known[0], list(dict.fromkeys(hashes)))

    @staticmethod
    def _delete(connection: sqlite3.Connection, number: int, hashes: Sequence[bytes]) -> None:
        of_key = "WHERE identity = ? AND hash = ?"
        keys = [(number, digest) for digest in hashes]
        connection.executemany(f"DELETE FROM vector WHERE id = (SELECT vector_id FROM key {of_key})", keys)  # noqa: S608
        connection.executemany(f"DELETE FROM key {of_key}", keys)  # noqa: S608

    def prune(self, max_bytes: int, keep: Collection[str] = ()) -> int:
        """Shrink the store to ``max_bytes``; return the number of deleted vectors.

        Vectors of models that are not in ``keep`` are deleted first; apart from that, those used least recently. Works
        in short transactions, so that readers and writers hardly wait.
        """
        dropped = 0
        with self._lock, TranslatedErrors(self.path):
            connection = self._writer()
            while (excess := bytes_in_use(connection) - max_bytes) > 0:
                gone = self._prune_once(connection, excess, keep)
                dropped += gone
                if not gone:
                    break
            self._release(connection, dropped)
        return dropped

    @staticmethod
    def _release(connection: sqlite3.Connection, dropped: int) -> None:
        """Give the space of ``dropped`` vectors back to the file system."""
        if dropped:
            give_back_pages(connection)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _prune_once(self, connection: sqlite3.Connection, excess: int, keep: Collection[str]) -> int:
        """Delete vectors of about ``excess`` bytes, estimated by their average size; return how many."""
        groups = connection.execute(
            "SELECT i.name, k.identity, k.used, count(*) FROM key k JOIN identity i ON i.id = k.identity"
            " GROUP BY k.identity, k.used"
        ).fetchall()
        groups.sort(key=lambda group: (group[0] in keep, group[2]))
        total = sum(group[3] for group in groups)
        wanted = -(-excess * total // bytes_in_use(connection))
        dropped = 0
        for _, number, used, count in groups:
            dropped += self._drop(number, used, min(count, wanted - dropped))
        return dropped

    def _drop(self, number: int, used: int, count: int) -> int:
        """Delete up to ``count`` vectors of an identity that were last used at ``used``; return how many."""
        dropped = 0
        while dropped < count:
            with self._transaction() as connection:
                rows = connection.execute(
                    "SELECT hash FROM key WHERE identity = ? AND used = ? ORDER BY vector_id LIMIT ?",
                    (number, used, min(_PRUNE_BATCH, count - dropped)),
                ).fetchall()
                self._delete(connection, number, [row[0] for row in rows])
            if not rows:
                break
            dropped += len(rows)
        return dropped

    # checks

    def check_structure(self) -> None:
        """Check the whole file with SQLite. Raises StoreDamagedError."""
        with self._lock, TranslatedErrors(self.path):
            connection = self._reader()
            found = "ok" if connection is None else connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise StoreDamagedError(f"{self.path} is damaged: {found}", hint=REBUILD)

    def check(self) -> list[str]:
        """Return the problems found in the whole file; empty if there are none."""
        with self._lock, TranslatedErrors(self.path):
            connection = self._reader()
            if connection is None:
                return []
            found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(20)")]
            rows = connection.execute(
                "SELECT i.name, k.hash, v.data, v.checksum FROM key k LEFT JOIN identity i ON i.id = k.identity"
                " LEFT JOIN vector v ON v.id = k.vector_id"
            )
            bad = sum(name is None or not is_intact(name, *vector) for name, *vector in rows)
            return ([] if found == ["ok"] else found) + ([f"{bad} keys have no intact vector"] if bad else [])
