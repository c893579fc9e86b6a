"""Progress as text, and the line that ``add`` updates while it waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codeindexd.cli.terminal import Terminal, safe

if TYPE_CHECKING:
    from codeindexd.client.results import Progress, RootEntry


class ProgressLine:
    """The progress line of one root: files, chunks, rate and time left."""

    def __init__(self, terminal: Terminal, path: str) -> None:
        self._terminal = terminal
        self._path = safe(path)

    def show(self, progress: Progress) -> None:
        """Update the line."""
        self._terminal.line(f"{self._path}  {describe(progress)}")

    def close(self) -> None:
        """Remove the line."""
        self._terminal.clear_line()


def describe(progress: Progress) -> str:
    """Format progress: ``120/480 files  1,903 chunks  85 files/s  4 s left``."""
    done, total = progress.get("files_done", 0), progress.get("files_total", 0)
    parts = [f"{done:,}/{total:,} files", f"{progress.get('chunks_done', 0):,} chunks"]
    if rate := progress.get("files_per_s"):
        parts.append(f"{rate:,.0f} files/s")
    if (left := progress.get("eta_s")) is not None:
        parts.append(f"{duration(left)} left")
    return "  ".join(parts)


def count(number: int, noun: str) -> str:
    """Format a number with its noun: ``1 file``, ``1,903 files``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


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
    return f"{days} day" if days == 1 else f"{days} days"


def summary(root: RootEntry) -> str:
    """Return one line about a root: its state and size."""
    return f"{safe(root['path'])}: {root['state']}, {count(root['files'], 'file')}, {count(root['chunks'], 'chunk')}"
