"""Finds files and definitions through history: those that commits about similar things changed.

These are values that a ranking of code can use: they say nothing about whether the text of a file fits a question.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from msgspec import Struct, field

from codeindexd.errors import CodeindexError
from codeindexd.search.history.log import CommitSearcher
from codeindexd.search.searchable_root import SearchableRoot
from codeindexd.storage.history import HistorySnapshot

Key = TypeVar("Key")
_COMMITS: Final = 40
_MOST_FILES: Final = 50  # of a commit: one that changes more says little about each of them
_HALF_LIFE_S: Final = 4 * 365.25 * 86400


class PastChanges(Struct):
    """What commits that resemble a question changed: scores from 0 to 1, by path below the root as it is now.

    ``definitions`` are by path and qualified name, as the commit had it. ``commits`` are the commits with their scores.
    """

    files: dict[bytes, float] = field(default_factory=dict)
    definitions: dict[tuple[bytes, str], float] = field(default_factory=dict)
    commits: list[tuple[int, float]] = field(default_factory=list)


def past_changes(
    snapshot: HistorySnapshot, searcher: CommitSearcher, text: str, *, now: Callable[[], float] = time.time
) -> PastChanges:
    """Return what the 40 commits that resemble ``text`` most changed. Blocking.

    Commits weigh by their similarity, newer ones more, large ones less; ages are relative to ``now()`` (seconds since
    the epoch). Renamed files have their present names. Only commits reachable from the root's HEAD count.
    """
    found = PastChanges(commits=searcher.similar(snapshot, text, _COMMITS, now=now))
    if not found.commits:
        return found
    numbers = [number for number, _ in found.commits]
    commits = snapshot.commits(numbers)
    names = snapshot.present_names({change.path for commit in commits.values() for change in commit.changes})
    prefix = snapshot.view.prefix
    places = snapshot.places()
    top = found.commits[0][1]
    for (number, score), when in zip(found.commits, snapshot.times(numbers).tolist(), strict=True):
        commit = commits.get(number)
        if commit is None or not 0 < len(commit.changes) <= _MOST_FILES or score <= 0:
            continue
        weight = (score / top) ** 2 * _decayed(now() - when) / len(commit.changes) ** 0.5
        for change in commit.changes:
            path = names.of(change.path, places[number])
            if not path.startswith(prefix):
                continue
            path = path[len(prefix) :]
            found.files[path] = found.files.get(path, 0.0) + weight
            for name in change.definitions:
                found.definitions[path, name] = found.definitions.get((path, name), 0.0) + weight
    _scale(found.files)
    _scale(found.definitions)
    return found


def past_files(searcher: CommitSearcher, root: SearchableRoot, text: str) -> dict[bytes, float]:
    """Return the files of :func:`past_changes` in a root; {} while its history is not complete. Blocking.

    Ages are relative to the newest commit, so that the same history and text have the same answer.
    """
    if root.history is None:
        return {}
    try:
        with root.history.snapshot() as snapshot:
            if not snapshot.view.is_complete or not len(snapshot.order):
                return {}
            newest = float(snapshot.times(snapshot.order[:1])[0])
            return past_changes(snapshot, searcher, text, now=lambda: newest).files
    except CodeindexError:  # there is no history, or it cannot be read now
        return {}


def _decayed(age_s: float) -> float:
    """Return the weight of a commit of this age: 1 for a new one, half of that after each half-life."""
    return float(2.0 ** -(max(0.0, age_s) / _HALF_LIFE_S))


def _scale(scores: dict[Key, float]) -> None:
    """Scale scores so that the best is 1."""
    top = max(scores.values(), default=0.0)
    for key in scores:
        scores[key] /= top or 1.0
