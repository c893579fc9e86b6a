"""A segment: an immutable, memory-mapped set of vectors (rows of int8) with their ids and codes, without a graph.

Ids ascend, so an id is found by binary search. Row r of the matrix, of the ids and of the codes belong together.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xxhash
from msgspec import Struct
from numpy.typing import NDArray

from codeindexd.errors import StoreDamagedError
from codeindexd.storage.dense.arithmetic import ALIVE, Codes, Ids, Int8Rows, Mask, Rows
from codeindexd.storage.dense.log import STORE_NAME
from codeindexd.storage.durable import storing

SUFFIXES = ("i8", "ids", "codes")
_READ_ONCE = 1 << 20
Checksum = tuple[int, int]  # size in bytes, xxh3_64


class SegmentFiles(Struct, frozen=True):
    """The manifest's record of a segment: its number of rows, and the checksum of each of its files by suffix."""

    serial: int
    rows: int
    files: dict[str, Checksum]

    def path(self, directory: Path, suffix: str) -> Path:
        """Return the path of the file with one of the SUFFIXES."""
        return directory / f"segment-{self.serial}.{suffix}"

    def paths(self, directory: Path) -> Iterator[Path]:
        """Yield the paths of all files of the segment."""
        return (self.path(directory, suffix) for suffix in self.files)


class Segment:
    """A searchable segment with its ``ids`` (n,), vectors ``matrix`` (n, d) and ``codes`` (ceil(d / 64), n).

    ``died`` (n,), the epoch in which each row died or ALIVE, is shared by all snapshots. ``live`` counts living rows.
    """

    def __init__(self, directory: Path, files: SegmentFiles, dimensions: int) -> None:
        """Map the files.

        Raises StoreDamagedError if a size differs from the manifest, StoreFullError if they cannot be opened now.
        """
        self.files = files
        self.serial = files.serial
        rows, words = files.rows, -(-dimensions // 64)
        with storing(STORE_NAME):
            for suffix, size in zip(SUFFIXES, (rows * dimensions, rows * 8, rows * words * 8), strict=True):
                _check_size(files.path(directory, suffix), size)
            matrix = np.memmap(files.path(directory, "i8"), dtype=np.int8, mode="r", shape=(rows, dimensions))
            ids = np.memmap(files.path(directory, "ids"), dtype="<i8", mode="r", shape=(rows,))
            codes = np.memmap(files.path(directory, "codes"), dtype="<u8", mode="r", shape=(words, rows))
        self.matrix: Int8Rows = np.asarray(matrix)
        self.ids: Ids = np.asarray(ids)
        self.codes: Codes = np.asarray(codes)
        self.died: NDArray[np.int32] = np.full(rows, ALIVE, dtype=np.int32)
        self.live = rows

    def rows_of(self, ids: Ids) -> Rows:
        """Return the rows (m,) of those ``ids`` (n,), without duplicates, that are in the segment, dead or alive."""
        positions = np.searchsorted(self.ids, ids)
        positions[positions == len(self.ids)] = 0
        found: Rows = positions[self.ids[positions] == ids]
        return found

    def kill(self, rows: Rows, epoch: int) -> None:
        """Mark ``rows`` as dead from ``epoch`` on; rows that are already dead keep their epoch."""
        alive = rows[self.died[rows] == ALIVE]
        if len(alive):  # otherwise write nothing: maintenance may read while another thread applies
            self.died[alive] = epoch
            self.live -= len(alive)

    def alive(self, epoch: int) -> Mask:
        """Return a mask (n,) of the rows that are alive in ``epoch``."""
        return self.died > epoch


def checksum(path: Path) -> Checksum:
    """Return the size and the xxh3_64 of a file. Raises OSError."""
    digest, size, buffer = xxhash.xxh3_64(), 0, bytearray(_READ_ONCE)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(memoryview(buffer)[:count])
            size += count
    return size, digest.intdigest()


def verify_files(directory: Path, files: SegmentFiles) -> None:
    """Compare all files of a segment with their checksums. Raises StoreDamagedError if one differs or is missing."""
    for suffix, expected in files.files.items():
        path = files.path(directory, suffix)
        with storing(STORE_NAME):
            if checksum(path) != expected:
                raise StoreDamagedError(f"{path.name} of the {STORE_NAME} does not match its checksum")


def _check_size(path: Path, size: int) -> None:
    found = path.stat().st_size
    if found != size:
        raise StoreDamagedError(f"{path.name} of the {STORE_NAME} has {found} bytes instead of {size}")
