"""Computes the trigrams of a text: the distinct runs of three bytes in its lines, with ASCII letters in lower case.

A trigram is a number, ``first << 16 | second << 8 | third``. Trigrams that contain a line break are left out, because
patterns are matched line by line.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Trigrams = NDArray[np.uint32]
"""Sorted, distinct trigrams (n,)."""

_FOLD = np.arange(256, dtype=np.uint8)
_FOLD[ord("A") : ord("Z") + 1] += ord("a") - ord("A")
_LINE_BREAK = ord("\n")
_NONE: Trigrams = np.empty(0, np.uint32)
_PIECE_BYTES = 1 << 20  # of a large text: what is computed takes sixteen times as much memory
_ALL_TRIGRAMS = 1 << 24


def fold(text: bytes) -> bytes:
    """Return ``text`` with ASCII letters in lower case, as in its trigrams."""
    return text.translate(bytes(_FOLD))


def trigrams_of(text: bytes) -> Trigrams:
    """Return the trigrams of a UTF-8 text. Takes tens of MB of memory at most, also for a large text."""
    if len(text) <= _PIECE_BYTES:
        return _trigrams_of_piece(text)
    is_present = np.zeros(_ALL_TRIGRAMS, dtype=bool)
    whole = memoryview(text)
    for start in range(0, len(text) - 2, _PIECE_BYTES):
        is_present[_trigrams_of_piece(whole[start : start + _PIECE_BYTES + 2])] = True
    return np.flatnonzero(is_present).astype(np.uint32)


def _trigrams_of_piece(text: bytes | memoryview) -> Trigrams:
    if len(text) < 3:
        return _NONE
    letters = _FOLD[np.frombuffer(text, np.uint8)]
    wide = letters.astype(np.uint32)
    found = (wide[:-2] << 16) | (wide[1:-1] << 8) | wide[2:]
    breaks = letters == _LINE_BREAK
    if breaks.any():
        found = found[~(breaks[:-2] | breaks[1:-1] | breaks[2:])]
    found.sort()  # seven times as fast as np.unique, which hashes first
    is_first = np.ones(len(found), dtype=bool)
    np.not_equal(found[1:], found[:-1], out=is_first[1:])
    return found[is_first].astype(np.uint32, copy=False)
