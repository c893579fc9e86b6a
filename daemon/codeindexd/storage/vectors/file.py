"""The file of a vector store: its connections, and its repair after damage or deletion."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path

from codeindexd.errors import StoreDamagedError, StoreFullError
from codeindexd.storage.durable import sync_directory
from codeindexd.storage.sqlite import (
    TranslatedErrors,
    connect,
    create_private,
    file_identity,
    remove_database,
    rollback,
)
from codeindexd.storage.vectors.salvage import intact_vectors
from codeindexd.storage.vectors.schema import REBUILD, SCHEMA_VERSION, configure

_NEW = ".new"  # suffix of an unfinished copy
_REPAIRED = ".mended"  # suffix of a complete, synced copy: it replaces the file whenever it is found
_PROBE = "SELECT (SELECT count(*) FROM identity), (SELECT max(hash) FROM key), (SELECT max(id) FROM vector)"


def warn(event: str, **details: object) -> None:
    """Log a warning. Importing structlog takes a fifth of a worker's start, and a worker hardly ever warns."""
    import structlog

    structlog.get_logger(__name__).warning(event, **details)


class VectorFile(ABC):
    """One connection to a vector store, either for writing or read-only. Thread-safe; calls run one at a time.

    A read-only one opens the file again when it is replaced. A file that cannot be opened or repaired now is opened or
    repaired at its next use; until that succeeds, every use raises StoreFullError.
    """

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        self._read_only = read_only
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._identities: dict[str, tuple[int, int]] = {}  # name -> (id, dimensions)
        self._next_vector = 1
        self._needs_repair = False
        self._closed = False

    @abstractmethod
    def put_many(self, identity: str, vectors: Iterable[tuple[bytes, bytes]]) -> None:
        """Store vectors, given as (embed hash, little-endian float16)."""

    @abstractmethod
    def check_structure(self) -> None:
        """Check the whole file with SQLite. Raises StoreDamagedError."""

    # damage

    def repair_if_damaged(self, *, thoroughly: bool = False) -> None:
        """Repair the file if it is missing or damaged; ``thoroughly`` checks all of it, while other calls continue.

        Raises StoreFullError if it can be neither used nor repaired now.
        """
        try:
            with self._lock, TranslatedErrors(self.path):
                self._writer().execute(_PROBE).fetchall()
            if thoroughly:
                with contextlib.closing(type(self)(self.path, read_only=True)) as reader:
                    reader.check_structure()
        except StoreDamagedError as error:
            warn("vector_store_damaged", store=str(self.path), error=error.message)
            self.repair()

    def repair(self) -> int:
        """Replace a damaged or deleted file by a copy with every intact vector; return the number of these.

        Readers in other processes open the copy by themselves. Raises StoreFullError; the file is unchanged then, and
        its next use tries again.
        """
        with self._lock:
            self._check_open()
            self._needs_repair = True
            kept = self._copy_intact()
            self._needs_repair = False  # from now on the copy replaces the file as soon as that is possible
            self._disconnect()
            self._connect_writer()
            warn("vector_store_repaired", store=str(self.path), kept=kept)
            return kept

    def _copy_intact(self) -> int:
        """Write a copy with every intact vector beside the file; return the number of these. Raises StoreFullError."""
        copy, kept = type(self)(_beside(self.path, _NEW), read_only=False), 0
        remove_database(copy.path)
        try:
            copy._connect_writer()
            for identity, vectors in intact_vectors(self.path):
                copy.put_many(identity, vectors)
                kept += len(vectors)
            copy._checkpoint()
            copy.close()
            copy.path.rename(_beside(self.path, _REPAIRED))
        except BaseException as error:
            copy.close()
            with contextlib.suppress(StoreFullError):
                remove_database(copy.path)
            if isinstance(error, OSError):
                raise _unreplaceable(self.path, error) from error
            raise
        return kept

    def _checkpoint(self) -> None:
        """Move the whole write-ahead log into the file, and sync it. Raises StoreFullError."""
        with TranslatedErrors(self.path):
            busy, _, _ = self._writer().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreFullError(
                f"{self.path} is in use and cannot be written out now", hint="nothing to do: it is tried again"
            )

    # connections

    def _connect_writer(self) -> None:
        _adopt_repaired_copy(self.path)
        create_private(self.path)
        with TranslatedErrors(self.path):
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
        """Return the connection to read from; None if this is read-only and the file is missing or not yet set up."""
        if not self._read_only:
            return self._writer()
        present = file_identity(self.path)
        if self._connection is not None and present == self._file:
            return self._connection
        self._disconnect()
        if present is None:
            return None
        connection: sqlite3.Connection | None = None
        try:
            connection = connect(self.path, read_only=True)
            is_ready = connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
        except sqlite3.OperationalError:  # it is being created or deleted
            is_ready = False
        except sqlite3.Error:
            if connection is not None:
                connection.close()
            raise
        if not is_ready:
            if connection is not None:
                connection.close()
            return None
        self._connection, self._file = connection, present
        return connection

    def _writer(self) -> sqlite3.Connection:
        self._check_open()
        if self._needs_repair:
            self.repair()
        if self._connection is None:
            self._connect_writer()
        assert self._connection is not None
        if file_identity(self.path) != self._file:
            raise StoreDamagedError(f"{self.path} was deleted or replaced", hint=REBUILD)
        return self._connection

    def _check_open(self) -> None:
        if self._read_only or self._closed:
            raise StoreFullError(f"{self.path} is not open for writing", hint="the daemon is stopping")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit what the block writes; roll it back if the block raises. Raises StoreFullError, StoreDamagedError."""
        with self._lock, TranslatedErrors(self.path):
            connection = self._writer()
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                rollback(connection)
                self._identities.clear()  # some may be of rows that were rolled back
                raise

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._identities.clear()
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Close the file; may be repeated."""
        with self._lock:
            self._closed = True
            self._disconnect()


def _adopt_repaired_copy(path: Path) -> None:
    """Replace the file by a repaired copy if there is one, and delete an unfinished copy. Raises StoreFullError.

    The old write-ahead log is deleted first; otherwise SQLite would apply it to the copy.
    """
    remove_database(_beside(path, _NEW))
    repaired = _beside(path, _REPAIRED)
    try:
        if repaired.exists():
            for suffix in ("-wal", "-shm", "-journal"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            repaired.rename(path)
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
