"""Brings catalogs of earlier versions up to the present schema, so that they answer while they are brought up to date.

What a later version added is empty at first. Its files have a stale fingerprint, since that covers everything that is
kept of a file, so they are processed again in the background.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

SCHEMA_VERSION: Final = 7

ADDED: Final[Mapping[int, str]] = {
    3: """
CREATE TABLE outline (
  file_id INTEGER PRIMARY KEY, is_partial INTEGER NOT NULL, definitions BLOB NOT NULL, details BLOB NOT NULL
);
CREATE TABLE definition_name (
  name BLOB NOT NULL, file_id INTEGER NOT NULL, PRIMARY KEY (name, file_id)
) WITHOUT ROWID;
""",
    4: """
CREATE TABLE reference (
  file_id INTEGER PRIMARY KEY, definition_count INTEGER NOT NULL, reference_count INTEGER NOT NULL, refs BLOB NOT NULL
);
CREATE INDEX reference_counts ON reference (definition_count, reference_count);
""",
    5: """
CREATE TABLE centrality (
  one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, generation INTEGER NOT NULL,
  file_ids BLOB NOT NULL, ranks BLOB NOT NULL
);
""",
    6: """
CREATE TABLE skipped_text (
  file_id INTEGER PRIMARY KEY, round INTEGER NOT NULL, hash BLOB NOT NULL,
  size NOT NULL, mtime_ns NOT NULL, ctime_ns NOT NULL, inode NOT NULL
);
""",
    7: """
DELETE FROM skipped_text;
ALTER TABLE skipped_text ADD COLUMN long_runs BLOB NOT NULL DEFAULT x'';
""",
}
"""By version, the statements that change a catalog of the version before. A new catalog gets them as well."""


def statements(version: int) -> list[str]:
    """Return the statements that lead to a version from the one before."""
    return [statement for statement in ADDED[version].strip().split(";\n") if statement]


def migrate(connection: sqlite3.Connection) -> int | None:
    """Bring a catalog up to the present schema in one transaction; return its version before, None if nothing was done.

    A catalog that is too old, or newer than this program, is left as it is.
    """
    before = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if before == SCHEMA_VERSION or before + 1 not in ADDED:
        return None
    connection.execute("BEGIN IMMEDIATE")
    try:
        for version in range(before + 1, SCHEMA_VERSION + 1):
            for statement in statements(version):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return before
