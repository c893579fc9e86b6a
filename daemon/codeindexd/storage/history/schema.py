"""The tables of a history store, and how a file is created, recognized or rejected."""

from __future__ import annotations

import sqlite3
import uuid
from pathlib import Path

from codeindexd.errors import StoreVersionError
from codeindexd.storage.sqlite import TranslatedErrors, connect, create_private, use_write_ahead_log

FORMAT = 3
"""Increase it when a table, an encoding, or what is read from a commit changes: the store is then built again."""

_TABLES = """
CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    format INTEGER NOT NULL, store TEXT NOT NULL, fingerprint TEXT NOT NULL, boot TEXT NOT NULL,
    generation INTEGER NOT NULL, next_number INTEGER NOT NULL
);
CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, UNIQUE (name, email));
CREATE TABLE paths (id INTEGER PRIMARY KEY, key INTEGER NOT NULL, path BLOB NOT NULL);
CREATE INDEX paths_by_key ON paths (key);
CREATE TABLE names (id INTEGER PRIMARY KEY, key INTEGER NOT NULL, outer INTEGER NOT NULL, last TEXT NOT NULL);
CREATE INDEX names_by_key ON names (key);
CREATE INDEX names_by_outer ON names (outer) WHERE outer > 0;
CREATE TABLE commits (
    number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, parents BLOB NOT NULL,
    author INTEGER NOT NULL, author_time INTEGER NOT NULL, author_offset INTEGER NOT NULL,
    committer INTEGER NOT NULL, commit_time INTEGER NOT NULL, commit_offset INTEGER NOT NULL,
    message BLOB NOT NULL, changes BLOB NOT NULL, left_out INTEGER NOT NULL
);
CREATE TABLE touched_paths (path INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (path, number)) WITHOUT ROWID;
CREATE TABLE touched_names (name INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (name, number)) WITHOUT ROWID;
CREATE TABLE renames (
    path INTEGER NOT NULL, number INTEGER NOT NULL, old_path INTEGER NOT NULL, PRIMARY KEY (path, number)
) WITHOUT ROWID;
CREATE INDEX renames_by_old_path ON renames (old_path);
CREATE TABLE issues (issue INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (issue, number)) WITHOUT ROWID;
CREATE TABLE vector_blocks (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, digest INTEGER NOT NULL);
CREATE TABLE views (root TEXT PRIMARY KEY, description BLOB NOT NULL, members BLOB NOT NULL);
CREATE TABLE unreadable (id BLOB PRIMARY KEY, error TEXT NOT NULL) WITHOUT ROWID;
"""


def open_writer(path: Path, fingerprint: str) -> sqlite3.Connection:
    """Open a history store for writing, or create it.

    Raises StoreVersionError if it has another format or fingerprint, StoreDamagedError, StoreFullError.
    """
    create_private(path)
    with TranslatedErrors(path):
        connection = connect(path, read_only=False)
        try:
            use_write_ahead_log(connection, path)
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
                connection.executescript(f"BEGIN; {_TABLES} COMMIT;")
                connection.execute(
                    "INSERT INTO state VALUES (1, ?, ?, ?, '', 0, 1)", (FORMAT, uuid.uuid4().hex, fingerprint)
                )
            columns = [row[1] for row in connection.execute("PRAGMA table_info(state)")]
            found = None
            if "fingerprint" in columns:
                found = connection.execute("SELECT format, fingerprint FROM state").fetchone()
            if found != (FORMAT, fingerprint):
                raise StoreVersionError(
                    f"{path} was written by another version of codeindexd", hint="nothing to do: it will be rebuilt"
                )
        except BaseException:
            connection.close()
            raise
    return connection
