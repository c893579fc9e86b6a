"""What can still be read of a vector store that is damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from codeindexd.storage.sqlite import Row, connect, file_identity, translate
from codeindexd.storage.vectors.schema import whole

_VECTOR = "SELECT data, checksum FROM vector WHERE id = ?"
# What passes. Not errors of input and output: what can never be read again is to be left behind.
_PASSING = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_AFTER_ALL_HASHES = b"\xff" * 17


def salvaged(path: Path) -> Iterator[tuple[str, list[tuple[bytes, bytes]]]]:
    """(model identity, vectors by embed hash), in parts, of all that is readable and matches its checksum.

    Raises StoreFullError when the file cannot be opened or read at this moment: that says nothing about it.
    """
    if file_identity(path) is None:
        return
    try:
        connection = connect(path, read_only=True)
    except sqlite3.Error as error:
        _raise_if_passing(error, path)
        return
    with closing(connection):
        for number, name in _rows(path, connection, "SELECT id, name FROM identity"):
            for first in range(256):
                part = (bytes([first]), bytes([first + 1]) if first < 255 else _AFTER_ALL_HASHES)
                select = "SELECT hash, vector_id FROM key WHERE identity = ? AND hash >= ? AND hash < ?"
                vectors: list[tuple[bytes, bytes]] = []
                for digest, vector_id in _rows(path, connection, select, number, *part):
                    for data, checksum in _rows(path, connection, _VECTOR, vector_id):
                        if isinstance(name, str) and whole(name, digest, data, checksum):
                            vectors.append((digest, data))
                if vectors:
                    yield name, vectors


def _rows(path: Path, connection: sqlite3.Connection, sql: str, *values: object) -> list[Row]:
    """All rows of a statement, none when a page that it needs is broken."""
    try:
        return connection.execute(sql, values).fetchall()
    except sqlite3.Error as error:
        _raise_if_passing(error, path)
        return []


def _raise_if_passing(error: sqlite3.Error, path: Path) -> None:
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING and (ours := translate(error, path)):
        raise ours from error
