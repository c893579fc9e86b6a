"""A segment: an immutable, memory-mapped file with the posting lists of up to some ten thousand documents.

Layout (little-endian, each part padded to a multiple of 8 bytes):

- a header of 32 bytes: magic, format, number of documents, number of trigrams, size of the lists in bytes;
- for each document its content hash (16 bytes), the xxh3_64 of its trigrams (8) and a flag for masked secrets (1);
- the distinct trigrams, ascending (4 bytes each);
- for each trigram the offset of the end of its list (8 bytes each);
- the lists (see ``postings``), not padded;
- the xxh3_64 of everything before it.
"""

from __future__ import annotations

import itertools
import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import xxhash
from msgspec import Struct
from numpy.typing import NDArray

from codeindexd.analysis.trigrams import Trigrams
from codeindexd.errors import StoreDamagedError
from codeindexd.storage.durable import storing, write_fully
from codeindexd.storage.sharing import create_file
from codeindexd.storage.text.postings import Numbers, bitmap_bytes, decode, decode_many, encode
from codeindexd.storage.text.query import All, And, Nothing, Or, Query, Trigram

STORE_NAME = "text index"
"""The name of this store in messages."""
HASH_BYTES = 16
_ENTRY_BYTES = HASH_BYTES + 8 + 1
_MAGIC = b"CITX"
_FORMAT = 1
_HEADER = struct.Struct("<4sIIIQ8x")
_CHECKSUM_BYTES = 8
_BYTES_AT_ONCE = 1 << 18  # of lists that a merge decodes together; as pairs they take about a hundred times as much
_SMALLEST_RANGE = 1 << 8  # of trigrams, which a merge does not divide
_ALL_TRIGRAMS = 1 << 24
_PAIRS_AT_ONCE = 1 << 17  # of trigrams and documents that are encoded together, which takes 50 bytes for each

Selection = NDArray[np.bool_]
"""A mask (documents,) of some documents of a segment."""


class Document(Struct, frozen=True):
    """A content to add: its hash, the sorted trigrams of its text, and whether secrets in it are masked."""

    content: bytes
    trigrams: Trigrams
    is_masked: bool = False

    @classmethod
    def from_bytes(cls, content: bytes, trigrams: bytes, *, is_masked: bool) -> Document:
        """Return a document whose trigrams are given as little-endian uint32."""
        return cls(content, np.frombuffer(trigrams, "<u4").astype(np.uint32, copy=False), is_masked)


def _padded(size: int) -> int:
    """Return ``size`` rounded up to a multiple of 8, so that the next part is aligned."""
    return -size % 8 + size


def digest_of(trigrams: Trigrams) -> int:
    """Return the xxh3_64 of a document's trigrams, by which an audit compares them."""
    return xxhash.xxh3_64_intdigest(trigrams.astype("<u4").tobytes())


class Segment:
    """An open segment with ``documents`` documents.

    By document number, ``digests`` are the hashes of their trigrams, and ``masked`` says whether secrets are masked.
    """

    def __init__(self, path: Path) -> None:
        """Map the file. Raises StoreDamagedError if it is not a segment, StoreFullError if it cannot be read now."""
        self.path = path
        with storing(STORE_NAME):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                self._map = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
            except ValueError as error:
                raise StoreDamagedError(f"{path} is empty") from error
            finally:
                os.close(descriptor)
        data = np.frombuffer(self._map, np.uint8)
        try:
            magic, version, documents, trigrams, size = _HEADER.unpack_from(self._map)
        except struct.error as error:
            raise StoreDamagedError(f"{path} is too short") from error
        self.documents: int = documents
        entry = _ENTRY_BYTES
        tables = _HEADER.size + _padded(self.documents * entry)
        lists = tables + _padded(trigrams * 4) + trigrams * 8
        if magic != _MAGIC or version != _FORMAT or lists + size + _CHECKSUM_BYTES != len(self._map):
            raise StoreDamagedError(f"{path} is not a segment of the {STORE_NAME}, or was truncated")
        entries = data[_HEADER.size : _HEADER.size + self.documents * entry].reshape(self.documents, entry)
        self._contents = entries[:, :HASH_BYTES]
        self.digests = np.ascontiguousarray(entries[:, HASH_BYTES:-1]).view("<u8").ravel()
        self.masked = entries[:, -1].astype(np.bool_)
        self._trigrams = data[tables : tables + trigrams * 4].view("<u4")
        self._ends = np.frombuffer(self._map, "<u8", trigrams, tables + _padded(trigrams * 4))
        self._lists = data[lists : lists + size]

    def content(self, number: int) -> bytes:
        """Return the content hash of the document ``number``."""
        return bytes(self._contents[number])

    def contents(self) -> list[bytes]:
        """Return the content hashes of all documents, by number."""
        joined = self._contents.tobytes()
        return [joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES)]

    @cached_property
    def masked_contents(self) -> frozenset[bytes]:
        """The content hashes of the documents in which secrets are masked."""
        return frozenset(map(self.content, np.flatnonzero(self.masked).tolist()))

    def verify(self) -> None:
        """Compare the file with its checksum. Raises StoreDamagedError."""
        stored = int.from_bytes(self._map[-_CHECKSUM_BYTES:], "little")
        if xxhash.xxh3_64_intdigest(memoryview(self._map)[:-_CHECKSUM_BYTES]) != stored:
            raise StoreDamagedError(f"{self.path} does not match its checksum")

    def select(self, query: Query) -> Selection:
        """Return a mask of the documents that match ``query``."""
        match query:
            case All():
                return np.ones(self.documents, np.bool_)
            case Nothing():
                return np.zeros(self.documents, np.bool_)
            case Trigram():
                (start,), (end,) = self._bounds([query])
                return self._listed(start, end)
            case Or():
                found = np.zeros(self.documents, np.bool_)
                for part in query.parts:
                    found |= self.select(part)
                return found
            case And():
                return self._select_all(query)

    def _select_all(self, query: And) -> Selection:
        """Return a mask of the documents that match ``query``; the parts that exclude the most are tested first."""
        trigrams, rest = _by_kind(query)
        starts, ends = self._bounds(trigrams)
        if (starts == ends).any():  # no document contains this trigram
            return np.zeros(self.documents, np.bool_)
        found = np.ones(self.documents, np.bool_)
        for number in np.argsort(ends - starts, kind="stable").tolist():
            found &= self._listed(starts[number], ends[number])
            if not found.any():
                return found
        for part in rest:
            found &= self.select(part)
        return found

    def rarest_first(self, query: And) -> And:
        """Return an equivalent query with its trigrams first, the rarest in this segment before the others."""
        trigrams, rest = _by_kind(query)
        starts, ends = self._bounds(trigrams)
        return And((*(trigrams[number] for number in np.argsort(ends - starts, kind="stable").tolist()), *rest))

    def _bounds(self, trigrams: Sequence[Trigram]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the start and the end of each trigram's list; both are 0 if no document contains the trigram."""
        wanted = np.array([trigram.value for trigram in trigrams], self._trigrams.dtype)
        if not len(self._trigrams) or not len(wanted):
            return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.int64)
        at = np.minimum(np.searchsorted(self._trigrams, wanted), len(self._trigrams) - 1)
        known = self._trigrams[at] == wanted
        ends = self._ends[at].astype(np.int64)
        starts = np.where(at > 0, self._ends[at - 1].astype(np.int64), 0)
        return np.where(known, starts, 0), np.where(known, ends, 0)

    def _listed(self, start: int, end: int) -> Selection:
        """Return a mask of the documents in the list between these bounds."""
        if end - start == bitmap_bytes(self.documents) and end > start:
            bits = np.unpackbits(self._lists[start:end], bitorder="little")[: self.documents]
            return bits.view(np.bool_)
        found = np.zeros(self.documents, np.bool_)
        if end > start:
            found[decode(self._lists[start:end], self.documents)] = True
        return found

    def bytes_below(self, trigrams: Numbers) -> NDArray[np.int64]:
        """Return for each of ``trigrams`` how many bytes the lists of smaller ones have."""
        return np.concatenate(([0], self._ends.astype(np.int64)))[np.searchsorted(self._trigrams, trigrams)]

    def pairs(self, low: int, high: int) -> tuple[Numbers, Numbers]:
        """Return the sorted pairs of trigram and document number with ``low <= trigram < high``, as two arrays (n,)."""
        first, last = np.searchsorted(self._trigrams, [low, high]).tolist()
        if first == last:
            return np.empty(0, np.uint32), np.empty(0, np.uint32)
        start = int(self._ends[first - 1]) if first else 0
        ends = self._ends[first:last].astype(np.int64)
        lengths = np.diff(np.concatenate(([start], ends)))
        counts, numbers = decode_many(self._lists[start : int(ends[-1])], lengths, self.documents)
        return np.repeat(self._trigrams[first:last], counts).astype(np.uint32), numbers


def _by_kind(query: And) -> tuple[list[Trigram], list[Query]]:
    """Return the parts of a query that are trigrams, and the others."""
    trigrams = [part for part in query.parts if isinstance(part, Trigram)]
    return trigrams, [part for part in query.parts if not isinstance(part, Trigram)]


def write_segment(path: Path, documents: Sequence[Document]) -> None:
    """Write and sync a new segment of ``documents``. Raises StoreFullError; a partial file may be left then."""
    sizes = [len(document.trigrams) for document in documents]
    trigrams = np.concatenate([document.trigrams for document in documents])
    numbers = np.repeat(np.arange(len(documents), dtype=np.uint32), sizes)
    order = np.argsort(trigrams, kind="stable")  # stable, so that numbers still ascend within a trigram
    trigrams, numbers = trigrams[order], numbers[order]
    del order
    encoded = [encode(trigrams[part], numbers[part], len(documents)) for part in _parts(trigrams)]
    digests = np.array([digest_of(document.trigrams) for document in documents], "<u8")
    masked = np.array([document.is_masked for document in documents], np.bool_)
    _write(path, [document.content for document in documents], digests, masked, encoded)


def _parts(trigrams: Numbers) -> Iterator[slice]:
    """Yield consecutive slices that cover all of ``trigrams`` (n,), which are sorted, with equal ones together."""
    aims = trigrams[_PAIRS_AT_ONCE::_PAIRS_AT_ONCE]
    edges = np.unique(np.searchsorted(trigrams, aims)).tolist()
    yield from itertools.starmap(slice, itertools.pairwise([0, *(edge for edge in edges if edge), len(trigrams)]))


def merge_segments(path: Path, segments: Sequence[Segment], kept: Sequence[Selection]) -> bool:
    """Write and sync a new segment of the ``kept`` documents of ``segments``; return False if there are none.

    Raises StoreFullError; a partial file may be left then.
    """
    contents: list[bytes] = []
    renumbered = []
    for segment, selection in zip(segments, kept, strict=True):
        numbers = np.full(segment.documents, -1, np.int64)
        numbers[selection] = np.arange(len(contents), len(contents) + int(selection.sum()))
        renumbered.append(numbers)
        contents += [content for content, keep in zip(segment.contents(), selection, strict=True) if keep]
    if not contents:
        return False
    digests = np.concatenate([segment.digests[selection] for segment, selection in zip(segments, kept, strict=True)])
    masked = np.concatenate([segment.masked[selection] for segment, selection in zip(segments, kept, strict=True)])
    encoded = [_merged(segments, renumbered, low, high, len(contents)) for low, high in _ranges(segments)]
    _write(path, contents, digests, masked, encoded)
    return True


def _ranges(segments: Sequence[Segment]) -> Iterator[tuple[int, int]]:
    """Yield consecutive ranges ``[low, high)`` that cover all trigrams, each with about ``_BYTES_AT_ONCE`` of lists.

    Equal ranges would not do: most trigrams of code are of letters, and few.
    """
    edges = np.arange(0, _ALL_TRIGRAMS, _SMALLEST_RANGE, dtype=np.uint32)
    before = np.zeros(len(edges), np.int64)
    for segment in segments:
        before += segment.bytes_below(edges)
    _, first = np.unique(before // _BYTES_AT_ONCE, return_index=True)
    yield from itertools.pairwise([*edges[first].tolist(), _ALL_TRIGRAMS])


def _merged(
    segments: Sequence[Segment], renumbered: Sequence[NDArray[np.int64]], low: int, high: int, documents: int
) -> tuple[Numbers, Numbers, NDArray[np.uint8]]:
    """Encode the lists of the trigrams from ``low`` up to ``high``; ``renumbered`` are new document numbers or -1."""
    trigrams, numbers = [], []
    for segment, mapping in zip(segments, renumbered, strict=True):
        own, old = segment.pairs(low, high)
        new = mapping[old]
        alive = new >= 0
        trigrams.append(own[alive])
        numbers.append(new[alive].astype(np.uint32))
    together = np.concatenate(trigrams)
    order = np.argsort(together, kind="stable")
    return encode(together[order], np.concatenate(numbers)[order], documents)


def _write(
    path: Path,
    contents: Sequence[bytes],
    digests: NDArray[np.uint64],
    masked: Selection,
    encoded: Sequence[tuple[Numbers, Numbers, NDArray[np.uint8]]],
) -> None:
    trigrams = np.concatenate([part[0] for part in encoded]).astype("<u4")
    ends = np.cumsum(np.concatenate([part[1] for part in encoded]), dtype="<u8")
    size = int(ends[-1]) if len(ends) else 0
    entries = np.empty((len(contents), _ENTRY_BYTES), np.uint8)
    entries[:, :HASH_BYTES] = np.frombuffer(b"".join(contents), np.uint8).reshape(-1, HASH_BYTES)
    entries[:, -1] = masked
    entries[:, HASH_BYTES:-1] = digests.astype("<u8").view(np.uint8).reshape(-1, 8)
    head = [
        _HEADER.pack(_MAGIC, _FORMAT, len(contents), len(trigrams), size),
        entries.tobytes().ljust(_padded(entries.size), b"\0"),
        trigrams.tobytes().ljust(_padded(trigrams.nbytes), b"\0"),
        ends.tobytes(),
    ]
    lists = (part[2].tobytes() for part in encoded)
    checksum = xxhash.xxh3_64()
    with storing(STORE_NAME):
        descriptor = create_file(path)
        try:
            at = 0
            for part in itertools.chain(head, lists):
                checksum.update(part)
                write_fully(descriptor, part, at)
                at += len(part)
            write_fully(descriptor, checksum.intdigest().to_bytes(_CHECKSUM_BYTES, "little"), at)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
