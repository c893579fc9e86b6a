"""Computes a filter of the runs of six bytes in the lines of a text, which tells that the text surely lacks a literal.

A large generated text has nearly all trigrams, so that these say little about it; of the runs of six bytes, few. The
filter is a Bloom filter (Burton Bloom, 1970) with one hash function, halved while at most a quarter of its bits is set.
ASCII letters count in lower case, as in trigrams. A change of what is computed here needs a new ``TEXT_VERSION``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from codeindexd.analysis.trigrams import fold

RUN_BYTES: Final = 6
_MOST_BITS: Final = 1 << 21
_FEWEST_BITS: Final = 1 << 10
_MOST_SET: Final = 4  # one bit in so many
_PIECE_BYTES: Final = 1 << 20  # of a text: what is computed takes thirty times as much memory
_FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio: Fibonacci hashing (Knuth)
_LINE_BREAK: Final = ord("\n")
_BITS_OF_HASH: Final = 64


def long_runs_of(text: bytes) -> bytes:
    """Return the filter of a UTF-8 text: 128 bytes to 256 KiB."""
    is_set = np.zeros(_MOST_BITS, dtype=bool)
    for start in range(0, max(1, len(text)), _PIECE_BYTES):
        is_set[_places(text[start : start + _PIECE_BYTES + RUN_BYTES - 1], _MOST_BITS)] = True
    while len(is_set) > _FEWEST_BITS and int(np.count_nonzero(is_set)) * _MOST_SET <= len(is_set) // 2:
        is_set = is_set[::2] | is_set[1::2]  # the place in half as many bits is the place without its last bit
    return np.packbits(is_set, bitorder="little").tobytes()


def may_contain(long_runs: bytes, literal: bytes) -> bool:
    """Return False if a line of the text with this filter surely lacks ``literal``, whatever the case of its letters.

    Says nothing about literals shorter than a run, nor without a filter (b"").
    """
    if not long_runs:
        return True
    places = _places(literal, len(long_runs) * 8)
    return bool(np.all(np.frombuffer(long_runs, np.uint8)[places >> 3] >> (places & 7).astype(np.uint8) & 1))


def _places(text: bytes, bits: int) -> NDArray[np.int64]:
    """Return the places of the runs of ``text`` in a filter of so many ``bits``, a power of two."""
    letters = np.frombuffer(fold(text), np.uint8)
    count = len(letters) - RUN_BYTES + 1
    if count <= 0:
        return np.empty(0, np.int64)
    runs = np.zeros(count, np.uint64)
    crosses_lines = np.zeros(count, dtype=bool)
    breaks = letters == _LINE_BREAK
    for offset in range(RUN_BYTES):
        runs = runs << np.uint64(8) | letters[offset : offset + count]
        crosses_lines |= breaks[offset : offset + count]
    hashes = runs[~crosses_lines] * _FACTOR
    return (hashes >> np.uint64(_BITS_OF_HASH - bits.bit_length() + 1)).astype(np.int64)
