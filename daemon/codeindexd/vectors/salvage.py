"""What can still be read of a vector store that is damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from codeindexd.sqlite_files import Row, connect
from codeindexd.vectors.schema import whole

_VECTOR = "SELECT data, checksum FROM vector WHERE id = ?"
_AFTER_ALL_HASHES = b"\xff" * 17


def salvaged(path: Path) -> Iterator[tuple[str, list[tuple[bytes, bytes]]]]:
    """(model identity, vectors by embed hash), in parts, of all that is readable and matches its checksum."""
    try:
        connection = connect(path, read_only=True)
    except sqlite3.Error:
        return
    with closing(connection):
        for number, name in _rows(connection, "SELECT id, name FROM identity"):
            for first in range(256):
                part = (bytes([first]), bytes([first + 1]) if first < 255 else _AFTER_ALL_HASHES)
                select = "SELECT hash, vector_id FROM key WHERE identity = ? AND hash >= ? AND hash < ?"
                vectors: list[tuple[bytes, bytes]] = []
                for digest, vector_id in _rows(connection, select, number, *part):
                    for data, checksum in _rows(
                        connection, "SELECT data, checksum FROM vector WHERE id = ?", vector_id
                    ):
                        if isinstance(name, str) and whole(name, digest, data, checksum):
                            vectors.append((digest, data))
                if vectors:
                    yield name, vectors


def _rows(connection: sqlite3.Connection, sql: str, *values: object) -> list[Row]:
    """All rows of a statement, none when a page that it needs is broken."""
    try:
        return connection.execute(sql, values).fetchall()
    except sqlite3.Error:
        return []
