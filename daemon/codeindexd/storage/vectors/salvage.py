"""Reads the intact vectors of a damaged vector store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from codeindexd.storage.sqlite import Row, connect, file_identity, translate
from codeindexd.storage.vectors.schema import is_intact

_KEYS = "SELECT hash, vector_id FROM key WHERE identity = ? AND hash >= ? AND hash < ?"
_VECTOR = "SELECT data, checksum FROM vector WHERE id = ?"
# I/O errors do not count as temporary: vectors that can never be read again must be left behind.
_TEMPORARY = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_AFTER_ALL_HASHES = b"\xff" * 17


def intact_vectors(path: Path) -> Iterator[tuple[str, list[tuple[bytes, bytes]]]]:
    """Yield (model identity, [(embed hash, vector)]), in parts, for all vectors that match their checksums.

    Raises StoreFullError if the file cannot be opened or read now, which says nothing about its content.
    """
    if file_identity(path) is None:
        return
    try:
        connection = connect(path, read_only=True)
    except sqlite3.Error as error:
        _raise_if_temporary(error, path)
        return
    with closing(connection):
        for number, name in _rows(path, connection, "SELECT id, name FROM identity"):
            for first in range(256) if isinstance(name, str) else ():
                if vectors := list(_vectors_in_part(path, connection, number, name, first)):
                    yield name, vectors


def _vectors_in_part(
    path: Path, connection: sqlite3.Connection, number: int, name: str, first: int
) -> Iterator[tuple[bytes, bytes]]:
    """Yield (embed hash, vector) for the intact vectors of an identity whose hashes begin with the byte ``first``."""
    part = (bytes([first]), bytes([first + 1]) if first < 255 else _AFTER_ALL_HASHES)
    for digest, vector_id in _rows(path, connection, _KEYS, number, *part):
        for data, checksum in _rows(path, connection, _VECTOR, vector_id):
            if is_intact(name, digest, data, checksum):
                yield digest, data


def _rows(path: Path, connection: sqlite3.Connection, sql: str, *values: object) -> list[Row]:
    """Return all rows of a statement, or none if a page that it needs is damaged."""
    try:
        return connection.execute(sql, values).fetchall()
    except sqlite3.Error as error:
        _raise_if_temporary(error, path)
        return []


def _raise_if_temporary(error: sqlite3.Error, path: Path) -> None:
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _TEMPORARY and (ours := translate(error, path)):
        raise ours from error
