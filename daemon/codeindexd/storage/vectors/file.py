"""The file of a vector store: its connections, and what becomes of it when it is broken, deleted or not to be used."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path

import structlog

from codeindexd.errors import StoreDamagedError, StoreFullError
from codeindexd.storage.durable import sync_directory
from codeindexd.storage.sqlite import Translated, connect, create_private, file_identity, remove_database, rollback
from codeindexd.storage.vectors.salvage import salvaged
from codeindexd.storage.vectors.schema import REBUILD, SCHEMA_VERSION, configure

log = structlog.get_logger(__name__)
_FRESH = ".new"  # a copy in the making
_MENDED = ".mended"  # a copy that is whole and on the disk: it replaces the file, whenever it is found
_PROBE = "SELECT (SELECT count(*) FROM identity), (SELECT max(hash) FROM key), (SELECT max(id) FROM vector)"


class VectorFile(ABC):
    """One connection that writes, or one that reads and follows the file when it is replaced; calls take turns.

    A file that cannot be opened or mended now is opened, or mended, when it is needed next: until then every use raises
    StoreFullError.
    """

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        self._read_only = read_only
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._identities: dict[str, tuple[int, int]] = {}  # name -> (id, dimensions)
        self._next_vector = 1
        self._to_mend = False
        self._closed = False

    @abstractmethod
    def put_many(self, identity: str, vectors: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep vectors by embed hash."""

    @abstractmethod
    def check_structure(self) -> None:
        """Have SQLite look through the whole file. Raises StoreDamagedError."""

    # damage

    def ensure(self, *, closely: bool = False) -> None:
        """Mend the file when it is gone or proves broken; ``closely`` looks through all of it, beside other calls.

        Raises StoreFullError when it can be neither used nor mended now.
        """
        try:
            with self._lock, Translated(self.path):
                self._writer().execute(_PROBE).fetchall()
            if closely:
                with contextlib.closing(type(self)(self.path, read_only=True)) as reader:
                    reader.check_structure()
        except StoreDamagedError as error:
            log.warning("vector store is mended", store=str(self.path), error=error.message)
            self.mend()

    def mend(self) -> int:
        """Begin anew with every vector that can still be read and matches its checksum; returns how many.

        For a file that proved broken or was deleted. Readers in other processes follow. Raises StoreFullError; then
        the file is as it was, and the next use of it tries again.
        """
        with self._lock:
            self._refuse_when_closed()
            self._to_mend = True
            kept = self._copy_what_is_whole()
            self._to_mend = False  # the copy takes over as soon as it can
            self._disconnect()
            self._connect_writer()
            log.warning("vector store mended", store=str(self.path), kept=kept)
            return kept

    def _copy_what_is_whole(self) -> int:
        fresh, kept = type(self)(_beside(self.path, _FRESH), read_only=False), 0
        remove_database(fresh.path)
        try:
            fresh._connect_writer()
            for identity, vectors in salvaged(self.path):
                fresh.put_many(identity, vectors)
                kept += len(vectors)
            fresh._fold()
            fresh.close()
            fresh.path.rename(_beside(self.path, _MENDED))
        except BaseException as error:
            fresh.close()
            with contextlib.suppress(StoreFullError):
                remove_database(fresh.path)
            if isinstance(error, OSError):
                raise _unreplaceable(self.path, error) from error
            raise
        return kept

    def _fold(self) -> None:
        """Bring everything from the log into the file, and onto the disk."""
        with Translated(self.path):
            busy, _, _ = self._writer().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreFullError(f"{self.path} cannot be completed now", hint="it is tried again")

    # connections

    def _connect_writer(self) -> None:
        _take_over(self.path)
        create_private(self.path)
        with Translated(self.path):
            connection = connect(self.path, read_only=False)
            try:
                configure(connection, self.path)
                row = connection.execute("SELECT max(id) FROM vector").fetchone()
            except BaseException:
                connection.close()
                raise
            self._next_vector = (row[0] or 0) + 1
            self._connection = connection
            self._file = file_identity(self.path)

    def _reader(self) -> sqlite3.Connection | None:
        """The connection to read from; None while a read-only store has no file with tables in it."""
        if not self._read_only:
            return self._writer()
        there = file_identity(self.path)
        if self._connection is not None and there == self._file:
            return self._connection
        self._disconnect()
        if there is None:
            return None
        connection: sqlite3.Connection | None = None
        try:
            connection = connect(self.path, read_only=True)
            whole = connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
        except sqlite3.OperationalError:  # being created or deleted at this moment
            whole = False
        except sqlite3.Error:
            if connection is not None:
                connection.close()
            raise
        if not whole:
            if connection is not None:
                connection.close()
            return None
        self._connection, self._file = connection, there
        return connection

    def _writer(self) -> sqlite3.Connection:
        self._refuse_when_closed()
        if self._to_mend:
            self.mend()
        if self._connection is None:
            self._connect_writer()
        assert self._connection is not None
        if file_identity(self.path) != self._file:
            raise StoreDamagedError(f"{self.path} was deleted or replaced", hint=REBUILD)
        return self._connection

    def _refuse_when_closed(self) -> None:
        if self._read_only or self._closed:
            raise StoreFullError(f"{self.path} is not open for writing here", hint="the daemon is stopping")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, Translated(self.path):
            connection = self._writer()
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                rollback(connection)
                self._identities.clear()
                raise

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._identities.clear()
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Let go of the file; harmless when repeated."""
        with self._lock:
            self._closed = True
            self._disconnect()


def _take_over(path: Path) -> None:
    """Let a whole copy that a mend made take the place of the file; one that is not whole is of no use.

    The old log goes first: SQLite would apply it to the copy.
    """
    remove_database(_beside(path, _FRESH))
    mended = _beside(path, _MENDED)
    try:
        if mended.exists():
            for suffix in ("-wal", "-shm", "-journal"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            mended.rename(path)
            with contextlib.suppress(OSError):
                sync_directory(path.parent)
    except OSError as error:
        raise _unreplaceable(path, error) from error


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _unreplaceable(path: Path, error: OSError) -> StoreFullError:
    return StoreFullError(
        f"{path} cannot be replaced: {error.strerror}", hint="free disk space, or check the permissions"
    )
