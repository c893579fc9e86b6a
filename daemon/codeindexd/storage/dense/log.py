"""The newest vectors of a dense index (its tail) on disk: a log of 32-byte records beside a file of int8 rows.

The n-th ADD record of the log names the chunk of the n-th row. A COMMIT record ends a group: it contains the
generation, the number of rows and an XXH3 checksum over the group's records and rows, seeded with the previous
checksum, so a valid prefix is exactly a sequence of complete commits. Vectors are written before the records that name
them. Nothing is synced on append: after a power loss, missing vectors are found by comparison with the catalog.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from msgspec import Struct
from numpy.typing import NDArray

from codeindexd.errors import StoreDamagedError
from codeindexd.storage.dense.arithmetic import Ids, Int8Rows
from codeindexd.storage.durable import storing, write_fully

STORE_NAME = "dense index"
"""The name of this store in messages."""
RECORD = np.dtype([("kind", "<u4"), ("count", "<u4"), ("value", "<i8"), ("generation", "<i8"), ("checksum", "<u8")])
Records = NDArray[np.void]
_MAGIC = 0x45444943  # "CIDE"
_FORMAT = 2
_ADD, _REMOVE, _DEAD, _COMMIT = 1, 2, 3, 4
_FIRST_ROWS = 1024


class Binding(Struct, frozen=True):
    """The catalog and the model that a dense index belongs to. Files of different bindings are never combined."""

    store_uuid: str
    identity: str
    dimensions: int

    def checksum(self, serial: int) -> int:
        """Return a checksum of this binding and the serial number of a tail."""
        text = "\0".join([self.store_uuid, self.identity, str(self.dimensions), str(serial)])
        return xxhash.xxh3_64_intdigest(text.encode())


class CommitGroup(Struct, frozen=True):
    """The changes of one commit, in this order: rows of segments marked dead, ids removed, ids added."""

    generation: int
    dead: NDArray[np.int64]  # (n, 2): segment serial, row
    removed: Ids
    added: Ids


class TailLog:
    """The two files of a tail and their valid length. Not thread-safe, except that ``matrix`` may be read.

    ``matrix`` (capacity, d) maps the rows; only the first ``row_count`` are valid. ``generation`` is that of the last
    group.
    """

    def __init__(self, directory: Path, serial: int, binding: Binding) -> None:
        """Use :meth:`create` or :meth:`open` instead."""
        self.serial = serial
        self.row_count = 0
        self.generation = 0
        self.log_path = directory / f"tail-{serial}.log"
        self.rows_path = directory / f"tail-{serial}.i8"
        self._binding = binding
        self._row_bytes = binding.dimensions
        self._log = self._file = -1
        self._size = 0
        self._seed = binding.checksum(serial)
        self._capacity = 0
        self.matrix: Int8Rows = np.empty((0, binding.dimensions), dtype=np.int8)

    @classmethod
    def create(cls, directory: Path, serial: int, binding: Binding) -> TailLog:
        """Create empty files; the first :meth:`append` makes them valid. Raises StoreFullError."""
        tail = cls(directory, serial, binding)
        header = np.array([(_MAGIC, _FORMAT, serial, binding.dimensions, tail._seed)], dtype=RECORD)
        with tail._closed_on_error(), storing(STORE_NAME):
            tail._open_files(os.O_CREAT | os.O_TRUNC)
            write_fully(tail._log, header.tobytes(), 0)
            tail._reserve(_FIRST_ROWS)
        tail._size = RECORD.itemsize
        return tail

    @classmethod
    def open(cls, directory: Path, serial: int, binding: Binding) -> tuple[TailLog, list[CommitGroup]]:
        """Open existing files and return the tail and its groups; an incomplete group at the end is cut off.

        Raises StoreDamagedError if the header is damaged or belongs to another index, or if not even the first group is
        complete; StoreFullError if the files cannot be used now.
        """
        tail = cls(directory, serial, binding)
        with tail._closed_on_error():
            with storing(STORE_NAME):
                tail._open_files(0)
                stored = os.fstat(tail._file).st_size // tail._row_bytes
                tail._reserve(stored)
                content = tail.log_path.read_bytes()
            records = np.frombuffer(content, dtype=RECORD, count=len(content) // RECORD.itemsize)
            tail._check_header(records)
            groups = list(tail._replay(records, stored))
            if not groups:
                raise StoreDamagedError(f"{tail.log_path.name} of the {STORE_NAME} has no complete commit")
            with storing(STORE_NAME):
                os.ftruncate(tail._log, tail._size)
        return tail, groups

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _open_files(self, extra: int) -> None:
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | extra
        self._log = os.open(self.log_path, flags, 0o600)
        self._file = os.open(self.rows_path, flags, 0o600)

    def _check_header(self, records: Records) -> None:
        expected = (_MAGIC, _FORMAT, self.serial, self._binding.dimensions, self._seed)
        if not len(records) or records[0].item() != expected:
            raise StoreDamagedError(
                f"{self.log_path.name} of the {STORE_NAME} has a header that is damaged or belongs to another index"
            )
        self._size = RECORD.itemsize

    def _replay(self, records: Records, stored: int) -> Iterator[CommitGroup]:
        """Yield the groups before the first incomplete one, extending the valid length; ``stored`` is the row count."""
        start = 1
        for end in np.flatnonzero(records["kind"] == _COMMIT).tolist():
            if end < start:
                continue
            commit, body = records[end : end + 1], records[start:end]
            rows = int(commit["value"][0])
            if not self.row_count <= rows <= stored or np.count_nonzero(body["kind"] == _ADD) != rows - self.row_count:
                return
            checksum = self._checksum(body, self.matrix[self.row_count : rows], commit)
            if checksum != int(commit["checksum"][0]):
                return
            self._seed, self.row_count, self.generation = checksum, rows, int(commit["generation"][0])
            self._size = (end + 1) * RECORD.itemsize
            start = end + 1
            yield _group(body, self.generation)

    def _checksum(self, body: Records, rows: Int8Rows, commit: Records) -> int:
        bare = commit.copy()
        bare["checksum"] = 0
        digest = xxhash.xxh3_64(seed=self._seed)
        for part in (body, rows, bare):
            digest.update(_bytes(part))
        return digest.intdigest()

    def _reserve(self, rows: int) -> None:
        """Extend the (sparse) file to at least ``rows`` rows, and map it again; older mappings stay valid."""
        if rows <= self._capacity:
            return
        capacity = max(rows, _FIRST_ROWS, self._capacity + self._capacity // 2)
        if os.fstat(self._file).st_size < capacity * self._row_bytes:
            os.ftruncate(self._file, capacity * self._row_bytes)
        mapping = mmap.mmap(self._file, capacity * self._row_bytes, access=mmap.ACCESS_READ)
        self.matrix = np.frombuffer(mapping, dtype=np.int8).reshape(capacity, self._binding.dimensions)
        self._capacity = capacity

    def append(self, group: CommitGroup, rows: Int8Rows) -> None:
        """Append one group, with ``rows`` (n, d) for its added ids. Raises StoreFullError; nothing has changed then."""
        body = _records(group)
        count = self.row_count + len(rows)
        commit = np.array([(_COMMIT, len(body), count, group.generation, 0)], dtype=RECORD)
        checksum = self._checksum(body, rows, commit)
        commit["checksum"] = checksum
        try:
            with storing(STORE_NAME):
                self._reserve(count)
                write_fully(self._file, _bytes(rows), self.row_count * self._row_bytes)
                write_fully(self._log, body.tobytes() + commit.tobytes(), self._size)
        except BaseException:
            with suppress(OSError):
                os.ftruncate(self._log, self._size)
            raise
        self._seed, self.row_count, self.generation = checksum, count, group.generation
        self._size += (len(body) + 1) * RECORD.itemsize

    @property
    def record_count(self) -> int:
        """The number of records in the log, including the header."""
        return self._size // RECORD.itemsize

    def groups_after(self, record_count: int) -> list[CommitGroup]:
        """Return the groups appended since :attr:`record_count` had this value.

        Raises StoreDamagedError if they cannot be read.
        """
        with storing(STORE_NAME):
            content = os.pread(self._log, self._size - record_count * RECORD.itemsize, record_count * RECORD.itemsize)
        found = np.frombuffer(content, dtype=RECORD)
        ends = np.flatnonzero(found["kind"] == _COMMIT).tolist()
        starts = [0, *(end + 1 for end in ends)]
        return [
            _group(found[start:end], int(found["generation"][end])) for start, end in zip(starts, ends, strict=False)
        ]

    def sync(self) -> None:
        """Make all appended groups survive a power loss. Raises StoreFullError."""
        with storing(STORE_NAME):
            os.fsync(self._file)
            os.fsync(self._log)

    def close(self) -> None:
        """Close the files; may be repeated. Mappings in use stay valid."""
        for descriptor in (self._log, self._file):
            if descriptor >= 0:
                os.close(descriptor)
        self._log = self._file = -1

    def remove(self) -> None:
        """Close and delete the files."""
        self.close()
        self.log_path.unlink(missing_ok=True)
        self.rows_path.unlink(missing_ok=True)


def _bytes(array: NDArray[Any]) -> memoryview | bytes:
    return np.ascontiguousarray(array).view(np.uint8).data if array.size else b""


def _records(group: CommitGroup) -> Records:
    dead, removed, added = len(group.dead), len(group.removed), len(group.added)
    body = np.zeros(dead + removed + added, dtype=RECORD)
    body["kind"] = np.repeat(np.array([_DEAD, _REMOVE, _ADD], dtype=np.uint32), (dead, removed, added))
    if dead:
        body["count"][:dead] = group.dead[:, 0]
        body["value"][:dead] = group.dead[:, 1]
    body["value"][dead : dead + removed] = group.removed
    body["value"][dead + removed :] = group.added
    return body


def _group(body: Records, generation: int) -> CommitGroup:
    dead = body[body["kind"] == _DEAD]
    pairs = np.stack([dead["count"].astype(np.int64), dead["value"].astype(np.int64)], axis=1)
    removed = body["value"][body["kind"] == _REMOVE].astype(np.int64)
    added = body["value"][body["kind"] == _ADD].astype(np.int64)
    return CommitGroup(generation, pairs, removed, added)
