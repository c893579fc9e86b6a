"""Decides the order of bulk work, the size of its commits, and the time between retries."""

from __future__ import annotations

from collections.abc import Container, Iterable

from msgspec import Struct

from codeindexd.types import Entry

_ENTRY_POINTS = frozenset(
    b"readme readme.md readme.rst readme.txt main.py __main__.py __init__.py app.py cli.py main.go main.rs lib.rs "
    b"mod.rs index.js index.ts main.js main.ts app.js app.ts main.c main.cpp main.java program.cs mix.exs".split()
)
_LATE_PARTS = frozenset(b"test tests testing fixtures testdata vendor third_party external generated dist".split())
_SMALL_BYTES = 64 * 1024


def in_bulk_order(entries: Iterable[Entry], edited: Container[bytes] = frozenset()) -> list[Entry]:
    """Return ``entries`` in the order in which bulk work processes them.

    Files that the user ``edited`` recently come first, then entry points, small sources, tests, and large files.
    """
    return sorted(entries, key=lambda entry: _bulk_rank(entry, edited))


def _bulk_rank(entry: Entry, edited: Container[bytes]) -> tuple[int, int, bytes]:
    """Return the key by which bulk work is sorted: the group of a file, the depth of an entry point, the path."""
    size = entry.stat.size if entry.stat else 0
    parts = entry.path.lower().split(b"/")
    if entry.path in edited:
        group = 0
    elif parts[-1] in _ENTRY_POINTS:
        group = 1
    elif size > _SMALL_BYTES:
        group = 4
    elif _LATE_PARTS.intersection(parts):
        group = 3
    else:
        group = 2
    return (group, len(parts) if group == 1 else 0, entry.path)


class CommitLimit(Struct, frozen=True):
    """The size at which bulk results are committed; one of the limits suffices.

    Every commit has a fixed cost (tantivy takes about 8 ms for one document, 0.6 s for 10,000), so bulk commits are
    large. The first commits are small, so that something can be searched early.
    """

    chunks: int
    files: int
    seconds: float

    def is_reached(self, chunks: int, files: int, age_s: float) -> bool:
        """Return True if so many chunks and files, the oldest ``age_s`` seconds old, should be committed now."""
        return chunks >= self.chunks or files >= self.files or age_s >= self.seconds


MOST_COMMITS_DOUBLED = 3


def commit_limit(bulk_commits: int) -> CommitLimit:
    """Return the limit after ``bulk_commits`` commits of a run; it doubles with each of the first commits."""
    factor = 1 << min(bulk_commits, MOST_COMMITS_DOUBLED)
    return CommitLimit(chunks=500 * factor, files=250 * factor, seconds=min(0.5 * factor, 4.0))


def retry_delay_ns(attempts: int, stage: str = "") -> int:
    """Return the time until the next try after a file's ``attempts``-th failure: 30 s, doubled each time, up to a day.

    Up to five minutes if the file could not be read (``stage`` "read"): a try costs nothing, and no event reports that
    it can be read again.
    """
    longest = 300 if stage == "read" else 86_400
    return int(min(30 * 2 ** min(attempts - 1, 20), longest) * 1e9)
