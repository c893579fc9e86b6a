"""A segment: an immutable HNSW graph (usearch) with its vectors and ids, memory-mapped.

Row r of a segment has the graph key r + 1; ids ascend, so an id is found by binary search. usearch writes the matrix of
vectors first, so exact scores can be read from its file; if a release of usearch uses a different layout, the vectors
are also written to a separate file.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from codeindexd.errors import FailedError, StoreDamagedError
from codeindexd.storage.dense.arithmetic import ALIVE, Half, Ids, Mask, Rows, Single
from codeindexd.storage.dense.log import STORE_NAME
from codeindexd.storage.durable import store_error, storing

_MATRIX_AT = 8  # rows and bytes per row, 32 bits each, precede the matrix in a file of usearch 2
_SEARCH_EXPANSION = 256  # recall@100 0.96 on clustered data, at 0.7 ms; 64 gives 0.89
_BATCH = 256
_READ_ONCE = 1 << 20
Checksum = tuple[int, int]  # size in bytes, xxh3_64


@dataclass(frozen=True, slots=True)
class SegmentFiles:
    """The manifest's record of a segment: its number of rows, and the checksum of each of its files by suffix."""

    serial: int
    rows: int
    files: dict[str, Checksum]

    def path(self, directory: Path, suffix: str) -> Path:
        """Return the path of the file with the given suffix (``usearch``, ``ids`` or ``f16``)."""
        return directory / f"segment-{self.serial}.{suffix}"

    def paths(self, directory: Path) -> Iterator[Path]:
        """Yield the paths of all files of the segment."""
        return (self.path(directory, suffix) for suffix in self.files)


class Segment:
    """A searchable segment with its ``ids`` (n,) and vectors ``matrix`` (n, d).

    ``died`` (n,), the epoch in which each row died or ALIVE, is shared by all snapshots. ``live`` counts living rows.
    """

    def __init__(self, directory: Path, files: SegmentFiles, dimensions: int) -> None:
        """Map the files.

        Raises StoreDamagedError if a size or a shape differs from the manifest, StoreFullError if they cannot be opened
        now.
        """
        self.files = files
        self.serial = files.serial
        self._serial_search = threading.Lock()  # usearch keeps scratch space per graph, not per caller
        rows = files.rows
        for suffix, (size, _) in files.files.items():
            _check_size(files.path(directory, suffix), size)
        with storing(STORE_NAME):
            ids = np.memmap(files.path(directory, "ids"), dtype="<i8", mode="r", shape=(rows,))
            if "f16" in files.files:
                matrix = np.memmap(files.path(directory, "f16"), dtype="<f2", mode="r", shape=(rows, dimensions))
            else:
                matrix = map_matrix(files.path(directory, "usearch"), rows, dimensions)
        self.ids: Ids = np.asarray(ids)
        self.matrix: Half = np.asarray(matrix)
        self._graph = new_graph(dimensions)
        graph = files.path(directory, "usearch")
        try:
            self._graph.view(str(graph))
        except MemoryError as error:
            raise store_error(errno.ENOMEM, str(error), STORE_NAME) from error
        except (RuntimeError, ValueError) as error:
            with (
                storing(STORE_NAME),
                graph.open("rb"),
            ):  # raises StoreFullError if no file can be opened, which is no damage
                pass
            raise StoreDamagedError(f"segment {self.serial} of the {STORE_NAME} cannot be opened: {error}") from error
        if len(self._graph) != rows or self._graph.ndim != dimensions:
            raise StoreDamagedError(
                f"segment {self.serial} of the {STORE_NAME} has a different shape than its manifest says"
            )
        self._graph.expansion_search = _SEARCH_EXPANSION
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

    def near(self, query: Single, count: int) -> Rows:
        """Return about ``count`` rows nearest to ``query`` (d,), including dead ones, in no particular order."""
        with self._serial_search:
            keys: NDArray[np.uint64] = self._graph.search(query, count, threads=1).keys
        return np.subtract(keys.astype(np.intp), 1)


def new_graph(dimensions: int) -> Any:
    """Return an empty usearch index for float16 vectors of norm 1, under inner product."""
    from usearch.index import Index  # imported late: a tenth of the daemon's start, and only large roots need it

    return Index(ndim=dimensions, metric="ip", dtype="f16", enable_key_lookups=False)


def map_matrix(path: Path, rows: int, dimensions: int) -> np.memmap[Any, np.dtype[np.float16]]:
    """Map the vectors (rows, dimensions) in a file that usearch saved, read-only. Raises OSError, ValueError."""
    return np.memmap(path, dtype="<f2", mode="r", offset=_MATRIX_AT, shape=(rows, dimensions))


def grow_graph(matrix: Half, should_stop: Callable[[], bool]) -> Any | None:
    """Return a graph of all rows of ``matrix`` (n, d), which must outlive it; None if stopped. Raises FailedError.

    Uses one thread: parallel adds leave rows that are never found.
    """
    graph = new_graph(matrix.shape[1])
    keys = np.arange(1, len(matrix) + 1, dtype=np.uint64)
    for start in range(0, len(matrix), _BATCH):
        if should_stop():
            return None
        try:
            graph.add(keys[start : start + _BATCH], matrix[start : start + _BATCH], threads=1, copy=False)
        except (RuntimeError, ValueError, MemoryError) as error:
            raise FailedError(f"a segment of the {STORE_NAME} cannot be built: {error}") from error
    return graph


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
    with storing(STORE_NAME):
        if path.stat().st_size != size:
            raise StoreDamagedError(
                f"{path.name} of the {STORE_NAME} has {path.stat().st_size} bytes instead of {size}"
            )
