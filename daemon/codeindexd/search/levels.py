"""Answers a question with files or directories: ranks them by their best chunks, and shows these."""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from codeindexd.search.hits import Hit
from codeindexd.search.searchable_root import SearchableRoot

_SHOWN: Final = 3  # hits of a group
_DECAY: Final = 0.5  # each further file of a directory counts half as much as the one before
_MOST_FILES: Final = 6  # of a directory that count


class Level(enum.Enum):
    """What an answer lists."""

    CHUNK = "chunk"
    FILE = "file"
    DIRECTORY = "directory"


_HITS_PER_GROUP: Final[Mapping[Level, int]] = {Level.CHUNK: 1, Level.FILE: 4, Level.DIRECTORY: 10}
_MOST_HITS: Final = 2000  # to find groups: ranking and confirming them takes about a second


class Group(Struct, frozen=True):
    """A file or a directory in an answer: its path in its root (b"" for the root itself), and its best hits.

    ``files`` is the number of files below it among the ranked hits.
    """

    root: SearchableRoot
    path: bytes
    score: float
    hits: Sequence[Hit]
    files: int = 1


def hits_for(level: Level, limit: int) -> int:
    """Return how many hits have to be ranked to find ``limit`` chunks, files or directories, about."""
    return max(limit, min(limit * _HITS_PER_GROUP[level], _MOST_HITS))


def grouped(hits: Sequence[Hit], level: Level, limit: int) -> list[Group]:
    """Return the best ``limit`` files or directories of ``hits``, which are in order, best first.

    A file is as good as its best hit: the ranking of chunks already counts what speaks for the whole file. A directory
    has the sum of what its own files have beyond the worst file, each further file counting half as much: one with
    several good files comes before one with a single better one.
    """
    by_file: defaultdict[tuple[int, bytes], list[Hit]] = defaultdict(list)
    for hit in hits:
        by_file[id(hit.root), hit.chunk.path].append(hit)
    files = [Group(of_file[0].root, path, of_file[0].score, of_file[:_SHOWN]) for (_, path), of_file in by_file.items()]
    if level is not Level.DIRECTORY or not files:
        return files[:limit]
    worst = min(group.score for group in files)
    by_directory: defaultdict[tuple[int, bytes], list[Group]] = defaultdict(list)
    for group in files:
        by_directory[id(group.root), group.path.rpartition(b"/")[0]].append(group)
    directories = []
    for (_, path), members in by_directory.items():
        score = sum((member.score - worst) * _DECAY**place for place, member in enumerate(members[:_MOST_FILES]))
        best = [member.hits[0] for member in members[:_SHOWN]]
        directories.append(Group(members[0].root, path, round(score, 9), best, len(members)))
    return sorted(directories, key=lambda group: (-group.score, group.path))[:limit]
