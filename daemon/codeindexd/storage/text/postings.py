"""Posting lists: for each trigram, the ascending numbers of the documents that contain it, encoded as bytes.

A list is a sequence of gaps (each number minus its predecessor, minus one) as little-endian base-128 varints or, unless
that is shorter, a bitmap of exactly ``ceil(documents / 8)`` bytes. The length tells which.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.uint32]
_BITMAPS_AT_ONCE = 256


def bitmap_bytes(documents: int) -> int:
    """Return the size in bytes of a bitmap with one bit for each of ``documents`` documents."""
    return (documents + 7) // 8


def encode(trigrams: Numbers, numbers: Numbers, documents: int) -> tuple[Numbers, Numbers, NDArray[np.uint8]]:
    """Encode ``trigrams`` (n,) and ``numbers`` (n,), pairs that are sorted by (trigram, document number).

    Returns the distinct trigrams (m,), the length of each list in bytes (m,), and the bytes of all lists, concatenated.
    """
    if not len(trigrams):
        return trigrams, numbers, np.empty(0, np.uint8)
    starts = np.flatnonzero(np.concatenate(([True], trigrams[1:] != trigrams[:-1])))
    counts = np.diff(np.append(starts, len(trigrams)))
    gaps = numbers.astype(np.int64)
    gaps[1:] -= numbers[:-1].astype(np.int64) + 1
    gaps[starts] = numbers[starts]
    sizes = 1 + (gaps >= 1 << 7).astype(np.int64) + (gaps >= 1 << 14) + (gaps >= 1 << 21)
    lengths = np.add.reduceat(sizes, starts)
    bitmap = bitmap_bytes(documents)
    dense = lengths >= bitmap
    lengths[dense] = bitmap
    list_starts = np.concatenate(([0], np.cumsum(lengths)))
    out = np.zeros(int(list_starts[-1]), np.uint8)
    sparse = np.repeat(~dense, counts)
    _write_varints(out, gaps[sparse], sizes[sparse], list_starts[:-1][~dense], counts[~dense])
    _write_bitmaps(out, numbers, starts, counts, list_starts, np.flatnonzero(dense), bitmap)
    return trigrams[starts], lengths.astype(np.uint32), out


def _write_varints(
    out: NDArray[np.uint8],
    gaps: NDArray[np.int64],
    sizes: NDArray[np.int64],
    starts: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> None:
    if not len(gaps):
        return
    before = np.cumsum(sizes) - sizes  # bytes of all varints before this one
    firsts = np.cumsum(counts) - counts
    offsets = before - np.repeat(before[firsts] - starts, counts)
    left = gaps
    for byte in range(int(sizes.max())):
        here = sizes > byte
        more = (sizes > byte + 1)[here]
        out[offsets[here] + byte] = ((left[here] >> (7 * byte)) & 0x7F) | np.where(more, 0x80, 0)


def _write_bitmaps(
    out: NDArray[np.uint8],
    numbers: Numbers,
    starts: NDArray[np.int64],
    counts: NDArray[np.int64],
    list_starts: NDArray[np.int64],
    dense: NDArray[np.int64],
    bitmap: int,
) -> None:
    for first in range(0, len(dense), _BITMAPS_AT_ONCE):
        chosen = dense[first : first + _BITMAPS_AT_ONCE]
        bits = np.zeros((len(chosen), bitmap * 8), np.uint8)
        for row, one in enumerate(chosen.tolist()):
            bits[row, numbers[starts[one] : starts[one] + counts[one]]] = 1
        packed = np.packbits(bits, axis=1, bitorder="little")
        for row, one in enumerate(chosen.tolist()):
            out[list_starts[one] : list_starts[one] + bitmap] = packed[row]


def decode(data: NDArray[np.uint8], documents: int) -> Numbers:
    """Return the document numbers (n,) in the bytes of one list."""
    if len(data) == bitmap_bytes(documents):
        return np.flatnonzero(np.unpackbits(data, bitorder="little")[:documents]).astype(np.uint32)
    return decode_many(data, np.array([len(data)]), documents)[1]


def decode_many(
    data: NDArray[np.uint8], lengths: NDArray[np.int64], documents: int
) -> tuple[NDArray[np.int64], Numbers]:
    """Decode concatenated lists with these ``lengths`` in bytes (m,).

    Returns the count of numbers in each list (m,), and the numbers of all lists, concatenated.
    """
    bitmap = bitmap_bytes(documents)
    dense = lengths == bitmap
    list_starts = np.cumsum(lengths) - lengths
    in_sparse = np.repeat(~dense, lengths)
    gap_bytes = data[in_sparse]
    ends = np.flatnonzero(gap_bytes < 0x80)
    begins = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
    gaps = np.zeros(len(ends), np.int64)
    sizes = ends - begins + 1
    for byte in range(int(sizes.max()) if len(sizes) else 0):
        here = sizes > byte
        gaps[here] |= (gap_bytes[begins[here] + byte].astype(np.int64) & 0x7F) << (7 * byte)
    sparse_lengths = lengths[~dense]
    byte_starts = np.cumsum(sparse_lengths) - sparse_lengths
    firsts = np.searchsorted(begins, byte_starts)
    sparse_counts = np.diff(np.append(firsts, len(ends)))
    running = np.cumsum(gaps + 1)
    before = np.concatenate(([0], running))[firsts]
    sparse_numbers = running - np.repeat(before, sparse_counts) - 1
    if not dense.any():
        return sparse_counts, sparse_numbers.astype(np.uint32)
    counts = np.zeros(len(lengths), np.int64)
    counts[~dense] = sparse_counts
    found = []
    for one in np.flatnonzero(dense).tolist():
        bits = np.unpackbits(data[list_starts[one] : list_starts[one] + bitmap], bitorder="little")[:documents]
        found.append(np.flatnonzero(bits))
        counts[one] = len(found[-1])
    numbers = np.empty(int(counts.sum()), np.uint32)
    from_sparse = np.repeat(~dense, counts)
    numbers[from_sparse] = sparse_numbers
    numbers[~from_sparse] = np.concatenate(found)
    return counts, numbers
