"""Filters files and chunks. Reads only the file table where possible: its rows contain the ids and kinds of chunks."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from codeindexd.scan.relpath import join
from codeindexd.storage.catalog.path_globs import common_directory, path_filter
from codeindexd.storage.catalog.rows import put_kind
from codeindexd.storage.sqlite import Reader, Row
from codeindexd.types import Outcome


def file_ids(reader: Reader, language: str | None, include: Sequence[str], exclude: Sequence[str]) -> NDArray[np.int64]:
    """Return the sorted ids (n,) of the indexed files that pass the filters, which are path globs and a language."""
    rows = _files(reader, "file_id", language, include, exclude)
    return np.fromiter((row[2] for row in rows), dtype=np.int64, count=len(rows))


def chunk_ids(
    reader: Reader, language: str | None, include: Sequence[str], exclude: Sequence[str], kinds: Sequence[str]
) -> NDArray[np.int64]:
    """Return the sorted ids (n,) of the chunks that pass the filters.

    ``kinds`` are alternatives; a chunk passes if its own kind or the kind of a definition in it is among them.
    """
    rows = _files(reader, "chunk_ids, chunk_kinds" if kinds else "chunk_ids", language, include, exclude)
    ids = np.frombuffer(b"".join([row[2] for row in rows]), dtype="<i8")
    if kinds:
        ids = ids[_are_labelled(reader, rows, kinds) | np.isin(ids, _defining(reader, kinds))]
    return np.sort(ids).astype(np.int64, copy=False)


def labelled_chunk_ids(reader: Reader, kinds: Sequence[str]) -> NDArray[np.int64]:
    """Return the sorted ids (n,) of the chunks whose own kind is one of ``kinds``."""
    rows = _files(reader, "chunk_ids, chunk_kinds", None, (), ())
    ids = np.frombuffer(b"".join([row[2] for row in rows]), dtype="<i8")
    return np.sort(ids[_are_labelled(reader, rows, kinds)]).astype(np.int64, copy=False)


def merged_chunk_ids(reader: Reader) -> NDArray[np.int64]:
    """Return the sorted ids (n,) of the chunks that hold several small definitions and have no name of their own."""
    rows = reader.rows("SELECT chunk_id FROM chunk WHERE symbol = '' AND length(symbols) > 1 ORDER BY chunk_id", ())
    return np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))


def _are_labelled(reader: Reader, rows: Sequence[Row], kinds: Sequence[str]) -> NDArray[np.bool_]:
    """Return for each chunk of ``rows``, whose fourth column has their kinds, if its kind is one of ``kinds``."""
    codes = reader.rows_in(lambda marks: f"SELECT code FROM kind WHERE name IN ({marks})", kinds)  # noqa: S608
    have = np.frombuffer(b"".join([row[3] for row in rows]), dtype="<u2")
    return np.isin(have, np.array([row[0] for row in codes], dtype="<u2"))


def _defining(reader: Reader, kinds: Sequence[str]) -> NDArray[np.int64]:
    """Return the ids (n,) of the chunks with a definition of one of ``kinds``."""
    stored = [put_kind(kind) for kind in kinds]
    where = " OR ".join(["instr(symbols, ?)"] * len(kinds))
    rows = reader.rows(f"SELECT chunk_id, symbols FROM chunk WHERE {where}", stored)  # noqa: S608
    is_kind = re.compile(b"(?:" + b"|".join(map(re.escape, stored)) + b")[^\\xa0-\\xbf\\xd9-\\xdb]", re.DOTALL)
    return np.fromiter((row[0] for row in rows if is_kind.search(row[1])), dtype=np.int64)


def _files(
    reader: Reader, columns: str, language: str | None, include: Sequence[str], exclude: Sequence[str]
) -> list[Row]:
    """Return (parent, name, *columns) of the files that pass, in the order of file ids.

    Without path globs, parent and name are None.
    """
    directory = common_directory(include)
    if directory and include[0].lstrip("/").encode("utf-8", "surrogateescape") == directory + b"/**":
        include = ()  # the directory is the whole filter
    by_path = bool(include or exclude)
    where = ["outcome = ?"]
    parameters: list[object] = [int(Outcome.INDEXED)]
    if language is not None:
        of_language, more = _language_filter(language)
        where.append(of_language)
        parameters += more
    if directory:
        where.append("(parent = ? OR (parent > ? AND parent < ?))")
        parameters += [directory, directory + b"/", directory + b"0"]
    path = "parent, name" if by_path else "NULL, NULL"
    sql = f"SELECT {path}, {columns} FROM file WHERE {' AND '.join(where)} ORDER BY file_id"  # noqa: S608
    rows = reader.rows(sql, parameters)
    if not by_path:
        return rows
    passes = path_filter(include, exclude)
    return [row for row in rows if passes(join(row[0], row[1]))]


def is_of_language(language: str, path: bytes, wanted: str) -> bool:
    """Return True if a filter for the language ``wanted`` lets a file of ``language`` at ``path`` pass.

    TypeScript includes files with JSX, and C++ includes ``.h`` files, which are detected as C.
    """
    return (
        language == wanted
        or (wanted == "typescript" and language == "tsx")
        or (wanted == "cpp" and language == "c" and path.endswith(b".h"))
    )


def _language_filter(wanted: str) -> tuple[str, list[object]]:
    """Return the condition of :func:`is_of_language` in SQL, and its parameters."""
    if wanted == "typescript":
        return "language IN (?, ?)", [wanted, "tsx"]
    if wanted == "cpp":
        return "(language = ? OR (language = ? AND substr(name, -2) = ?))", [wanted, "c", b".h"]
    return "language = ?", [wanted]
