"""Files that change all the time, a growing log for example: looked at less and less often until they rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from codeindexd.roots.hints import Hints
from codeindexd.scan.relpath import is_covered

_COST_S = 0.02  # of processing any file, ...
_COST_S_PER_BYTE = 1e-6  # ... and of each of its bytes: a worker cuts and embeds about 1 MB a second
_LARGE_COST_S = 0.25
_PATIENCE = 4  # looks at a changing file before the next one is put off; two if it costs much
_SHARE = 4  # the first pause is this many times as long as the work
_LONGEST_S = 300.0
_GAP_S = 1.5  # without an event for so long after a look, a file rests; longer if it costs much
_GAP_SHARE = 10
_REPORTED_S = 2.0  # a file that is looked at more often is not worth a word
_MOST_REMEMBERED = 1000


@dataclass(slots=True)
class _File:
    looked_at: float
    cost_s: float
    streak: int = 0  # looks in a row that found it changed
    is_put_off: bool = False

    @property
    def pause_s(self) -> float:
        """How long after a look the next one has to wait."""
        doublings = self.streak - 2 if self.cost_s >= _LARGE_COST_S else self.streak - _PATIENCE
        return min(_LONGEST_S, self.cost_s * _SHARE * 2.0 ** min(doublings, 30)) if doublings >= 0 else 0.0

    @property
    def gap_s(self) -> float:
        """How long it has to be without an event after a look to be at rest."""
        return max(_GAP_S, self.cost_s * _GAP_SHARE)


class BusyFiles:
    """Passes hints on to ``hints``, those at busy files later. ``clock`` is a monotonic clock in seconds.

    What is put off does not keep the root from being fresh; :meth:`look_now` is for whoever needs the truth.
    """

    def __init__(self, hints: Hints, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._hints = hints
        self._clock = clock
        self._files: dict[bytes, _File] = {}

    def add(self, paths: Iterable[bytes]) -> None:
        """Have ``paths``, of events, scanned once they have settled; those of busy files later."""
        if due := self._due(paths, self._clock()):
            self._hints.add(due)

    def add_later(self, paths: Iterable[bytes]) -> None:
        """Have ``paths``, which changed while they were read, scanned after a while."""
        if due := self._due(paths, self._clock()):
            self._hints.add_later(due)

    def check_later(self, paths: Iterable[bytes]) -> None:
        """Have ``paths``, whose stat is too young to trust, checked after a while."""
        if due := self._due(paths, self._clock()):
            self._hints.check_later(due)

    def _due(self, paths: Iterable[bytes], now: float) -> list[bytes]:
        """Return the paths that need not wait, and put off the others."""
        return [path for path in paths if not self._put_off(path, now)]

    def _put_off(self, path: bytes, now: float) -> bool:
        file = self._files.get(path)
        if file is None or file.is_put_off:
            return file is not None
        if now - file.looked_at > file.gap_s:  # it rested
            del self._files[path]
            return False
        wait_s = file.looked_at + file.pause_s - now
        if wait_s <= 0:
            return False
        file.is_put_off = True
        self._hints.check_later([path], wait_s)
        return True

    def look_now(self) -> None:
        """Have everything that was put off scanned at once."""
        if waiting := [path for path, file in self._files.items() if file.is_put_off]:
            self._hints.add(waiting)

    def scanned(self, below: Sequence[bytes], changed: Mapping[bytes, int]) -> None:
        """Note that everything under ``below`` was scanned, and which files had changed, with their sizes in bytes."""
        now = self._clock()
        for path, file in self._files.items():
            if file.is_put_off and is_covered(path, below):
                file.is_put_off = False
                file.looked_at = now
        for path, size in changed.items():
            cost_s = _COST_S + size * _COST_S_PER_BYTE
            file = self._files.setdefault(path, _File(now, cost_s))
            file.streak = file.streak + 1 if now - file.looked_at <= file.pause_s + file.gap_s else 1
            file.looked_at, file.cost_s = now, cost_s
        if len(self._files) > _MOST_REMEMBERED:
            self._files = {path: file for path, file in self._files.items() if self._matters(file, now)}

    def _matters(self, file: _File, now: float) -> bool:
        return file.is_put_off or now - file.looked_at <= file.pause_s + file.gap_s

    def busy(self) -> list[tuple[bytes, float]]:
        """Return the busy files and the seconds between two looks at each, sorted by path."""
        now = self._clock()
        return sorted(
            (path, file.pause_s)
            for path, file in self._files.items()
            if file.pause_s >= _REPORTED_S and self._matters(file, now)
        )
