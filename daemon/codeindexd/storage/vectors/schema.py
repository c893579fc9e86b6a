"""The tables of the vector store; creates, recognizes, upgrades or rejects files."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import xxhash

from codeindexd.errors import StoreDamagedError
from codeindexd.storage.sqlite import rollback, use_write_ahead_log

APPLICATION_ID = 0x43445678  # "CDVx"
SCHEMA_VERSION = 2
REBUILD = "nothing to do: it will be rebuilt; missing vectors are computed again when they are needed"

# The key table is small and contains what changes (``used``); vectors are stored in the order of arrival, by appending.
_TABLES = """
CREATE TABLE identity (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, dimensions INTEGER NOT NULL);
CREATE TABLE key (
  identity INTEGER NOT NULL, hash BLOB NOT NULL, vector_id INTEGER NOT NULL, used INTEGER NOT NULL,
  PRIMARY KEY (identity, hash)
) WITHOUT ROWID;
CREATE TABLE vector (id INTEGER PRIMARY KEY, data BLOB NOT NULL, checksum INTEGER NOT NULL)
"""


def checksum(identity: str, embed_hash: bytes, data: bytes) -> int:
    """Return a checksum (64 bits, signed) that ties a vector's bytes to their key, which SQLite's own checks do not."""
    digest = xxhash.xxh3_64(identity.encode())
    digest.update(embed_hash)
    digest.update(data)
    return digest.intdigest() - (1 << 63)


def is_intact(identity: str, embed_hash: bytes, data: object, expected: object) -> bool:
    """Return True if a stored vector matches its checksum; damage may have changed even its type."""
    return isinstance(data, bytes) and checksum(identity, embed_hash, data) == expected


def configure(connection: sqlite3.Connection, path: Path) -> None:
    """Create the tables in an empty file, upgrade an older version, reject other files.

    Raises sqlite3.Error, StoreDamagedError, StoreFullError.
    """
    use_write_ahead_log(connection, path)
    connection.execute("PRAGMA journal_size_limit = 16777216")
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if objects == 0:
        _in_one_transaction(connection, *_TABLES.split(";\n"), f"PRAGMA application_id = {APPLICATION_ID}")
    identity = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if (identity, version) == (APPLICATION_ID, 1):
        _add_checksums(connection)
    elif (identity, version) != (APPLICATION_ID, SCHEMA_VERSION):
        raise StoreDamagedError(f"{path} is not a vector store of this version", hint=REBUILD)


def _in_one_transaction(connection: sqlite3.Connection, *statements: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        rollback(connection)
        raise


def _add_checksums(connection: sqlite3.Connection) -> None:
    """Upgrade a file of the first version, which had no checksums."""
    connection.create_function("checksum_of", 3, checksum, deterministic=True)
    _in_one_transaction(
        connection,
        "CREATE TABLE summed (id INTEGER PRIMARY KEY, data BLOB NOT NULL, checksum INTEGER NOT NULL)",
        "INSERT INTO summed SELECT v.id, v.data, checksum_of(i.name, k.hash, v.data) FROM identity i"
        " JOIN key k ON k.identity = i.id JOIN vector v ON v.id = k.vector_id",
        "DROP TABLE vector",
        "ALTER TABLE summed RENAME TO vector",
    )


def bytes_in_use(connection: sqlite3.Connection) -> int:
    """Return the size of the file in bytes without its free pages."""

    def pragma(name: str) -> int:
        return int(connection.execute(f"PRAGMA {name}").fetchone()[0])

    return (pragma("page_count") - pragma("freelist_count")) * pragma("page_size")
