"""Tools for SQLite files: private permissions, write-ahead logs, shared readers, and translated errors."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from codeindexd.errors import CodeindexError, FailedError, StoreDamagedError, StoreFullError

Row = tuple[Any, ...]

REBUILT: Final = "nothing to do: it will be rebuilt from the disk"
_READER_CACHE_KB = 1024  # small, since a root has up to seven readers and the system caches the pages for all of them
BUSY_TIMEOUT_S = 5.0
_STEPS_BETWEEN_LOOKS = 100_000  # of SQLite's virtual machine: some milliseconds
_MOST_LISTED = 512  # values in one statement; older versions of SQLite allow 999 parameters
_STATEMENTS_KEPT = 64  # prepared statements per connection; we have fewer different ones
_TEMPORARY = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_INTERRUPT,
    }
)
_IOERR_SHORT_READ = sqlite3.SQLITE_IOERR | (2 << 8)  # the file ends where a page should be
_IOERR_DATA = sqlite3.SQLITE_IOERR | (32 << 8)
_IOERR_CORRUPTFS = sqlite3.SQLITE_IOERR | (33 << 8)


def translate(error: sqlite3.Error, path: Path) -> CodeindexError | None:
    """Return our error for an error of SQLite with the file ``path``; None for misuse of the module, which is a bug."""
    if isinstance(error, (sqlite3.ProgrammingError, sqlite3.InterfaceError)):
        return None
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)  # none for text that is not UTF-8
    name = getattr(error, "sqlite_errorname", "no code")
    broken = code in (_IOERR_SHORT_READ, _IOERR_DATA, _IOERR_CORRUPTFS)
    if code & 0xFF in _TEMPORARY and not broken:
        return StoreFullError(
            f"cannot use {path}: {error} ({name})",
            hint="free disk space or make the directory writable; indexing then continues",
        )
    return StoreDamagedError(f"{path} is damaged: {error} ({name})", hint=REBUILT)


class TranslatedErrors:
    """A context manager that translates SQLite's errors in the block, as :func:`translate` does."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, sqlite3.Error):
            ours = translate(error, self._path)
            if ours is not None:
                raise ours from error


def create_private(path: Path) -> None:
    """Create the file (mode 0600) and its directory (0700) unless they exist; SQLite's side files inherit the mode.

    An existing file is not opened, only its mode is corrected: closing it here would drop this process's SQLite locks.
    Raises StoreFullError.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        except FileExistsError:
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)
    except OSError as error:
        raise StoreFullError(
            f"cannot create {path}: {error.strerror}", hint="check the space and the permissions of its directory"
        ) from error


def remove_database(path: Path) -> None:
    """Delete a database with its side files; it must not be open for writing. Raises StoreFullError."""
    for suffix in ("-wal", "-shm", "-journal", ""):
        try:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        except OSError as error:
            raise StoreFullError(f"cannot delete {path}: {error.strerror}", hint="check the permissions") from error


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Return a connection in autocommit mode that any thread may use, one at a time. Raises sqlite3.Error.

    The file is never memory-mapped: if it were truncated, access to the mapping would kill the process.
    """
    mode = "ro" if read_only else "rw"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_STATEMENTS_KEPT,
    )
    try:
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KB}" if read_only else "PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def use_write_ahead_log(connection: sqlite3.Connection, path: Path) -> None:
    """Set up a database for many readers and one writer. Raises StoreFullError if the file system prevents it."""
    if path.stat().st_size == 0:  # only effective before the first page is written
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreFullError(
            f"the file system of {path} cannot hold a write-ahead log", hint="move the cache to a local file system"
        )


def give_back_pages(connection: sqlite3.Connection, max_pages: int = 0) -> None:
    """Return ``max_pages`` free pages (0: all) to the file system; the file shrinks at the next checkpoint.

    Uses a script, because the module's ``execute`` would end the statement after the first page.
    """
    connection.executescript(f"PRAGMA incremental_vacuum({int(max_pages)})")


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return (device, inode) of a file, or None if there is none, to notice that an open database was replaced.

    Raises StoreFullError if it cannot be determined now, which is no reason to rebuild the database.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreFullError(f"cannot examine {path}: {error.strerror}", hint="check the permissions") from error
    return status.st_dev, status.st_ino


def rollback(connection: sqlite3.Connection) -> None:
    """Roll back the open transaction, if there is one. Raises sqlite3.Error."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def in_lists(values: Sequence[Any]) -> Iterator[tuple[str, list[Any]]]:
    """Yield (placeholders, values) for ``IN (...)``, in parts that fit into a statement.

    Each part is padded to a power of two with its last value: connections keep their prepared statements, and 256 of
    them that differed only in the length of a list took 7 MB in each of many readers.
    """
    for start in range(0, len(values), _MOST_LISTED):
        part = list(values[start : start + _MOST_LISTED])
        length = 1 << (len(part) - 1).bit_length()
        yield ",".join("?" * length), part + part[-1:] * (length - len(part))


class Reader:
    """A read-only connection that threads share, one statement at a time.

    Methods raise StoreDamagedError, StoreFullError, and FailedError once it is closed.
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection | None = None,
        *,
        on_wake: Callable[[], object] | None = None,
    ) -> None:
        """Use ``connection``, or open one. ``on_wake()`` is called when it is opened again after :meth:`rest`.

        Raises StoreDamagedError if the file is gone, StoreFullError if it cannot be opened now.
        """
        self.path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = connection or open_read_only(path)
        self._pinned = False
        self._at_rest = False
        self._on_wake = on_wake

    @property
    def is_closed(self) -> bool:
        """True if closed, by its owner or because an error ended the pinned transaction."""
        return self._connection is None and not self._at_rest

    def rest(self) -> bool:
        """Close the connection until the next use; return False if it is pinned or in use now."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            if self._pinned:
                return False
            if self._connection is not None:
                self._connection.close()
                self._connection, self._at_rest = None, True
            return True
        finally:
            self._lock.release()

    def interrupt_when(self, should_stop: Callable[[], bool]) -> None:
        """End statements with StoreFullError once ``should_stop()`` returns True or raises; it is called often."""
        with TranslatedErrors(self.path), self._lock:
            self._open().set_progress_handler(should_stop, _STEPS_BETWEEN_LOOKS)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of one statement."""
        with TranslatedErrors(self.path), self._lock:
            connection = self._open()
            try:
                return connection.execute(sql, parameters).fetchall()
            except BaseException:
                self._close_if_pin_lost(connection)
                raise

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        """Return the first row of one statement, or None."""
        with TranslatedErrors(self.path), self._lock:
            connection = self._open()
            try:
                found: Row | None = connection.execute(sql, parameters).fetchone()
            except BaseException:
                self._close_if_pin_lost(connection)
                raise
            return found

    def _close_if_pin_lost(self, connection: sqlite3.Connection) -> None:
        """Close if an error ended the pinned transaction: the next rows would come from a later state."""
        if self._pinned and not connection.in_transaction:
            self._connection = None
            connection.close()

    def rows_in(self, sql: Callable[[str], str], values: Sequence[Any], before: Sequence[Any] = ()) -> list[Row]:
        """Return the rows for many ``values``, in several statements if necessary.

        ``sql(placeholders)`` returns the statement for a part of the values; ``before`` are its parameters before them.
        """
        return [row for marks, part in in_lists(values) for row in self.rows(sql(marks), (*before, *part))]

    def pin(self, sql: str) -> Row:
        """End the previous read transaction, begin a new one, and fix its state by reading a row; return the row.

        If that fails, the reader is closed: without a transaction, its rows could come from different states.
        """
        with TranslatedErrors(self.path), self._lock:
            connection = self._open()
            try:
                rollback(connection)
                connection.execute("BEGIN")
                found: Row = connection.execute(sql).fetchone()
            except BaseException:
                self._connection = None
                connection.close()
                raise
            self._pinned = True
            return found

    def _open(self) -> sqlite3.Connection:
        if self._at_rest:
            self._connection, self._at_rest = open_read_only(self.path), False
            if self._on_wake is not None:
                self._on_wake()
        if self._connection is None:
            raise FailedError(f"{self.path} is closed", hint="try again")
        return self._connection

    def detach(self) -> sqlite3.Connection | None:
        """Close the reader but not its connection, and return that outside any transaction; None if unusable."""
        with self._lock:
            connection, self._connection = self._connection, None
            self._at_rest = False
            if connection is None:
                return None
            try:
                rollback(connection)
            except sqlite3.Error:
                connection.close()
                return None
            return connection

    def close(self) -> None:
        """Close the connection; may be repeated."""
        connection = self.detach()
        if connection is not None:
            connection.close()


def open_read_only(path: Path) -> sqlite3.Connection:
    """Open a read-only connection.

    Raises StoreDamagedError if the file is missing or damaged, StoreFullError if it cannot be opened now.
    """
    try:
        return connect(path, read_only=True)
    except sqlite3.Error as error:
        if not path.exists():
            raise StoreDamagedError(f"{path} was deleted", hint=REBUILT) from error
        raise translate(error, path) or error from error
