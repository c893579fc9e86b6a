"""The definitions of files: their rows, and the lookup keys of those that no chunk has among its symbols."""

from __future__ import annotations

import itertools
import sqlite3
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, overload

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from codeindexd.errors import StoreDamagedError
from codeindexd.storage.catalog.rows import get_text, put_text, symbol_key, symbol_keys
from codeindexd.storage.sqlite import REBUILT, Reader, Row, in_lists
from codeindexd.types import DECLARATION, IMPLEMENTATION, ChunkDraft, Definition, Span, Visibility

DETAIL_KINDS: Final = (
    "constant", "variable", "field", "property", "enum_member", "namespace", "constructor", "package", "union", "alias",
    "event",
)  # fmt: skip
"""Kinds of definitions that a chunk's own symbols do not or not always include; a filter finds them by these bits.

The positions are stored, so they never change meaning; there is room for 32, with those of the kinds below.
"""

_NAMED_KINDS: Final = (
    "function", "method", "class", "interface", "type", "enum", "struct", "trait", "module", "object", "macro",
)  # fmt: skip
"""Kinds that symbols include, except in script inside pages and in samples of documents, where they need a bit, too."""

_LATER_DETAIL_KINDS: Final = (DECLARATION,)
"""More kinds like ``DETAIL_KINDS``, whose bits follow those of all others."""

_BITS: Final = {kind: 1 << number for number, kind in enumerate(DETAIL_KINDS + _NAMED_KINDS + _LATER_DETAIL_KINDS)}
_LEVEL: Final = 6
_MOST_BYTES: Final = 1 << 28  # of one file's definitions, decompressed
_Columns = tuple[
    list[Any], list[Any], list[str], list[int], list[int], list[int], list[int], list[Any], list[Any], list[str],
    list[int],
]  # fmt: skip
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Columns).decode
_VISIBILITIES: Final = {str(visibility): visibility for visibility in Visibility}


class Outline(Struct, frozen=True):
    """The definitions of a file. ``is_partial`` if the syntax of some of it was not understood."""

    definitions: tuple[Definition, ...] = ()
    is_partial: bool = False

    def __bool__(self) -> bool:
        return bool(self.definitions) or self.is_partial


def put_definitions(definitions: Sequence[Definition]) -> bytes:
    """Return definitions as a blob: compressed columns, with positions relative to the definition before.

    A qualified name is left out if it is that of the container and the name.
    """
    names, qualified, starts = [], [], []
    before = 0
    for definition in definitions:
        is_usual = definition.qualified == _usual_name(definition.name, definition.container, definitions)
        names.append(put_text(definition.name))
        qualified.append(None if is_usual else put_text(definition.qualified))
        starts.append(definition.start_line - before)
        before = definition.start_line
    columns = (
        names,
        qualified,
        [definition.kind for definition in definitions],
        [definition.line - definition.start_line for definition in definitions],
        [definition.column for definition in definitions],
        starts,
        [definition.end_line - definition.start_line for definition in definitions],
        [put_text(definition.signature) for definition in definitions],
        [put_text(definition.doc) for definition in definitions],
        [str(definition.visibility) for definition in definitions],
        [
            number - definition.container if definition.container >= 0 else 0
            for number, definition in enumerate(definitions)
        ],
    )
    return zlib.compress(_encode(columns), _LEVEL)


def get_definitions(blob: bytes) -> tuple[Definition, ...]:
    """Return the definitions that :func:`put_definitions` encoded. Raises StoreDamagedError."""
    return tuple(StoredOutline(blob))


class StoredOutline(Sequence[Definition]):
    """The definitions of a file as :func:`put_definitions` encoded them, each built when it is asked for.

    A lookup by name needs one of hundreds.
    """

    def __init__(self, blob: bytes) -> None:
        """Decode the columns of ``blob``. Raises StoreDamagedError."""
        try:
            self._columns = _decode(zlib.decompressobj().decompress(blob, _MOST_BYTES))
            _check(self._columns)
            self.names = [get_text(name) for name in self._columns[0]]
        except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
            raise StoreDamagedError(f"the catalog contains broken definitions: {error}", hint=REBUILT) from error
        self._starts = list(itertools.accumulate(self._columns[5]))
        self._built: dict[int, Definition] = {}

    @property
    def kinds(self) -> Sequence[str]:
        """The kinds of the definitions, in the order of their ``names``."""
        return self._columns[2]

    @property
    def places(self) -> Iterator[tuple[str, int, int]]:
        """The kind of each definition, the line of its name, and its last line."""
        _, _, kinds, lines, _, _, lengths, *_ = self._columns
        for kind, start, line, length in zip(kinds, self._starts, lines, lengths, strict=True):
            yield kind, start + line, start + length

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, number: int) -> Definition: ...
    @overload
    def __getitem__(self, number: slice) -> tuple[Definition, ...]: ...
    def __getitem__(self, number: int | slice) -> Definition | tuple[Definition, ...]:
        if isinstance(number, slice):
            return tuple(self[place] for place in range(*number.indices(len(self))))
        number = range(len(self))[number]
        if number not in self._built:
            self._built[number] = self._definition(number)
        return self._built[number]

    def _definition(self, number: int) -> Definition:
        _, qualified, kinds, lines, columns, _, lengths, signatures, docs, visibilities, distances = self._columns
        name, start, distance = self.names[number], self._starts[number], distances[number]
        container = number - distance if distance else -1
        written = qualified[number]
        return Definition(
            name,
            _usual_name(name, container, self) if written is None else get_text(written),
            kinds[number],
            start + lines[number],
            columns[number],
            start,
            start + lengths[number],
            get_text(signatures[number]),
            get_text(docs[number]),
            _VISIBILITIES[visibilities[number]],
            container,
        )


def _check(columns: _Columns) -> None:
    """Raise ValueError if the columns contradict each other."""
    if len({len(column) for column in columns}) != 1:
        raise ValueError("columns of different lengths")
    if not all(0 <= distance <= number for number, distance in enumerate(columns[10])):
        raise ValueError("a container follows its member")
    if not _VISIBILITIES.keys() >= set(columns[9]):
        raise ValueError("an unknown visibility")


def _usual_name(name: str, container: int, definitions: Sequence[Definition]) -> str:
    return f"{definitions[container].qualified}.{name}" if container >= 0 else name


def definition_keys(definitions: Iterable[Definition]) -> set[bytes]:
    """Return the lookup keys of the names that ``definitions`` define."""
    return {symbol_key(definition.name) for definition in definitions if definition.kind != IMPLEMENTATION}


def additional_keys(definitions: Iterable[Definition], spans: Iterable[Span]) -> set[bytes]:
    """Return the lookup keys of ``definitions`` that the symbols of a file's chunks, with these ``spans``, lack."""
    known = set().union(*(symbol_keys(span.symbol, span.symbols) for span in spans))
    return definition_keys(definitions) - known


def details_of(definitions: Sequence[Definition], spans: Sequence[Span]) -> bytes:
    """Return the bits of the kinds of which each chunk of a file has definitions, as little-endian uint32.

    ``spans`` are those of the chunks, in order. A kind that symbols include has its bit only where they lack the
    definition. The result is empty if there are no bits.
    """
    bits = np.zeros(len(spans), dtype="<u4")
    first_lines = [span.start_line for span in spans]
    for definition in definitions:
        bit, at = _BITS.get(definition.kind, 0), bisect_right(first_lines, definition.line)
        if (
            bit
            and at
            and (definition.kind not in _NAMED_KINDS or all(s.name != definition.name for s in spans[at - 1].symbols))
        ):
            bits[at - 1] |= bit
    return bits.tobytes() if bits.any() else b""


def chunks_with_details(reader: Reader, kinds: Sequence[str]) -> NDArray[np.int64]:
    """Return the sorted ids (n,) of the chunks with a definition of one of ``kinds``, as far as it has a bit."""
    wanted = sum(_BITS.get(kind, 0) for kind in set(kinds))
    if not wanted:
        return np.empty(0, np.int64)
    rows = reader.rows(
        "SELECT f.chunk_ids, o.details FROM outline o JOIN file f USING (file_id) WHERE o.details <> x''"
    )
    ids = np.frombuffer(b"".join([row[0] for row in rows]), dtype="<i8")
    bits = np.frombuffer(b"".join([row[1] for row in rows]), dtype="<u4")
    return np.sort(ids[(bits & wanted) != 0]).astype(np.int64, copy=False)


def definitions_of(reader: Reader, file_ids: Iterable[int]) -> dict[int, tuple[Definition, ...]]:
    """Return the definitions of these files by file id, in the order of their lines; none for a file without any."""
    return {file_id: found for file_id, outline in outlines_of(reader, file_ids).items() if (found := tuple(outline))}


def outlines_of(reader: Reader, file_ids: Iterable[int]) -> dict[int, StoredOutline]:
    """Return what :func:`definitions_of` does, built when it is asked for."""
    rows = reader.rows_in(
        lambda marks: f"SELECT file_id, definitions FROM outline WHERE file_id IN ({marks})",  # noqa: S608
        [int(file_id) for file_id in file_ids],
    )
    return {file_id: StoredOutline(blob) for file_id, blob in rows}


def files_with_keys(reader: Reader, keys: Sequence[bytes]) -> set[int]:
    """Return the ids of the files with a definition, or a chunk, that has one of these lookup keys."""
    rows = reader.rows_in(
        lambda marks: (
            f"SELECT file_id FROM definition_name WHERE name IN ({marks})"  # noqa: S608
        ),
        keys,
    )
    rows += reader.rows_in(
        lambda marks: (
            f"SELECT DISTINCT c.file_id FROM symbol s JOIN chunk c USING (chunk_id) WHERE s.name IN ({marks})"  # noqa: S608
        ),
        keys,
    )
    return {row[0] for row in rows}


def is_partial(reader: Reader, file_id: int) -> bool:
    """Return True if the syntax of some of a file was not understood, so that definitions may be missing."""
    row = reader.row("SELECT is_partial FROM outline WHERE file_id = ?", (file_id,))
    return bool(row and row[0])


class OutlineDiffer:
    """Collects the changes of one transaction to the definitions of files, and writes them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._rows: list[Row] = []
        self._removed: list[int] = []
        self._keys_added: list[tuple[bytes, int]] = []
        self._keys_removed: list[tuple[bytes, int]] = []

    @property
    def is_changed(self) -> bool:
        """True if anything has to be written."""
        return bool(self._rows or self._removed or self._keys_added or self._keys_removed)

    def drop(self, file_id: int) -> None:
        """Remove the definitions of a file that was removed."""
        self.diff(file_id, Outline(), ())

    def diff(self, file_id: int, outline: Outline, chunks: Sequence[ChunkDraft]) -> None:
        """Replace the definitions of a file by ``outline``; the symbols of ``chunks``, its new chunks, need no key."""
        row = self._row(file_id, outline, chunks)
        stored = self._connection.execute("SELECT * FROM outline WHERE file_id = ?", (file_id,)).fetchone()
        if row != stored:
            if row is None:
                self._removed.append(file_id)
            else:
                self._rows.append(row)
        old = self._stored_keys(file_id, stored)
        new = additional_keys(outline.definitions, (chunk.span for chunk in chunks)) if outline else set()
        self._keys_removed += [(key, file_id) for key in old - new]
        self._keys_added += [(key, file_id) for key in new - old]

    def _row(self, file_id: int, outline: Outline, chunks: Sequence[ChunkDraft]) -> Row | None:
        if not outline:
            return None
        details = details_of(outline.definitions, [chunk.span for chunk in chunks])
        return file_id, int(outline.is_partial), put_definitions(outline.definitions), details

    def _stored_keys(self, file_id: int, stored: Row | None) -> set[bytes]:
        if stored is None:
            return set()
        candidates = sorted(definition_keys(get_definitions(stored[2])))
        found: set[bytes] = set()
        for marks, part in in_lists(candidates):
            sql = f"SELECT name FROM definition_name WHERE name IN ({marks}) AND file_id = ?"  # noqa: S608
            found.update(row[0] for row in self._connection.execute(sql, (*part, file_id)))
        return found

    def write(self) -> None:
        """Write all changes. Raises sqlite3.Error."""
        run = self._connection.executemany
        run("DELETE FROM definition_name WHERE name = ? AND file_id = ?", self._keys_removed)
        run("DELETE FROM outline WHERE file_id = ?", [(file_id,) for file_id in self._removed])
        run("INSERT OR REPLACE INTO outline VALUES (?, ?, ?, ?)", self._rows)
        run("INSERT INTO definition_name VALUES (?, ?)", sorted(self._keys_added))
