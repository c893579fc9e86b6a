"""Formats progress, and shows it in a line that a command updates while it waits."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from codeindexd.cli.columns import cut, cut_start, width_of
from codeindexd.cli.terminal import Terminal, safe, safe_line
from codeindexd.quantities import quantity

if TYPE_CHECKING:
    from codeindexd.client.results import HistoryEntry, NestedHistoryEntry, Progress, RootEntry

_SHORTEST_PATH = 8
_HINDERED = frozenset({"degraded", "missing", "paused"})
_HINDERED_S = 3.0  # shorter problems end by themselves


class ProgressLine:
    """The progress line of a command, fitted to the present width of the terminal.

    It is shown from ``show_after_s`` seconds after its creation. ``path`` stands for the root until the progress names
    one. If the root cannot be indexed for some seconds, a note says so, also where the line is not shown.
    """

    def __init__(
        self,
        terminal: Terminal,
        path: str,
        *,
        is_shown: bool = True,
        show_after_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._terminal = terminal
        self._path = path
        self.is_shown = is_shown
        self._clock = clock
        self._started = clock()
        self._show_after_s = show_after_s
        self._hindered_since: float | None = None
        self._is_noted = False

    @property
    def seconds(self) -> float:
        """The seconds since the line was created."""
        return self._clock() - self._started

    def show(self, progress: Progress) -> None:
        """Show ``progress`` in the line."""
        path = safe_line(progress.get("root", self._path))
        self._note_hindrance(path, progress.get("state", ""))
        if self.is_shown and self.seconds >= self._show_after_s:
            self._terminal.line(fitted(path, progress, self._terminal.width - 1))

    def _note_hindrance(self, path: str, state: str) -> None:
        """Print a note, once, if indexing has been hindered for some seconds: perhaps only the user can help."""
        if state not in _HINDERED:
            self._hindered_since = None
            return
        if self._hindered_since is None:
            self._hindered_since = self._clock()
        if not self._is_noted and self._clock() - self._hindered_since >= _HINDERED_S:
            self._is_noted = True
            self._terminal.note(
                f"note: still waiting: {path} is {state}; for the cause and the remedy: codeindex status"
            )

    def close(self) -> None:
        """Remove the line."""
        self._terminal.clear_line()


@contextlib.contextmanager
def interruptible(terminal: Terminal, line: ProgressLine, text: str) -> Iterator[None]:
    """Remove the line at the end of the block; if the user interrupts the block, also print ``text``."""
    try:
        yield
    except KeyboardInterrupt:
        line.close()
        terminal.note(text)
        raise
    finally:
        line.close()


def fitted(path: str, progress: Progress, width: int) -> str:
    """Return the progress of the root ``path`` in at most ``width`` columns.

    If the width does not suffice for all, the most important parts are kept: the files, then the time left, the end of
    the path, the chunks, the rate.
    """
    files, chunks, rate, left = _parts(progress)
    kept = [files if width_of(files) <= width else _percent(progress)]
    room = width - width_of(kept[0])
    if left and width_of(left) + 2 <= room:
        kept.append(left)
        room -= width_of(left) + 2
    more = width_of(chunks) + width_of(rate) + (4 if rate else 2)
    if min(width_of(path), 2 * _SHORTEST_PATH) + 2 + more <= room:
        kept[1:1] = [chunks, rate] if rate else [chunks]
        room -= more
    if room >= _SHORTEST_PATH + 2:
        kept.insert(0, cut_start(path, room - 2))
    return cut("  ".join(kept), width)


def describe(progress: Progress) -> str:
    """Format progress: ``120/480 files  1,903 chunks  85 files/s  4 s left``."""
    return "  ".join(part for part in _parts(progress) if part)


def _parts(progress: Progress) -> tuple[str, str, str, str]:
    """Return files, chunks, rate and time left; the last two may be empty."""
    done, total = progress.get("files_done", 0), progress.get("files_total", 0)
    if progress.get("activity") == "verify":
        files = f"{done:,}/{total:,} files verified" if total else "comparing the directory tree"
    elif total:
        files = f"{done:,}/{total:,}{'+' if progress.get('scanning') else ''} files"
    else:
        files = "looking for changes" if "activity" in progress else "0/0 files"
    rate = f"{per_s:,.0f} files/s" if (per_s := progress.get("files_per_s")) else ""
    left = "" if (eta_s := progress.get("eta_s")) is None else f"{duration(eta_s)} left"
    return files, quantity(progress.get("chunks_done", 0), "chunk"), rate, left


def _percent(progress: Progress) -> str:
    total = progress.get("files_total", 0)
    is_known = total and not progress.get("scanning")
    return f"{progress.get('files_done', 0) * 100 // total} %" if is_known else "..."


def duration(seconds: float) -> str:
    """Format a duration: ``42 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 days``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    days = whole // 86_400
    return quantity(days, "day")


def summary(root: RootEntry, *, seconds: float = 0.0, skipped: Mapping[str, int] | None = None) -> str:
    """Return a line about a root: its state and size, the duration, and what is left out, by reason."""
    size = f"{quantity(root['files'], 'file')}, {quantity(root['chunks'], 'chunk')}"
    text = f"{safe_line(root['path'])}: {root['state']}, {size}{took(seconds)}"
    return f"{text} (left out: {left_out(skipped)})" if skipped else text


def history_summary(history: HistoryEntry | None, nested: Sequence[NestedHistoryEntry] = ()) -> str:
    """Return a line about the histories of a root that was just indexed, or of repositories in it; "" for none."""
    inside = quantity(len(nested), "repository inside", "repositories inside")
    if history is not None and history["state"] in ("indexing", "complete"):
        own = _own_history(history)
        return f"{own}; {inside}" if nested else own
    return f"history: of {inside}, in the background: codeindex status" if nested else ""


def _own_history(history: HistoryEntry) -> str:
    if history["state"] == "complete":
        return f"history: {quantity(history['commits'], 'commit')}"
    if not history["total"]:
        return "history: not read yet; it follows in the background: codeindex status"
    known = f"{history['commits']:,} of {quantity(history['total'], 'commit')}"
    return f"history: {known} so far; the others follow in the background: codeindex status"


def took(seconds: float) -> str:
    """Return a duration as ``, 12 s``, "" if it is below a second."""
    return f", {duration(seconds)}" if seconds >= 1 else ""


def left_out(skipped: Mapping[str, int]) -> str:
    """Format the numbers of entries that are left out, largest first: ``1,003 empty, 215 binary``."""
    ordered = sorted(skipped.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{number:,} {safe(reason)}" for reason, number in ordered)
