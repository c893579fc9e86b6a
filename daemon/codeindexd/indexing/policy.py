"""The order of work and the size of a slice: decisions as values, nothing is done here."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

from codeindexd.types import Entry

_ENTRY_POINTS = frozenset(
    b"readme readme.md readme.rst readme.txt main.py __main__.py __init__.py app.py cli.py main.go main.rs lib.rs "
    b"mod.rs index.js index.ts main.js main.ts app.js app.ts main.c main.cpp main.java program.cs mix.exs".split()
)
_LATE_PARTS = frozenset(b"test tests testing fixtures testdata vendor third_party external generated dist".split())
_SMALL_BYTES = 64 * 1024


def urgency(entry: Entry, hot: Container[bytes] = frozenset()) -> tuple[int, int, bytes]:
    """Sort key of a file in bulk work: what the user is at, entry points, small sources, tests, huge files.

    ``hot`` holds paths the user edited or was shown lately.
    """
    size = entry.stat.size if entry.stat else 0
    parts = entry.path.lower().split(b"/")
    if entry.path in hot:
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


def in_order(entries: Iterable[Entry], hot: Container[bytes] = frozenset()) -> list[Entry]:
    """``entries`` as bulk work takes them."""
    return sorted(entries, key=lambda entry: urgency(entry, hot))


@dataclass(frozen=True, slots=True)
class SliceLimit:
    """When gathered results become a catalog transaction.

    Commits cost a fixed part each (tantivy: about 8 ms for one document, 0.6 s for 10k), so bulk slices are large,
    and the first ones small, so that something can be searched early.
    """

    chunks: int
    files: int
    seconds: float

    def reached(self, chunks: int, files: int, age_s: float) -> bool:
        """Whether a slice of this many chunks and files, begun ``age_s`` seconds ago, is to be committed now."""
        return chunks >= self.chunks or files >= self.files or age_s >= self.seconds


def slice_limit(committed: int) -> SliceLimit:
    """The limit of the next bulk slice, ``committed`` slices into a run: doubling from a small first one."""
    factor = 1 << min(committed, 4)
    return SliceLimit(chunks=500 * factor, files=250 * factor, seconds=min(0.5 * factor, 4.0))


def retry_delay_ns(attempts: int, stage: str = "") -> int:
    """How long a failed file rests after its ``attempts``-th failure: 30 s, doubled each time, a day at most.

    One that could not even be read costs nothing to try and will be readable without a sign: five minutes at most.
    """
    longest = 300 if stage == "read" else 86_400
    return int(min(30 * 2 ** min(attempts - 1, 20), longest) * 1e9)
