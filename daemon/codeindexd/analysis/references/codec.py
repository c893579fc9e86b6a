"""The references of a file as bytes, and their form for queries: columns of numbers and one table of names."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from codeindexd.types import Reference, ReferenceKind

_HEADER = struct.Struct("<III")  # references, names, bytes of all names
_MOST_BYTES = 1 << 28  # uncompressed; far above what the worker's limits allow
_LEVEL = 3  # 1 is as fast for so few bytes, 9 saves 4 %


class BrokenReferencesError(ValueError):
    """The bytes are not references that :func:`encode` returned."""


class Columns(Struct, frozen=True, eq=False):
    """The references of one file, sorted by line, as columns of n numbers.

    ``names`` and ``qualifiers`` are places in ``table``, which begins with the empty name; ``kinds`` are values of
    `ReferenceKind`, and ``lines`` count from 1. The qualifier at place 0 stands for none.
    """

    table: Sequence[bytes]
    names: NDArray[np.int64]
    qualifiers: NDArray[np.int64]
    kinds: NDArray[np.uint8]
    lines: NDArray[np.int64]

    def on_other_lines(self, line_of: Callable[[int], int]) -> Columns:
        """Return the references with every line replaced by ``line_of(line)``, which must keep their order."""
        lines = np.fromiter((line_of(line) for line in self.lines.tolist()), np.int64, len(self))
        return replace(self, lines=lines)

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[Reference]:
        return (self.at(place) for place in range(len(self)))

    def at(self, place: int) -> Reference:
        """Return one reference."""
        name, qualifier = self.table[self.names[place]], self.table[self.qualifiers[place]]
        kind, line = ReferenceKind(int(self.kinds[place])), int(self.lines[place])
        return Reference(kind, name.decode("utf-8", "replace"), qualifier.decode("utf-8", "replace"), line)

    def named(self, name: str) -> list[Reference]:
        """Return the references with this name."""
        try:
            number = self.table.index(name.encode("utf-8", "replace"))
        except ValueError:
            return []
        return [self.at(place) for place in np.flatnonzero(self.names == number).tolist()]

    def of_kind(self, kind: ReferenceKind) -> list[Reference]:
        """Return the references of one kind."""
        return [self.at(place) for place in np.flatnonzero(self.kinds == kind).tolist()]

    def on_lines(self, first: int, last: int) -> list[Reference]:
        """Return the references from line ``first`` to ``last``, both included."""
        start, end = np.searchsorted(self.lines, [first, last + 1]).tolist()
        return [self.at(place) for place in range(start, end)]


_NONE = np.zeros(0, dtype=np.int64)
NO_REFERENCES = Columns([b""], _NONE, _NONE, np.zeros(0, dtype=np.uint8), _NONE)


def joined(parts: Sequence[Columns]) -> Columns:
    """Return the references of consecutive parts of a file as one."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return NO_REFERENCES
    table = list(dict.fromkeys(name for part in parts for name in part.table))
    numbers = {name: number for number, name in enumerate(table)}
    new = [np.array([numbers[name] for name in part.table], dtype=np.int64) for part in parts]
    return Columns(
        table,
        np.concatenate([places[part.names] for places, part in zip(new, parts, strict=True)]),
        np.concatenate([places[part.qualifiers] for places, part in zip(new, parts, strict=True)]),
        np.concatenate([part.kinds for part in parts]),
        np.concatenate([part.lines for part in parts]),
    )


def encode(columns: Columns) -> bytes:
    """Return references as bytes; b"" for none."""
    if not len(columns):
        return b""
    table = b"\0".join(columns.table)
    if table.count(b"\0") >= len(columns.table):  # a name in broken input has one
        table = b"\0".join(name.replace(b"\0", b"") for name in columns.table)
    numbers = [
        _planes(columns.names),
        _planes(columns.qualifiers),
        _planes(np.diff(columns.lines, prepend=0)),
        columns.kinds.tobytes(),
    ]
    header = _HEADER.pack(len(columns), len(columns.table), len(table))
    return zlib.compress(b"".join([header, table, *numbers]), _LEVEL)


def _planes(values: NDArray[np.int64]) -> bytes:
    """Return numbers as their lowest bytes, then their next bytes, and so on: that compresses best."""
    return values.astype("<u4").view(np.uint8).reshape(-1, 4).T.tobytes()


def decode(data: bytes) -> Columns:
    """Return the references that :func:`encode` encoded. Raises BrokenReferencesError."""
    if not data:
        return NO_REFERENCES
    try:
        raw = zlib.decompressobj().decompress(data, _MOST_BYTES)
        count, distinct, size = _HEADER.unpack_from(raw)
    except (zlib.error, struct.error) as error:
        raise BrokenReferencesError(str(error)) from error
    at = _HEADER.size + size
    table = raw[_HEADER.size : at].split(b"\0")
    if len(table) != distinct or len(raw) != at + count * 13:
        raise BrokenReferencesError("the sizes do not match")
    names, qualifiers, steps = (_numbers(raw, at + part * 4 * count, count) for part in range(3))
    kinds = np.frombuffer(raw, np.uint8, count, at + 12 * count)
    if count and (max(int(names.max()), int(qualifiers.max())) >= distinct or not _KINDS[kinds].all()):
        raise BrokenReferencesError("a number is out of range")
    return Columns(table, names, qualifiers, kinds, np.cumsum(steps))


def are_equal(one: bytes, other: bytes) -> bool:
    """Return True if two encodings have the same references, whatever version of zlib made them."""
    try:
        return one == other or (bool(one and other) and zlib.decompress(one) == zlib.decompress(other))
    except zlib.error:
        return False


def _numbers(raw: bytes, at: int, count: int) -> NDArray[np.int64]:
    planes = np.frombuffer(raw, np.uint8, 4 * count, at).reshape(4, count)
    return np.ascontiguousarray(planes.T).view("<u4").reshape(-1).astype(np.int64)


_KINDS = np.zeros(256, dtype=bool)
_KINDS[[int(kind) for kind in ReferenceKind]] = True
