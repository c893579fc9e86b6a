"""The catalog of one root: the commit point of everything indexed."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from codeindexd.errors import CodeindexError, FailedError, StoreDamagedError, StoreFullError
from codeindexd.scan.relpath import join
from codeindexd.storage.catalog.centrality import Centrality, stored_centrality
from codeindexd.storage.catalog.check import check_catalog
from codeindexd.storage.catalog.rows import NODE_COLUMNS, entry_from, failure_from
from codeindexd.storage.catalog.schema import REBUILD, give_to, open_writer, reading_rows
from codeindexd.storage.catalog.skipped_texts import ReadText, forget_contents, newest_round, write_read_texts
from codeindexd.storage.catalog.snapshot import CatalogSnapshot
from codeindexd.storage.catalog.state import SELECT_STATE, CatalogState
from codeindexd.storage.catalog.tree import CatalogTree
from codeindexd.storage.catalog.writer import write_transaction
from codeindexd.storage.durable import storing
from codeindexd.storage.sharing import clone_file
from codeindexd.storage.sqlite import (
    Reader,
    TranslatedErrors,
    connect,
    create_private,
    file_identity,
    give_back_pages,
    remove_database,
    rollback,
)
from codeindexd.types import CommittedChanges, Counts, Entry, Failure, Outcome, Transaction

_LOG_LIMIT = 16 << 20  # bytes; a commit that finds a larger write-ahead log checkpoints it first
_IDLE_READERS = 4
_FAILURE = "SELECT parent, name, stage, error, attempts, next_retry_ns, quarantined FROM failure"
_HAS_FINGERPRINT = "(f.outcome = 1 OR (f.outcome <> 4 AND f.fingerprint <> x''))"
_E = ", ".join(f"e.{column}" for column in NODE_COLUMNS.split(", "))


class Catalog:
    """The catalog of one root, an SQLite file. Methods block. Thread-safe; writers run one at a time.

    Every method raises StoreDamagedError if the file is damaged or was deleted (it must be rebuilt), and StoreFullError
    if it cannot be read or written now; in that case nothing was committed and the catalog stays usable.

    ``centrality`` is that of the files, perhaps of an earlier generation; None until it is first computed.
    ``read_round`` is the number of the last round in which skipped files were read (see ``catalog.skipped_texts``).
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Use :meth:`open` instead."""
        self.path = path
        self._open_connection: sqlite3.Connection | None = connection
        self._on_wake: Callable[[], object] = bool
        self._writing = threading.RLock()
        self._snapshots_lock = threading.Lock()  # for the two collections of snapshots
        self._open_snapshots: set[CatalogSnapshot] = set()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        self._descriptor = -1  # for copies
        self._identity = file_identity(path)
        self._wal = path.with_name(path.name + "-wal")
        self._state = CatalogState.of(connection.execute(SELECT_STATE).fetchone())
        self._kinds = self._stored_kinds()
        self.centrality = stored_centrality(connection)
        self.read_round = newest_round(connection)
        self.store_uuid: str = connection.execute("SELECT value FROM meta WHERE key = 'store_uuid'").fetchone()[0]
        with contextlib.ExitStack() as undo:
            self._reader = Reader(path, on_wake=self._report_wake)
            undo.callback(self._reader.close)
            self._tree = CatalogTree(Reader(path, on_wake=self._report_wake))
            undo.pop_all()
        self._last_root_hash: tuple[CatalogState, bytes] | None = None

    @classmethod
    def open(cls, path: Path, *, root_id: str, verify: bool = False) -> Catalog:
        """Open the catalog of the root, or create it (mode 0600, in a directory of mode 0700).

        ``verify`` checks the whole file first, as :meth:`check` does; use it after an unclean shutdown. Raises
        StoreDamagedError if the file is damaged or has a different root or schema, StoreFullError if it cannot be used
        now.
        """
        with contextlib.ExitStack() as undo, TranslatedErrors(path), reading_rows(path):
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
        """Delete a catalog, which must not be open. Raises StoreFullError."""
        remove_database(path)

    @property
    def generation(self) -> int:
        """The generation of the last commit, 0 before the first."""
        return self._state.generation

    @property
    def root_hash(self) -> bytes:
        """The hash (16 bytes) of the committed tree."""
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
        """The writing connection, opened again after a rest. Only use it while holding ``_writing``."""
        if self._open_connection is None:
            self._check_open()
            if self._identity != file_identity(self.path):
                raise StoreDamagedError(f"{self.path} was deleted or replaced", hint=REBUILD)
            self._open_connection = connect(self.path, read_only=False)
            self._report_wake()
        return self._open_connection

    def report_wakes_to(self, on_wake: Callable[[], object]) -> None:
        """Call ``on_wake()``, in any thread, when files are opened again after :meth:`rest`."""
        self._on_wake = on_wake

    def _report_wake(self) -> None:
        self._on_wake()

    def rest(self) -> bool:
        """Close all files until the next use; return False if one is in use now."""
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
            self._close_descriptor()
            return True
        finally:
            self._writing.release()

    def counts(self) -> Counts:
        """Return the committed numbers of files, chunks and failures. Reads nothing."""
        return self._state.counts

    # writing

    def commit(self, changes: Transaction) -> CommittedChanges:
        """Commit ``changes`` in one transaction, and return the changes that the projections have to apply.

        Changes are applied in the order removals, moves, directories, updates, touched. The generation increases by one
        if anything changed that a query or a tree hash depends on (not just stats or failures). A move whose source is
        gone or has different content leaves its target UNPROCESSED; touched leaves with different content are ignored.
        Raises ValueError if the root would become a file.
        """
        with self._writing:
            with self._transaction() as connection:
                written = write_transaction(connection, self._state, self._kinds, changes)
                if not written.changed:
                    rollback(connection)
            self._state = written.state
            return written.committed

    def set_centrality(self, centrality: Centrality) -> None:
        """Replace the centrality of the files. The generation stays the same."""
        with self._transaction() as connection:
            centrality.write(connection)
        self.centrality = centrality

    def set_read_texts(self, texts: Sequence[ReadText]) -> None:
        """Record the contents of skipped files, which the text index has. The generation stays the same."""
        with self._transaction() as connection:
            write_read_texts(connection, texts, self.read_round + 1)
        self.read_round += 1

    def forget_read_texts(self, contents: Collection[bytes]) -> None:
        """Forget the skipped files with these contents, which the text index does not have."""
        with self._transaction() as connection:
            forget_contents(connection, contents)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Provide the connection inside a write transaction, which an error rolls back."""
        with self._writing, TranslatedErrors(self.path):
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
            raise FailedError(f"{self.path} is closed", hint="try again")

    def _stored_kinds(self) -> dict[str, int]:
        return dict(self._connection.execute("SELECT name, code FROM kind").fetchall())

    # reading

    def tree(self) -> CatalogTree:
        """Return the committed tree, which follows later commits and need not be closed."""
        return self._tree

    def snapshot(self) -> CatalogSnapshot:
        """Return a snapshot of the last commit. Close it when it is replaced."""
        with self._snapshots_lock:
            self._check_open()
            if not self._idle:
                self._report_wake()
            reader = Reader(self.path, self._idle.pop() if self._idle else None)
        try:
            snapshot = CatalogSnapshot(reader, self._forget_snapshot)
        except BaseException:
            reader.close()
            raise
        with self._snapshots_lock:
            self._open_snapshots.add(snapshot)
        return snapshot

    def _forget_snapshot(self, snapshot: CatalogSnapshot, connection: sqlite3.Connection | None) -> None:
        """Forget a closed snapshot, and keep its ``connection``, if it has one still, for a later one or close it."""
        with self._snapshots_lock:
            self._open_snapshots.discard(snapshot)
            if connection is not None and not self._closed and len(self._idle) < _IDLE_READERS:
                self._idle.append(connection)
                connection = None
        if connection is not None:
            connection.close()

    def unprocessed(self) -> Iterator[Entry]:
        """Yield the leaves that are in the tree but not yet processed."""
        return self._entries("f.outcome = ?", (int(Outcome.UNPROCESSED),))

    def files_with_other_fingerprint(self, fingerprint_of: Callable[[str, str], bytes]) -> Iterator[Entry]:
        """Yield the leaves whose fingerprint differs from ``fingerprint_of(language, encoding)``.

        Skipped and failed leaves are included if they have a fingerprint: the present pipeline may decide differently.
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
        """Return at most ``limit`` failures (-1: all), sorted by path. Reads nothing if there are none."""
        if not self._state.counts.failed:
            return []
        rows = self._reader.rows(f"{_FAILURE} ORDER BY parent, name LIMIT ?", (limit,))
        return [failure_from(row) for row in rows]

    def failures_due(self, now_ns: int) -> list[Failure]:
        """Return the failures that are due for a retry at ``now_ns`` (since the epoch), those due longest first.

        Reads nothing if there are no failures.
        """
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

        Open snapshots of an older generation prevent that until they are closed; snapshots of the current one do not.
        Commits checkpoint by themselves when the log has become large.
        """
        with self._writing, TranslatedErrors(self.path):
            self._check_open()
            return self._checkpoint()

    def _checkpoint_large_log(self) -> None:
        try:
            size = self._wal.stat().st_size
        except OSError:
            return
        if size > _LOG_LIMIT:
            with contextlib.suppress(sqlite3.OperationalError, StoreFullError):  # the commit reports the error
                self._checkpoint()

    def _checkpoint(self) -> bool:
        """Checkpoint the log; return False if part of it is left.

        A pinned reader prevents checkpointing past its pin, and it prevents the log from starting over while it reads
        from the log. So pins are first moved to the newest frame (same generation, so the same content), and once more
        after a full checkpoint: then they read from the file itself, and the next commit starts the log over.
        """
        self._repin()
        busy, pages, moved = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if busy or pages != moved:
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
        """Return up to ``max_pages`` free pages to the file system."""
        with self._writing, TranslatedErrors(self.path):
            self._check_open()
            give_back_pages(self._connection, max_pages)

    def release_caches(self) -> None:
        """Release idle readers and the writer's cached pages, which only save time while there is work."""
        with self._writing, TranslatedErrors(self.path):
            self._check_open()
            with self._snapshots_lock:
                idle, self._idle = self._idle, []
            for connection in idle:
                connection.close()
            self._connection.execute("PRAGMA shrink_memory")

    def copy_to(self, path: Path, root_id: str) -> None:
        """Write the last commit to the new file ``path``, as the catalog of another root, which files must confirm.

        No file has a stat there, so that a scan reads each of them before it relies on what is stored. The copy shares
        its blocks with this file where the file system can do that. Raises as :meth:`open`.
        """
        create_private(path)
        with self._writing, TranslatedErrors(self.path):
            self._check_open()
            if not self._clone_to(path):
                with contextlib.closing(connect(path, read_only=False)) as copy:
                    self._connection.backup(copy)
        with TranslatedErrors(path), contextlib.closing(connect(path, read_only=False)) as copy:
            give_to(copy, root_id)

    def _clone_to(self, path: Path) -> bool:
        """Make the empty file ``path`` a clone of the catalog's file; return False if that is impossible now."""
        if not self._checkpoint():
            return False
        with storing("catalog"):
            if self._descriptor < 0:
                self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            with path.open("r+b") as copy:
                return clone_file(self._descriptor, copy.fileno())

    def _close_descriptor(self) -> None:
        """Close the descriptor for copies, after all connections: closing it drops the locks that SQLite has."""
        with self._snapshots_lock:
            if self._descriptor >= 0 and not self._open_snapshots:
                os.close(self._descriptor)
                self._descriptor = -1

    def check(self, should_stop: Callable[[], bool] = bool) -> list[str]:
        """Return a description of every inconsistency; empty if there are none.

        Reads the whole file (about a second for 100,000 chunks) in one transaction, while commits continue. Raises
        ShuttingDownError soon after ``should_stop()`` returns True; if that raises an exception, so does this.
        """
        reader = Reader(self.path)
        try:
            reader.pin(SELECT_STATE)
            return check_catalog(reader, should_stop)
        finally:
            reader.close()

    def close(self) -> None:
        """Checkpoint the log and close the file; may be repeated. Open snapshots stay usable until they are closed."""
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
            self._close_descriptor()
