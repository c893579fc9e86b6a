"""The catalog of one root: the commit point of everything indexed."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from codeindexd.errors import CodeindexError, FailedError, StoreDamagedError, StoreFullError
from codeindexd.scan.relpath import join
from codeindexd.storage.catalog.check import check_catalog
from codeindexd.storage.catalog.rows import NODE_COLUMNS, entry_from, failure_from
from codeindexd.storage.catalog.schema import REBUILD, open_writer, reading_rows
from codeindexd.storage.catalog.snapshot import CatalogSnapshot
from codeindexd.storage.catalog.state import SELECT_STATE, CatalogState
from codeindexd.storage.catalog.tree import CatalogTree
from codeindexd.storage.catalog.writer import write_transaction
from codeindexd.storage.sqlite import (
    Reader,
    Translated,
    connect,
    file_identity,
    give_back_pages,
    remove_database,
    rollback,
)
from codeindexd.types import Committed, Counts, Entry, Failure, Outcome, Transaction

_LOG_LIMIT = 16 << 20  # bytes; a commit that finds a larger write-ahead log checkpoints it first
_IDLE_READERS = 4
_FAILURE = "SELECT parent, name, stage, error, attempts, next_retry_ns, quarantined FROM failure"
_HAS_FINGERPRINT = "(f.outcome = 1 OR (f.outcome <> 4 AND f.fingerprint <> x''))"
_E = ", ".join(f"e.{column}" for column in NODE_COLUMNS.split(", "))


class Catalog:
    """One SQLite file. Methods are synchronous; any thread may call, writers take turns.

    Every method raises StoreDamagedError if the file is damaged or was deleted (rebuild it), and StoreFullError if it
    cannot be written or read now; then nothing was committed and the catalog stays usable.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Use :meth:`open`."""
        self.path = path
        self._open_connection: sqlite3.Connection | None = connection
        self._on_wake: Callable[[], object] = bool
        self._writing = threading.RLock()
        self._snapshots_lock = threading.Lock()  # for the two collections of snapshots
        self._open_snapshots: set[CatalogSnapshot] = set()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        self._identity = file_identity(path)
        self._wal = path.with_name(path.name + "-wal")
        self._state = CatalogState.of(connection.execute(SELECT_STATE).fetchone())
        self._kinds = self._stored_kinds()
        self.store_uuid: str = connection.execute("SELECT value FROM meta WHERE key = 'store_uuid'").fetchone()[0]
        self._reader = Reader(path, on_wake=self._report_wake)
        self._tree = CatalogTree(Reader(path, on_wake=self._report_wake))
        self._last_root_hash: tuple[CatalogState, bytes] | None = None

    @classmethod
    def open(cls, path: Path, *, root_id: str, verify: bool = False) -> Catalog:
        """Open the catalog of the root, or create it (file 0600 in a directory 0700).

        ``verify`` checks the whole file first, as :meth:`check` does, for use after an unclean shutdown. Raises
        StoreDamagedError (damaged, of another root or schema), StoreFullError.
        """
        with contextlib.ExitStack() as undo, Translated(path), reading_rows(path):
            connection = open_writer(path, root_id)
            undo.callback(connection.close)
            catalog = cls(path, connection)
            if verify:
                undo.callback(catalog.close)
                if problems := catalog.check():
                    raise StoreDamagedError(f"{path} is damaged: {problems[0]}", hint=REBUILD)
            undo.pop_all()
        return catalog

    @staticmethod
    def remove(path: Path) -> None:
        """Delete a catalog that nobody has open. Raises StoreFullError."""
        remove_database(path)

    @property
    def generation(self) -> int:
        """The generation of the last commit, 0 before the first."""
        return self._state.generation

    @property
    def root_hash(self) -> bytes:
        """16 bytes: the hash over all committed leaves."""
        state, last = self._state, self._last_root_hash
        if last is not None and last[0] is state:
            return last[1]
        root = self._tree.node(b"")
        if root is None:
            raise StoreDamagedError(f"{self.path} has no root", hint=REBUILD)
        self._last_root_hash = state, root.hash
        return root.hash

    # rest

    @property
    def _connection(self) -> sqlite3.Connection:
        """The writing connection, opened again after a rest; only while holding ``_writing``."""
        if self._open_connection is None:
            self._check_open()
            if self._identity != file_identity(self.path):
                raise StoreDamagedError(f"{self.path} was deleted or replaced", hint=REBUILD)
            self._open_connection = connect(self.path, read_only=False)
            self._report_wake()
        return self._open_connection

    def report_wakes_to(self, on_wake: Callable[[], object]) -> None:
        """Have ``on_wake`` called, in any thread, when files are opened again after :meth:`rest`."""
        self._on_wake = on_wake

    def _report_wake(self) -> None:
        self._on_wake()

    def rest(self) -> bool:
        """Close all files until the next use; return False if something is in use now."""
        if not self._writing.acquire(blocking=False):
            return False
        try:
            with self._snapshots_lock:
                if self._open_snapshots or self._closed:
                    return self._closed
                idle, self._idle = self._idle, []
            for connection in idle:
                connection.close()
            if not (self._reader.rest() and self._tree.reader.rest()):
                return False
            if self._open_connection is not None:
                with contextlib.suppress(sqlite3.Error, CodeindexError):  # the log stays and is read at the next open
                    self._checkpoint()
                self._open_connection.close()
                self._open_connection = None
            return True
        finally:
            self._writing.release()

    def counts(self) -> Counts:
        """Return how much is committed; costs nothing."""
        return self._state.counts

    # writing

    def commit(self, changes: Transaction) -> Committed:
        """Commit ``changes`` in one transaction and return what the projections have to follow.

        Removals come first, then moves, directories, updates, touched. The generation rises by one, unless nothing
        changed that a query or a tree hash shows (no change at all, stats, failures). A move whose source is gone or
        has other content leaves its target UNPROCESSED; touched leaves with other content are ignored. Raises
        ValueError if the root would become a file.
        """
        with self._writing:
            with self._transaction() as connection:
                written = write_transaction(connection, self._state, self._kinds, changes)
                if not written.changed:
                    rollback(connection)
            self._state = written.state
            return written.committed

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._writing, Translated(self.path):
            self._check_open()
            if self._identity != file_identity(self.path):
                raise StoreDamagedError(f"{self.path} was deleted or replaced", hint=REBUILD)
            self._checkpoint_large_log()
            connection = self._connection
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                if connection.in_transaction:
                    connection.execute("COMMIT")
            except BaseException:
                rollback(connection)
                self._kinds = self._stored_kinds()
                raise

    def _check_open(self) -> None:
        if self._closed:
            raise FailedError(f"{self.path} is closed here", hint="the daemon is stopping")

    def _stored_kinds(self) -> dict[str, int]:
        return dict(self._connection.execute("SELECT name, code FROM kind").fetchall())

    # reading

    def tree(self) -> CatalogTree:
        """Return the committed tree; it follows the commits and needs no closing."""
        return self._tree

    def snapshot(self) -> CatalogSnapshot:
        """Pin what is committed now. Close the snapshot when it is replaced."""
        with self._snapshots_lock:
            self._check_open()
            if not self._idle:
                self._report_wake()
            reader = Reader(self.path, self._idle.pop() if self._idle else None)
        try:
            snapshot = CatalogSnapshot(reader, self._take_back)
        except BaseException:
            reader.close()
            raise
        with self._snapshots_lock:
            self._open_snapshots.add(snapshot)
        return snapshot

    def _take_back(self, snapshot: CatalogSnapshot, connection: sqlite3.Connection | None) -> None:
        with self._snapshots_lock:
            self._open_snapshots.discard(snapshot)
            if connection is not None and not self._closed and len(self._idle) < _IDLE_READERS:
                self._idle.append(connection)
                connection = None
        if connection is not None:
            connection.close()

    def unprocessed(self) -> Iterator[Entry]:
        """Yield leaves that are in the tree and not chunked yet."""
        return self._entries("f.outcome = ?", (int(Outcome.UNPROCESSED),))

    def files_with_other_fingerprint(self, fingerprint_of: Callable[[str, str], bytes]) -> Iterator[Entry]:
        """Yield leaves whose fingerprint differs from ``fingerprint_of(language, encoding)``.

        Skipped and failed leaves count if they have a fingerprint: today's pipeline may decide otherwise.
        """
        stored = self._reader.rows(
            f"SELECT DISTINCT language, encoding, fingerprint FROM file f WHERE {_HAS_FINGERPRINT}"  # noqa: S608
        )
        for language, encoding, fingerprint in stored:
            if fingerprint_of(language, encoding) != fingerprint:
                where = f"f.language = ? AND f.encoding = ? AND f.fingerprint = ? AND {_HAS_FINGERPRINT}"
                yield from self._entries(where, (language, encoding, fingerprint))

    def _entries(self, where: str, parameters: tuple[object, ...]) -> Iterator[Entry]:
        rows = self._reader.rows(
            f"SELECT f.parent, f.name, {_E} FROM file f JOIN entry e ON e.parent = f.parent AND e.name = f.name"  # noqa: S608
            f" WHERE {where} ORDER BY f.file_id",
            parameters,
        )
        for row in rows:
            yield entry_from(join(row[0], row[1]), row[2:])

    def failures(self, limit: int = -1) -> list[Failure]:
        """Return failures sorted by path, all of them unless limited. Reads nothing if there is none."""
        if not self._state.counts.failed:
            return []
        rows = self._reader.rows(f"{_FAILURE} ORDER BY parent, name LIMIT ?", (limit,))
        return [failure_from(row) for row in rows]

    def failures_due(self, now_ns: int) -> list[Failure]:
        """Return the failures that are due for a retry, the longest due first. Reads nothing if there is none."""
        if not self._state.counts.failed:
            return []
        rows = self._reader.rows(
            f"{_FAILURE} WHERE next_retry_ns > 0 AND next_retry_ns <= ? AND NOT quarantined ORDER BY next_retry_ns",
            (now_ns,),
        )
        return [failure_from(row) for row in rows]

    # upkeep

    def checkpoint(self) -> bool:
        """Move the write-ahead log into the file; return True if all of it was moved, so that the log starts over.

        Open snapshots of the current generation are moved too and do not prevent that; one of an older generation does
        until it is closed. Commits do this when the log has become large.
        """
        with self._writing, Translated(self.path):
            self._check_open()
            return self._checkpoint()

    def _checkpoint_large_log(self) -> None:
        try:
            size = self._wal.stat().st_size
        except OSError:
            return
        if size > _LOG_LIMIT:
            with contextlib.suppress(sqlite3.OperationalError, StoreFullError):  # the commit will report what is wrong
                self._checkpoint()

    def _checkpoint(self) -> bool:
        """Checkpoint the log. Return False if part of it is left.

        A pinned reader prevents checkpointing past its pin, and restarting the log while it reads from the log. So pins
        move to the newest frame first (same generation, so the same content), and once more after a full checkpoint:
        then they read from the file itself and the next commit restarts the log.
        """
        self._repin()
        busy, pages, folded = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if busy or pages != folded:
            return False
        self._repin()
        return True

    def _repin(self) -> None:
        with self._snapshots_lock:
            current = [s for s in self._open_snapshots if s.generation == self.generation]
        for snapshot in current:
            with contextlib.suppress(FailedError):  # it was closed meanwhile
                snapshot.repin()

    def vacuum(self, max_pages: int = 1_000) -> None:
        """Give up to ``max_pages`` free pages back to the file system."""
        with self._writing, Translated(self.path):
            self._check_open()
            give_back_pages(self._connection, max_pages)

    def release_caches(self) -> None:
        """Free what saves time only while there is work: idle readers and the writer's cached pages."""
        with self._writing, Translated(self.path):
            self._check_open()
            with self._snapshots_lock:
                idle, self._idle = self._idle, []
            for connection in idle:
                connection.close()
            self._connection.execute("PRAGMA shrink_memory")

    def check(self) -> list[str]:
        """Return a description of every inconsistency; empty if there is none.

        Reads the whole file (about a second for 100k chunks) in one read transaction; commits continue meanwhile.
        """
        reader = Reader(self.path)
        try:
            reader.pin(SELECT_STATE)
            return check_catalog(reader)
        finally:
            reader.close()

    def close(self) -> None:
        """Checkpoint the log and close the file; may be called twice. Open snapshots stay usable until closed."""
        with self._writing:
            if self._closed:
                return
            with self._snapshots_lock:
                self._closed = True
                idle, self._idle = self._idle, []
            for connection in idle:
                connection.close()
            self._reader.close()
            self._tree.reader.close()
            if self._open_connection is not None:
                with contextlib.suppress(sqlite3.Error, CodeindexError):  # the log stays and is read at the next open
                    self._checkpoint()
                self._open_connection.close()
                self._open_connection = None
