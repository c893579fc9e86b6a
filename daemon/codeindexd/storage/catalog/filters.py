"""Filters over files and chunks that read only the file table, whose rows hold the ids and kinds of chunks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from codeindexd.scan.relpath import join
from codeindexd.storage.catalog.path_globs import common_directory, path_filter
from codeindexd.storage.sqlite import Reader, Row
from codeindexd.types import Outcome


def file_ids(reader: Reader, language: str | None, include: Sequence[str], exclude: Sequence[str]) -> NDArray[np.int64]:
    """Return the sorted ids (n,) of indexed files."""
    rows = _files(reader, "file_id", language, include, exclude)
    return np.fromiter((row[2] for row in rows), dtype=np.int64, count=len(rows))


def chunk_ids(
    reader: Reader, language: str | None, include: Sequence[str], exclude: Sequence[str], kinds: Sequence[str]
) -> NDArray[np.int64]:
    """Return the sorted ids (n,) of chunks."""
    rows = _files(reader, "chunk_ids, chunk_kinds" if kinds else "chunk_ids", language, include, exclude)
    ids = np.frombuffer(b"".join([row[2] for row in rows]), dtype="<i8")
    if kinds:
        codes = reader.rows_in(lambda marks: f"SELECT code FROM kind WHERE name IN ({marks})", kinds)  # noqa: S608
        have = np.frombuffer(b"".join([row[3] for row in rows]), dtype="<u2")
        ids = ids[np.isin(have, np.array([row[0] for row in codes], dtype="<u2"))]
    return np.sort(ids).astype(np.int64, copy=False)


def _files(
    reader: Reader, columns: str, language: str | None, include: Sequence[str], exclude: Sequence[str]
) -> list[Row]:
    """Return (parent, name, *columns) of the files that pass, by file id; without globs, parent and name are NULL."""
    directory = common_directory(include)
    if directory and include[0].lstrip("/").encode("utf-8", "surrogateescape") == directory + b"/**":
        include = ()  # the directory is the whole filter
    by_path = bool(include or exclude)
    where = ["outcome = ?"]
    parameters: list[object] = [int(Outcome.INDEXED)]
    if language is not None:
        where.append("language = ?")
        parameters.append(language)
    if directory:
        where.append("(parent = ? OR (parent > ? AND parent < ?))")
        parameters += [directory, directory + b"/", directory + b"0"]
    place = "parent, name" if by_path else "NULL, NULL"
    sql = f"SELECT {place}, {columns} FROM file WHERE {' AND '.join(where)} ORDER BY file_id"  # noqa: S608
    rows = reader.rows(sql, parameters)
    if not by_path:
        return rows
    passes = path_filter(include, exclude)
    return [row for row in rows if passes(join(row[0], row[1]))]
