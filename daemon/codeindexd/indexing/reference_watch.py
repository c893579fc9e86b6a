"""Notices that the references of a repository may have changed, by the stats of their files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from codeindexd.scan.safe_read import file_stat
from codeindexd.types import FileStat
from codeindexd.watch import rounds

_Stats = tuple[tuple[str, FileStat | None], ...]


class ReferenceWatch:
    """The files that tell whether a history has changed, with their stats when it was read. A member of the rounds.

    A changed file is reported once: ``on_change()`` is called in the thread of the rounds, and nothing is watched until
    :meth:`watch` is called again.
    """

    def __init__(self, on_change: Callable[[], object]) -> None:
        self._on_change = on_change
        self._watched: _Stats = ()
        self._objects: _Stats = ()

    @property
    def is_idle(self) -> bool:
        """True if nothing is watched: nothing was ever read, or a change was reported."""
        return not self._watched

    def watch(self, references: Sequence[Path], objects: Sequence[Path] = ()) -> None:
        """Watch the files of references from now on. Blocking. Call it before they are read, so that no change is lost.

        The places of ``objects`` are watched after :meth:`watch_objects`.
        """
        self._watched = _stats(references)
        self._objects = _stats(objects)

    def watch_objects(self) -> None:
        """Also watch the places of objects, as they were when :meth:`watch` was called: what is lacking may arrive."""
        if self._watched:
            self._watched += self._objects

    def stop(self) -> None:
        """Watch nothing."""
        self._watched = ()

    def seems_changed(self) -> bool:
        """Return True if the files have changed or nothing is watched. Blocking."""
        watched = self._watched
        return not watched or any(_stat(path) != stat for path, stat in watched)

    def check(self, this_round: rounds.Round) -> None:
        """Report a changed file; in the thread of the rounds."""
        watched = self._watched
        if watched and any(this_round.stat(path, follow=True) != stat for path, stat in watched):
            self._watched = ()
            self._on_change()

    def report_jump(self, reason: str) -> None:
        """Do nothing: a reference cannot change without a new stat."""


def _stats(places: Sequence[Path]) -> _Stats:
    return tuple((str(place), _stat(str(place))) for place in places)


def _stat(path: str) -> FileStat | None:
    """Return a stat as ``rounds.Round.stat`` does."""
    try:
        return file_stat(os.stat(path))  # noqa: PTH116 - as the rounds do
    except (OSError, ValueError):
        return None
