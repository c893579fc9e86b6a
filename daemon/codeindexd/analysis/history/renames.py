"""Finds the former path of a renamed file by the rules of git."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from codeindexd.analysis.history.lines import lines_of

REGULAR_FILES = frozenset({b"100644", b"100755", b"100664"})
"""The modes of regular files in trees; the last one is in very old repositories only."""

LEAST_SCORE = 30_000
"""The least score of a renamed or copied file, as git's default: half of the larger file must be in both."""

_FULL_SCORE = 60_000  # of equal files
_LEAST_SCORE_OF_SAME_NAME = 45_000  # from here on, a file of the same name in another directory is preferred
_MOST_REMOVED = 2000  # files that a commit removed; with more of them, only identical files are found
_SPAN = 64  # bytes; lines are compared in pieces of this length
_BINARY_PREFIX = 8000  # bytes in which git looks for NUL


class RemovedFile(NamedTuple):
    """A file that a commit removed, or renamed."""

    path: bytes
    blob: bytes


def former_file(
    path: bytes, blob: bytes | None, data: bytes, removed: Sequence[RemovedFile], read: Callable[[bytes], bytes]
) -> RemovedFile | None:
    """Return the one of the ``removed`` files that became the new file ``path``, or None if none is similar enough.

    ``blob`` is the id of the new file's content ``data``, if it has one, and ``read`` returns the content of an id.
    """
    if identical := [file for file in removed if file.blob == blob]:
        return next((file for file in identical if file_name(file.path) == file_name(path)), identical[0])
    if not data or len(removed) > _MOST_REMOVED:
        return None
    spans = spans_of(data)
    of_same_name = [file for file in removed if file_name(file.path) == file_name(path)]
    if len(of_same_name) == 1:
        score = similarity(read(of_same_name[0].blob), data, spans, _LEAST_SCORE_OF_SAME_NAME)
        if score >= _LEAST_SCORE_OF_SAME_NAME:
            return of_same_name[0]
    best, best_rank = None, (LEAST_SCORE - 1, True)
    for file in removed:
        rank = (similarity(read(file.blob), data, spans, LEAST_SCORE), file_name(file.path) == file_name(path))
        if rank > best_rank:
            best, best_rank = file, rank
    return best


def similarity(old: bytes, new: bytes, spans_of_new: Counter[bytes], least: int) -> int:
    """Return the score of two files: the part of the larger one that is in both; 0 if it is surely below ``least``."""
    if not may_be_similar(len(old), len(new), least):
        return 0
    copied = sum(min(count, spans_of_new[span]) * len(span) for span, count in spans_of(old).items())
    return copied * _FULL_SCORE // max(len(old), len(new))


def may_be_similar(old_size: int, new_size: int, least: int) -> bool:
    """Return False if the sizes of two files, in bytes, show that their score is below ``least``."""
    larger = max(old_size, new_size)
    return abs(old_size - new_size) * _FULL_SCORE <= larger * (_FULL_SCORE - least)


def spans_of(data: bytes) -> Counter[bytes]:
    """Count the pieces of lines in a file, the unit of git's comparison."""
    if b"\0" not in data[:_BINARY_PREFIX]:
        data = data.replace(b"\r\n", b"\n")
    spans: Counter[bytes] = Counter()
    for line in lines_of(data):
        spans.update(line[start : start + _SPAN] for start in range(0, len(line), _SPAN))
    return spans


def file_name(path: bytes) -> bytes:
    """Return the last component of a path."""
    return path.rpartition(b"/")[2]
