"""The catalog's tables, and how a catalog file is created, recognized or rejected."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

from codeindexd.errors import CodeindexError, StoreDamagedError, StoreVersionError, place_of
from codeindexd.scan.merkle import node_hash
from codeindexd.storage.catalog.contents import INDEXES
from codeindexd.storage.catalog.migrations import ADDED, SCHEMA_VERSION, migrate, statements
from codeindexd.storage.sqlite import TranslatedErrors, connect, create_private, use_write_ahead_log
from codeindexd.types import NodeKind

APPLICATION_ID = 0x43444978  # "CDIx"
REBUILD = "nothing to do: it will be rebuilt from the disk; vectors are reused"

# `entry` is the tree, clustered so that a directory's children are adjacent; `file` has the outcome of each leaf. A
# file's chunk ids are in its row (little-endian int64, with kinds as uint16), so that filters and removals scan files
# instead of chunks, and chunk.file_id needs no index.
# Ids come from counters in `state`, inside the transaction that uses them: never reused, and known before the insert.
# `outline` has the definitions of a file (see definitions.py), if there are any; `definition_name` leads to those that
# no chunk has among its symbols.
# `reference` has the references of a file (see analysis/references), and how many definitions and references it has.
# `centrality` has one row, which follows the rest of the catalog in quiet times (see centrality.py).
# `skipped_text` has the contents of files without chunks that are text (see skipped_texts.py).
# Integers beyond 64 bits (inodes, times of some file systems) are stored as text, text with lone surrogates as blobs:
# see rows.py. Such columns have no declared type.
# The tables that were added since the oldest version that can be used are in migrations.py.
_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE state (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  generation INTEGER NOT NULL, next_file INTEGER NOT NULL, next_chunk INTEGER NOT NULL,
  files INTEGER NOT NULL, chunks INTEGER NOT NULL, failed INTEGER NOT NULL, pending INTEGER NOT NULL,
  skipped TEXT NOT NULL
);
CREATE TABLE entry (
  parent BLOB NOT NULL, name BLOB NOT NULL, kind INTEGER NOT NULL, hash BLOB NOT NULL,
  size, mtime_ns, ctime_ns, inode, reason, rule, file_id INTEGER,
  PRIMARY KEY (parent, name)
) WITHOUT ROWID;
CREATE TABLE file (
  file_id INTEGER PRIMARY KEY, parent BLOB NOT NULL, name BLOB NOT NULL, outcome INTEGER NOT NULL,
  language TEXT NOT NULL, encoding TEXT NOT NULL, fingerprint BLOB NOT NULL, reason,
  chunk_ids BLOB NOT NULL, chunk_kinds BLOB NOT NULL
);
CREATE TABLE chunk (
  chunk_id INTEGER PRIMARY KEY, file_id INTEGER NOT NULL, start_byte INTEGER NOT NULL, end_byte INTEGER NOT NULL,
  start_line INTEGER NOT NULL, end_line INTEGER NOT NULL, kind TEXT NOT NULL, symbol,
  span_hash BLOB NOT NULL, embed_hash BLOB NOT NULL, terms INTEGER NOT NULL, symbols BLOB
);
CREATE TABLE kind (code INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE symbol (name BLOB NOT NULL, chunk_id INTEGER NOT NULL, PRIMARY KEY (name, chunk_id)) WITHOUT ROWID;
CREATE TABLE failure (
  parent BLOB NOT NULL, name BLOB NOT NULL, stage, error, attempts INTEGER NOT NULL,
  next_retry_ns INTEGER NOT NULL, quarantined INTEGER NOT NULL,
  PRIMARY KEY (parent, name)
) WITHOUT ROWID;
CREATE INDEX failure_due ON failure (next_retry_ns) WHERE next_retry_ns > 0;
"""


@contextlib.contextmanager
def reading_rows(path: Path) -> Iterator[None]:
    """Translate unexpected exceptions inside the block to StoreDamagedError: they mean values that we never write."""
    try:
        yield
    except (CodeindexError, OSError, MemoryError, sqlite3.Error):
        raise
    except Exception as error:
        raise StoreDamagedError(f"{path} is damaged: {place_of(error)}", hint=REBUILD) from error


def open_writer(path: Path, root_id: str) -> sqlite3.Connection:
    """Open the writing connection of a catalog, creating the file if there is none.

    Raises StoreDamagedError for a file that is not a catalog of this root and version or is truncated, StoreFullError
    if it cannot be written.
    """
    create_private(path)
    with TranslatedErrors(path):
        connection = connect(path, read_only=False)
        try:
            _configure(connection, path)
            _check_size(connection, path)
            if _is_empty(connection):
                _create(connection, root_id)
            elif _pragma(connection, "application_id") == APPLICATION_ID:
                migrate(connection)
            _check_identity(connection, path, root_id)
            for index in INDEXES:  # newer than the schema: older catalogs lack only these
                connection.execute(index)
        except BaseException:
            connection.close()
            raise
    return connection


def give_to(connection: sqlite3.Connection, root_id: str) -> None:
    """Assign a copied catalog to another root, without any stat, so that all files are read. Raises sqlite3.Error."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE meta SET value = ? WHERE key = 'root_id'", (root_id,))
    connection.execute("UPDATE entry SET size = NULL, mtime_ns = NULL, ctime_ns = NULL, inode = NULL")
    connection.execute("DELETE FROM skipped_text")
    connection.execute("COMMIT")


def _check_size(connection: sqlite3.Connection, path: Path) -> None:
    """Raise StoreDamagedError for a truncated file, which SQLite notices only when it reads a missing page."""
    with contextlib.suppress(sqlite3.OperationalError):  # for example on a full disk; the size proves nothing then
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        expected = _pragma(connection, "page_count") * _pragma(connection, "page_size")
        size = path.stat().st_size
        if not busy and size < expected:
            raise StoreDamagedError(f"{path} was truncated: {size} of {expected} bytes", hint=REBUILD)


def _configure(connection: sqlite3.Connection, path: Path) -> None:
    use_write_ahead_log(connection, path)
    connection.execute("PRAGMA journal_size_limit = 0")  # so that the log's size on disk is the size in use
    connection.execute("PRAGMA wal_autocheckpoint = 0")  # Catalog.checkpoint() does it, and moves pinned readers too
    connection.execute("PRAGMA cache_size = -8192")


def _is_empty(connection: sqlite3.Connection) -> bool:
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return objects == 0 and _pragma(connection, "application_id") == 0 and _pragma(connection, "user_version") == 0


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _create(connection: sqlite3.Connection, root_id: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        added = [statement for version in ADDED for statement in statements(version)]
        for statement in (*_TABLES.split(";\n"), *added):
            connection.execute(statement)
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)", [("store_uuid", str(uuid.uuid4())), ("root_id", root_id)]
        )
        connection.execute("INSERT INTO state VALUES (1, 0, 1, 1, 0, 0, 0, 0, '{}')")
        connection.execute(
            "INSERT INTO entry VALUES (x'', x'', ?, ?, NULL, NULL, NULL, NULL, '', '', NULL)",
            (NodeKind.DIRECTORY, node_hash(())),
        )
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _check_identity(connection: sqlite3.Connection, path: Path, root_id: str) -> None:
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise StoreDamagedError(f"{path} is not a catalog", hint=REBUILD)
    version = _pragma(connection, "user_version")
    if version != SCHEMA_VERSION:
        raise StoreVersionError(f"{path} has schema version {version}, expected {SCHEMA_VERSION}", hint=REBUILD)
    meta = dict(connection.execute("SELECT key, value FROM meta"))
    if meta.get("root_id") != root_id:
        raise StoreDamagedError(f"{path} belongs to another root ({meta.get('root_id')})", hint=REBUILD)
    root = connection.execute("SELECT 1 FROM entry WHERE parent = x'' AND name = x''").fetchone()
    state = connection.execute("SELECT 1 FROM state WHERE one = 1").fetchone()
    if root is None or state is None or not meta.get("store_uuid"):
        raise StoreDamagedError(f"{path} has no root, state or identity", hint=REBUILD)
