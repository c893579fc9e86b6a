"""Finds the file that a new file was copied from, as ``git log --follow`` does."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from codeindexd.analysis.history.renames import (
    LEAST_SCORE,
    REGULAR_FILES,
    file_name,
    may_be_similar,
    similarity,
    spans_of,
)
from codeindexd.analysis.history.repository import DIRECTORY, GitRepository

_MOST_KEPT = 4  # of the most similar files


class CopiesNotFoundError(Exception):
    """There are too many files to compare in the given time."""


def copied_from(repository: GitRepository, commit_id: bytes, path: bytes, *, budget_s: float) -> bytes:
    """Return the path that a commit copied its new file ``path`` from; b"" if no file before it is similar enough.

    Of the four most similar ones, a file that the commit removed is preferred, then one of the same name.
    Raises MissingObjectError, and CopiesNotFoundError after ``budget_s``.
    """
    end = time.monotonic() + budget_s
    commit = repository.commit(commit_id)
    new = repository.entry_at(commit_id, path)
    if len(commit.parents) != 1 or new is None or new[0] not in REGULAR_FILES:
        return b""
    now = dict(_files(repository, commit.tree, end))
    before = list(_files(repository, repository.root_tree(commit.parents[0]), end))
    name = file_name(path)
    identical = [old for old, blob in before if blob == new[1]]
    if identical:
        return min(identical, key=lambda old: (old in now) + (file_name(old) != name))
    data = repository.blob(new[1])
    if not data:
        return b""
    spans = spans_of(data)
    kept: list[tuple[int, bool, bytes]] = []  # as git does it, so that equally similar files rank as there
    for old, blob in before:
        _check(end)
        found = _similarity(repository, blob, data, spans), file_name(old) == name, old
        worst = min(range(len(kept)), key=lambda number: kept[number][:2]) if len(kept) == _MOST_KEPT else -1
        if worst < 0:
            kept.append(found)
        elif found[:2] > kept[worst][:2]:
            kept[worst] = found
    similar = sorted((one for one in kept if one[0] >= LEAST_SCORE), key=lambda one: (-one[0], -one[1]))
    return next((old for *_, old in similar if old not in now), similar[0][2] if similar else b"")


def _similarity(repository: GitRepository, blob: bytes, data: bytes, spans: Counter[bytes]) -> int:
    """Return the score of an old file; it is only read if its size allows that it is similar."""
    if not may_be_similar(repository.size_of(blob), len(data), LEAST_SCORE):
        return 0
    return similarity(repository.read(blob)[1], data, spans, LEAST_SCORE)


def _files(repository: GitRepository, tree: bytes, end: float, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
    """Yield the path and the blob of each regular file below a tree, in the order of their paths."""
    _check(end)
    for mode, name, found in sorted(repository.tree(tree), key=lambda one: one[1] + b"/" * (one[0] == DIRECTORY)):
        if mode == DIRECTORY:
            yield from _files(repository, found, end, prefix + name + b"/")
        elif mode in REGULAR_FILES:
            yield prefix + name, found


def _check(end: float) -> None:
    if time.monotonic() > end:
        raise CopiesNotFoundError
