"""Delays the scans of files that change all the time, such as a growing log, more and more until they rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from codeindexd.roots.hints import Hints
from codeindexd.scan.relpath import is_covered

_COST_S = 0.02  # of processing any file, ...
_COST_S_PER_BYTE = 1e-6  # ... plus that of each byte: a worker chunks and embeds about 1 MB a second
_LARGE_COST_S = 0.25
_FREE_SCANS = 4  # scans of a changing file before the next one is delayed; two if it is costly to process
_SHARE = 4  # the first pause is this many times as long as the work
_LONGEST_S = 300.0
_GAP_S = 1.5  # a file rests if no event arrives for this long after a scan; longer if it is costly to process
_GAP_SHARE = 10
_REPORTED_S = 2.0  # files with shorter pauses are not reported
_MOST_REMEMBERED = 1000


class _File(Struct):
    scanned_at: float  # time of the clock
    cost_s: float  # estimated time to process it
    streak: int = 0  # successive scans that found it changed
    is_delayed: bool = False

    @property
    def pause_s(self) -> float:
        """Seconds from one scan to the earliest next one."""
        doublings = self.streak - 2 if self.cost_s >= _LARGE_COST_S else self.streak - _FREE_SCANS
        return min(_LONGEST_S, self.cost_s * _SHARE * 2.0 ** min(doublings, 30)) if doublings >= 0 else 0.0

    @property
    def gap_s(self) -> float:
        """Seconds without an event after a scan until the file counts as resting."""
        return max(_GAP_S, self.cost_s * _GAP_SHARE)


class BusyFiles:
    """Passes hints on to ``hints``, those for busy files after a delay. ``clock`` is monotonic, in seconds.

    A root counts as fresh while scans are delayed; ``sync`` therefore calls :meth:`scan_delayed` first.
    """

    def __init__(self, hints: Hints, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._hints = hints
        self._clock = clock
        self._files: dict[bytes, _File] = {}

    def add(self, paths: Iterable[bytes]) -> None:
        """Schedule scans of ``paths``, which events named: of busy files later, of others once they have settled."""
        if due := self._delay_busy(paths, self._clock()):
            self._hints.add(due)

    def add_later(self, paths: Iterable[bytes]) -> None:
        """Schedule another scan of ``paths``, which changed while they were read."""
        if due := self._delay_busy(paths, self._clock()):
            self._hints.add_later(due)

    def check_later(self, paths: Iterable[bytes]) -> None:
        """Schedule a check of ``paths``, which were modified too recently to trust their stat."""
        if due := self._delay_busy(paths, self._clock()):
            self._hints.check_later(due)

    def _delay_busy(self, paths: Iterable[bytes], now: float) -> list[bytes]:
        """Delay the scans of busy files, and return the other paths."""
        return [path for path in paths if not self._delay_if_busy(path, now)]

    def _delay_if_busy(self, path: bytes, now: float) -> bool:
        """Delay the scan of ``path`` if it is busy; return True if it is delayed, now or already."""
        file = self._files.get(path)
        if file is None or file.is_delayed:
            return file is not None
        if now - file.scanned_at > file.gap_s:  # it rested
            del self._files[path]
            return False
        wait_s = file.scanned_at + file.pause_s - now
        if wait_s <= 0:
            return False
        file.is_delayed = True
        self._hints.check_later([path], wait_s)
        return True

    def scan_delayed(self) -> None:
        """Schedule the delayed scans of all files for now."""
        if waiting := [path for path, file in self._files.items() if file.is_delayed]:
            self._hints.add(waiting)

    def record_scan(self, below: Sequence[bytes], changed: Mapping[bytes, int]) -> None:
        """Record a scan of the paths ``below``; ``changed`` maps the files found changed to their sizes in bytes."""
        now = self._clock()
        for path, file in self._files.items():
            if file.is_delayed and is_covered(path, below):
                file.is_delayed = False
                file.scanned_at = now
        for path, size in changed.items():
            cost_s = _COST_S + size * _COST_S_PER_BYTE
            file = self._files.setdefault(path, _File(now, cost_s))
            file.streak = file.streak + 1 if now - file.scanned_at <= file.pause_s + file.gap_s else 1
            file.scanned_at, file.cost_s = now, cost_s
        if len(self._files) > _MOST_REMEMBERED:
            self._files = {path: file for path, file in self._files.items() if self._is_active(file, now)}

    def _is_active(self, file: _File, now: float) -> bool:
        return file.is_delayed or now - file.scanned_at <= file.pause_s + file.gap_s

    def busy(self) -> list[tuple[bytes, float]]:
        """Return the busy files, each with the seconds between its scans, sorted by path."""
        now = self._clock()
        return sorted(
            (path, file.pause_s)
            for path, file in self._files.items()
            if file.pause_s >= _REPORTED_S and self._is_active(file, now)
        )
