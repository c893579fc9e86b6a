"""The writing side of a history store."""

from __future__ import annotations

import os
import shutil
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import structlog
import xxhash
from msgspec import Struct
from numpy.typing import NDArray

from codeindexd.analysis.history.mailmap import NO_MAILMAP, Mailmap
from codeindexd.analysis.history.packed_ids import ID_BYTES, PackedIds
from codeindexd.analysis.history.record import IndexedCommit
from codeindexd.errors import FailedError, StoreDamagedError, StoreFullError
from codeindexd.quantities import quantity
from codeindexd.storage.boot import boot_id
from codeindexd.storage.durable import LOCK, lock_directory, storing
from codeindexd.storage.history import commit_rows, dictionary
from codeindexd.storage.history.codec import (
    Numbers,
    pack_members,
    unpack_members,
)
from codeindexd.storage.history.commit_columns import CommitColumns
from codeindexd.storage.history.members import Members
from codeindexd.storage.history.people import People
from codeindexd.storage.history.schema import open_writer
from codeindexd.storage.history.snapshot import HistorySnapshot
from codeindexd.storage.history.vectors import CommitVectors
from codeindexd.storage.history.view import NO_VIEW, View, decode_view, encode_view
from codeindexd.storage.lexical import Lexical, LexicalChunk
from codeindexd.storage.sqlite import Reader, TranslatedErrors, rollback

log = structlog.get_logger(__name__)
DATABASE = "history.db"
_LEXICAL = "lexical"
_VECTORS = "vectors.i8"
_KEPT_UNREACHABLE = 5000  # commits of other branches and from before a rebase, which may be asked for again
_KEPT_SHARE = 0.2
_IDS_AT_ONCE = 8192
_NONE = np.zeros(0, dtype=np.int32)


class _Known(Struct, frozen=True):
    """A view and its members: numbers of commits, newest first."""

    view: View
    members: Members


class HistoryStore:
    """The commits of one repository and all its clones. Any thread may call; writes happen one after the other.

    A commit is stored in three steps: its vector, one transaction of SQLite, one of tantivy. SQLite is what counts:
    vectors beyond it mean nothing, and what tantivy misses is noticed when the store is opened, by comparing numbers.
    Methods raise StoreFullError, StoreDamagedError, and FailedError once it is closed.
    """

    def __init__(self, directory: Path, *, fingerprint: str, dimensions: int) -> None:
        """Open the store in ``directory``, or create it; callers use :meth:`open_or_rebuild`. Blocking.

        Raises StoreDamagedError, StoreVersionError, StoreFullError, AlreadyRunningError.
        """
        self.directory = directory
        self._path = directory / DATABASE
        self._mutex = threading.Lock()
        self._is_closed = False
        self._people = People()
        self._lock = lock_directory(directory, "history")
        try:
            self._connection = open_writer(self._path, fingerprint)
            try:
                self._open(dimensions)
            except BaseException:
                self._connection.close()
                raise
        except BaseException:
            os.close(self._lock)
            raise

    @classmethod
    def open_or_rebuild(cls, directory: Path, *, fingerprint: str, dimensions: int) -> HistoryStore:
        """Open a store; one that is damaged or was written by another version starts empty. Blocking.

        Raises StoreFullError, AlreadyRunningError.
        """
        try:
            return cls(directory, fingerprint=fingerprint, dimensions=dimensions)
        except StoreDamagedError as error:
            log.warning("history_rebuilt", store=str(directory), reason=error.message)
        remove_store(directory)
        return cls(directory, fingerprint=fingerprint, dimensions=dimensions)

    def _open(self, dimensions: int) -> None:
        """Read the state, and open the other stores; check them if the system was started since they were written."""
        with TranslatedErrors(self._path):
            row = self._connection.execute("SELECT store, boot, generation, next_number FROM state").fetchone()
            store, boot = row[0], row[1]
            self._generation, self._next = int(row[2]), int(row[3])
            same_boot = bool(boot) and boot == boot_id()
            if not same_boot:
                self._check_database()
                self._connection.execute("UPDATE state SET boot = ?", (boot_id(),))
            numbers = np.array(
                self._connection.execute("SELECT number, commit_time, author FROM commits").fetchall(), dtype=np.int64
            ).reshape(-1, 3)
            self._known = {root: self._decoded(*rest) for root, *rest in self._connection.execute(
                "SELECT root, description, members FROM views"
            )}  # fmt: skip
        self._columns = CommitColumns.of(self._next, numbers[:, 0], numbers[:, 1], numbers[:, 2])
        self._vectors = CommitVectors(self.directory / _VECTORS, dimensions)
        try:
            self._rows = self._vectors.rows(self._next)
            if not same_boot:
                self._check_vectors()
            self._open_lexical(store, same_boot=same_boot)
            self._reader = Reader(self._path)
        except BaseException:
            self._vectors.close()
            raise

    def _open_lexical(self, store: str, *, same_boot: bool) -> None:
        """Open the lexical index, and note which commits it lacks."""
        try:
            self._lexical = Lexical.open(self.directory / _LEXICAL, store, same_boot=same_boot)
            if self._lexical.generation > self._generation:
                self._lexical.close()
                raise StoreDamagedError("the lexical index is ahead of its history")
        except StoreDamagedError as error:
            log.warning("history_terms_rebuilt", store=str(self.directory), reason=error.message)
            self._lexical = Lexical.create(self.directory / _LEXICAL, store)
        self._lag: set[int] = set()
        if self._lexical.generation != self._generation:
            indexed = self._lexical.snapshot().chunk_ids()
            self._lag = set(np.setdiff1d(self._columns.numbers, indexed).tolist())
            extra = np.setdiff1d(indexed, self._columns.numbers).tolist()
            self._lexical.apply(self._generation if not self._lag else self._lexical.generation, delete_chunks=extra)

    def _decoded(self, description: bytes, members: bytes) -> _Known:
        try:
            return _Known(decode_view(description), Members(unpack_members(members)))
        except (msgspec.MsgspecError, zlib.error, ValueError) as error:
            raise StoreDamagedError(f"{self._path} has a view that cannot be read") from error

    # queries

    @property
    def generation(self) -> int:
        """The number of the last transaction."""
        return self._generation

    def numbers_of(self, ids: Sequence[bytes]) -> dict[bytes, int]:
        """Return the numbers of the commits that are stored, by id."""
        with TranslatedErrors(self._path):
            rows = self._reader.rows_in(
                lambda marks: f"SELECT id, number FROM commits WHERE id IN ({marks})",  # noqa: S608
                ids,
            )
        return dict(rows)

    def numbers_in(self, ids: PackedIds) -> Numbers:
        """Return the number of each of very many commits; 0 for those that are not stored."""
        found = np.zeros(len(ids), dtype=np.int32)
        for numbers, stored in self._all_ids():
            places = ids.places_of(stored)
            found[places[places >= 0]] = numbers[places >= 0]
        return found

    def are_lacking(self, numbers: Numbers) -> NDArray[np.bool_]:
        """Return True for each commit that has to be read: its number is 0, or its terms are missing."""
        return np.isin(numbers, np.array([0, *self._lag], dtype=np.int32))

    def ids_of_members(self, root: str) -> PackedIds | None:
        """Return the ids of a root's commits, newest first; None if some are gone."""
        order = self.members_of(root)
        rows = np.zeros((max(self._next, int(order.max(initial=0)) + 1), ID_BYTES), dtype=np.uint8)
        for numbers, stored in self._all_ids():
            rows[numbers] = stored.rows
        found = rows[order]
        return PackedIds(found.tobytes()) if found.any(axis=1).all() else None

    def _all_ids(self) -> Iterator[tuple[Numbers, PackedIds]]:
        """Yield the numbers and ids of all commits, a bounded part at a time."""
        for first in range(0, self._next, _IDS_AT_ONCE):
            rows = self._reader.rows(
                "SELECT number, id FROM commits WHERE number BETWEEN ? AND ?", (first, first + _IDS_AT_ONCE - 1)
            )
            numbers = np.array([number for number, _ in rows], dtype=np.int32)
            yield numbers, PackedIds(b"".join(commit_id for _, commit_id in rows))

    def view_of(self, root: str) -> View | None:
        """Return what is known of a root; None if nothing."""
        known = self._known.get(root)
        return known.view if known else None

    def members_of(self, root: str) -> Numbers:
        """Return the numbers of a root's commits, newest first."""
        known = self._known.get(root)
        return known.members.order if known else np.zeros(0, dtype=np.int32)

    def merged_by_time(self, first: Numbers, second: Numbers) -> Numbers:
        """Return two lists of commits, each newest first, as one; each keeps its order."""
        places = np.searchsorted(-np.minimum.accumulate(self._columns.times[second]), -self._columns.times[first])
        places = np.maximum.accumulate(places) if len(places) else places
        merged: Numbers = np.insert(second, places, first).astype(np.int32)
        return merged

    def roots(self) -> list[str]:
        """Return the ids of the roots that have a view."""
        return list(self._known)

    def snapshot(self, root: str, mailmap: Mailmap = NO_MAILMAP) -> HistorySnapshot | None:
        """Return the present history of a root; None if there is none yet. ``mailmap`` names its people."""
        known = self._known.get(root)
        if known is None:
            return None
        return HistorySnapshot(
            self._reader,
            self._lexical.snapshot(),
            self._rows,
            self._columns,
            known.view,
            known.members,
            mailmap,
            self._people,
        )

    # writing

    def add(self, commits: Sequence[IndexedCommit]) -> dict[bytes, int]:
        """Store commits, and return their numbers by id; those that are stored get their terms and vectors again."""
        if not commits:
            return {}
        with self._writing():
            by_id = {indexed.commit.id: indexed for indexed in commits}
            known = self.numbers_of(list(by_id))
            fresh = [indexed for commit_id, indexed in by_id.items() if commit_id not in known]
            numbers = known | {indexed.commit.id: self._next + place for place, indexed in enumerate(fresh)}
            for commit_id, number in known.items():
                self._vectors.write(number, [by_id[commit_id].vector])
            self._vectors.write(self._next, [indexed.vector for indexed in fresh])
            with self._transaction():
                people = commit_rows.insert(self._connection, fresh, numbers)
                self._connection.execute("UPDATE state SET next_number = ?", (self._next + len(fresh),))
                blocks = [(self._next, [indexed.vector for indexed in fresh])] if fresh else []
                blocks += [(number, [by_id[commit_id].vector]) for commit_id, number in known.items()]
                self._note_blocks(blocks)
            columns = [
                (numbers[indexed.commit.id], indexed.commit.commit_time, people[indexed.commit.author])
                for indexed in fresh
            ]
            self._next += len(fresh)
            self._columns = self._columns.extended(self._next, columns)
            self._rows = self._vectors.rows(self._next)
            self._lag.update(numbers.values())
            self._add_terms([(numbers[commit_id], indexed) for commit_id, indexed in by_id.items()])
            return numbers

    def _add_terms(self, commits: Sequence[tuple[int, IndexedCommit]]) -> None:
        chunks = [_chunk(number, indexed) for number, indexed in commits]
        lag = self._lag - {number for number, _ in commits}
        self._lexical.apply(self._lexical.generation if lag else self._generation, add_chunks=chunks)
        self._lag = lag

    def _note_blocks(self, blocks: Iterable[tuple[int, Sequence[bytes]]]) -> None:
        """Record the checksums of written rows. A row written again replaces the block that it is in."""
        empty = bytes(self._vectors.dimensions)
        for first, rows in blocks:
            overlapping = self._connection.execute(
                "SELECT first, last FROM vector_blocks WHERE first <= ? AND last >= ?", (first + len(rows) - 1, first)
            ).fetchall()
            for old_first, old_last in overlapping:
                self._connection.execute("DELETE FROM vector_blocks WHERE first = ?", (old_first,))
                data = self._vectors.rows(old_last + 1)[old_first:]
                self._note_block(old_first, data.tobytes())
            if not overlapping:
                self._note_block(first, b"".join(row or empty for row in rows))

    def _note_block(self, first: int, data: bytes) -> None:
        last = first + len(data) // self._vectors.dimensions - 1
        digest = xxhash.xxh3_64_intdigest(data) - (1 << 63)
        self._connection.execute("INSERT INTO vector_blocks VALUES (?, ?, ?)", (first, last, digest))

    def set_view(self, view: View, members: Numbers) -> None:
        """Replace what is known of a root; ``members`` are the numbers of its commits, newest first."""
        with self._writing(), self._transaction():
            self._connection.execute(
                "INSERT OR REPLACE INTO views VALUES (?, ?, ?)", (view.root, encode_view(view), pack_members(members))
            )
        self._known = {**self._known, view.root: _Known(view, Members(members))}
        self._stamp()

    def remove_view(self, root: str) -> None:
        """Forget a root; its commits are pruned later unless others need them."""
        with self._writing(), self._transaction():
            self._connection.execute("DELETE FROM views WHERE root = ?", (root,))
        self._known = {other: known for other, known in self._known.items() if other != root}
        self._stamp()

    def note_unreadable(self, errors: dict[bytes, str]) -> None:
        """Record why commits could not be read, until they are added."""
        with self._writing(), self._transaction():
            self._connection.executemany("INSERT OR REPLACE INTO unreadable VALUES (?, ?)", list(errors.items()))
        self._stamp()

    def unreadable(self) -> dict[bytes, str]:
        """Return why commits could not be read, by id."""
        return dict(self._reader.rows("SELECT id, error FROM unreadable"))

    def prune(self, *, at_once: bool = False) -> int:
        """Remove commits that no root reaches, if there are many of them, or ``at_once``; return how many."""
        with self._mutex:
            needed = [known.members.order for known in self._known.values()]
            reachable = np.unique(np.concatenate(needed)) if needed else np.zeros(0, dtype=np.int32)
            dead = np.setdiff1d(self._columns.numbers, reachable).tolist()
        if not dead or (not at_once and len(dead) <= max(_KEPT_UNREACHABLE, _KEPT_SHARE * len(reachable))):
            return 0
        with self._writing():
            with self._transaction():
                commit_rows.delete(self._connection, dead)
                dictionary.remove_unused(self._connection)
            self._columns = self._columns.without(dead)
            self._lag -= set(dead)
            self._lexical.apply(self._lexical.generation if self._lag else self._generation, delete_chunks=dead)
        return len(dead)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._mutex:
            if self._is_closed:
                raise FailedError(f"{self._path} is closed", hint="try again")
            yield

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what the block writes as one generation, or nothing."""
        with TranslatedErrors(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("UPDATE state SET generation = ?", (self._generation + 1,))
                self._connection.execute("COMMIT")
            except BaseException:
                rollback(self._connection)
                raise
            self._generation += 1

    def _stamp(self) -> None:
        """Note in the lexical index that a transaction without commits needs nothing there."""
        with self._writing():
            if not self._lag and self._lexical.generation < self._generation:
                self._lexical.apply(self._generation)

    # verification and maintenance

    def check(self) -> list[str]:
        """Return what is wrong with the files of the store. Blocking, for a while."""
        problems = []
        with self._writing():
            for examine in (self._check_database, self._check_vectors, self._lexical.check):
                try:
                    examine()
                except StoreDamagedError as error:
                    problems.append(error.message)
            indexed = self._lexical.snapshot().chunk_ids()
            differing = np.setxor1d(indexed, self._columns.numbers)
            differing = np.setdiff1d(differing, np.array(sorted(self._lag), dtype=np.int64))
            if len(differing):
                problems.append(f"the terms of {quantity(len(differing), 'commit')} are missing or superfluous")
        return problems

    def differences_of_members(self, root: str, ids: PackedIds) -> list[str]:
        """Return how the commits of a root differ from ``ids``, apart from those that cannot be read."""
        numbers, members = self.numbers_in(ids), self.members_of(root)
        unreadable = self.unreadable()
        missing = [
            commit_id
            for commit_id in ids.at((numbers == 0) | ~np.isin(numbers, members))
            if commit_id not in unreadable
        ]
        superfluous = np.setdiff1d(members, numbers)
        problems = []
        if missing:
            problems.append(f"{quantity(len(missing), 'commit is', 'commits are')} missing, such as {missing[0].hex()}")
        if len(superfluous):
            problems.append(f"{quantity(len(superfluous), 'commit is', 'commits are')} no longer reachable")
        return problems

    def differences_of_commits(self, commits: Sequence[IndexedCommit]) -> list[str]:
        """Return how stored commits differ from what was just read: in record, terms or vector."""
        numbers = self.numbers_of([indexed.commit.id for indexed in commits])
        # differences_of_members finds the others
        commits = [indexed for indexed in commits if indexed.commit.id in numbers]
        snapshot = HistorySnapshot(
            self._reader,
            self._lexical.snapshot(),
            self._rows,
            self._columns,
            NO_VIEW,
            Members(np.zeros(0, dtype=np.int32)),
        )
        stored = snapshot.commits(list(numbers.values()))
        chunks = {numbers[indexed.commit.id]: _chunk(numbers[indexed.commit.id], indexed) for indexed in commits}
        without_terms = set(self._lexical.snapshot().missing_chunks(list(chunks.values()))) - self._lag
        problems = []
        for indexed in commits:
            number = numbers[indexed.commit.id]
            if stored.get(number) != indexed.commit:
                problems.append(f"the record of {indexed.commit.id.hex()} differs")
            if number in without_terms:
                problems.append(f"the terms of {indexed.commit.id.hex()} differ")
            if indexed.vector and self._rows[number].tobytes() != indexed.vector:
                problems.append(f"the vector of {indexed.commit.id.hex()} differs")
        return problems

    def _check_database(self) -> None:
        with TranslatedErrors(self._path):
            found = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != ("ok",):
            raise StoreDamagedError(f"{self._path} is damaged: {found[0]}")

    def _check_vectors(self) -> None:
        rows = self._vectors.rows(self._next)
        with TranslatedErrors(self._path):
            for first, last, digest in self._connection.execute("SELECT first, last, digest FROM vector_blocks"):
                if xxhash.xxh3_64_intdigest(rows[first : last + 1].tobytes()) - (1 << 63) != digest:
                    raise StoreDamagedError(f"the vectors of commits {first} to {last} are damaged")

    def tidy(self) -> bool:
        """Delete replaced files and close the writer of the lexical index; return False if that has to be repeated."""
        with self._writing():
            with TranslatedErrors(self._path):
                self._connection.execute("PRAGMA optimize")
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return self._lexical.tidy()

    def size_bytes(self) -> int:
        """Return how much space the store takes."""
        with storing("history"):
            return sum(path.stat().st_size for path in self.directory.rglob("*") if path.is_file())

    def close(self) -> None:
        """Close the store; may be repeated. Snapshots can no longer be queried."""
        with self._mutex:
            if self._is_closed:
                return
            self._is_closed = True
            self._reader.close()
            self._lexical.close()
            self._vectors.close()
            self._connection.close()
            os.close(self._lock)


def _chunk(number: int, indexed: IndexedCommit) -> LexicalChunk:
    """Return a commit as the lexical index has it.

    The field of words is not used: it has positions, and phrases are looked for in the messages.
    """
    return LexicalChunk(number, 0, "", indexed.identifiers, indexed.words, names=indexed.context.split())


def remove_store(directory: Path) -> None:
    """Delete a store that is not open. Raises StoreFullError if that is impossible."""
    try:
        for path in directory.iterdir() if directory.is_dir() else ():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()
    except OSError as error:
        raise StoreFullError(f"cannot delete {directory}: {error.strerror}", hint="check the permissions") from error


__all__ = ["HistoryStore", "View", "remove_store"]
