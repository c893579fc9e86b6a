"""Places in code that a text names: file names, paths with lines, the frames of a stack trace.

One pattern covers the frames of Python, JavaScript, Java, Go, Rust, gdb, AddressSanitizer, Ruby, PHP, C# and Elixir.
They all have a path with an extension, then a line after ``:``, ``(``, ``", line``, ``:line`` or ``#L``. Repetitions in
it are bounded, so that no text takes long.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from codeindexd.storage.snapshot import Snapshot
from codeindexd.types import StoredChunk, StoredFile

_MOST_PLACES: Final = 30
_MOST_FILES: Final = 10  # of one name
_MOST_CHARS: Final = 8_192  # from each end of a query
_PATH: Final = r"(?<![\w.@+~/\\$\[\]-])(?:[A-Za-z]:)?[\w.@+~/\\$\[\]-]{0,400}\.\w{1,12}"
_WITH_LINE: Final = re.compile(rf'({_PATH})(?:", line |:line |#L|[:(]|, line )(\d{{1,9}})(?:-L?(\d{{1,9}}))?')
_WHOLE_PATH: Final = re.compile(rf"{_PATH}|\.?[\w@+~.-]*(?:[/\\][\w@+~.\[\]()-]+)+|(?:Makefile|Dockerfile|\.[\w.-]+)")
_JAVA_FRAME: Final = re.compile(
    r"\bat (?:[\w.]{1,200}/)?([\w.$]{1,300})\.[\w$<>]{1,200}\.[\w$<>]{1,200}\((\w{1,200}\.\w+):(\d+)\)"
)
_INNERMOST_LAST: Final = "Traceback (most recent call last)"


@dataclass(frozen=True, slots=True)
class Place:
    """A path as it was written, with ``/`` between its parts, and lines from 1, both included; 0 for the whole file."""

    path: str
    first_line: int = 0
    last_line: int = 0


def places_in(text: str) -> list[Place]:
    """Return the places that a query names, the innermost frame of a stack trace first."""
    text = text[:_MOST_CHARS] + "\n" + text[_MOST_CHARS:][-_MOST_CHARS:]
    stripped = text.strip()
    if " " not in stripped and not _WITH_LINE.search(stripped):
        return [Place(_slashed(stripped))] if _WHOLE_PATH.fullmatch(stripped) else []
    places: dict[Place, None] = {}
    for match in _JAVA_FRAME.finditer(text):
        package, name, line = match.groups()
        places[Place("/".join([*package.split("."), name]), int(line), int(line))] = None
    java_names = {place.path.rpartition("/")[2] for place in places}
    for match in _WITH_LINE.finditer(text):
        path, first, last = _slashed(match[1]), int(match[2]), int(match[3] or match[2])
        if path not in java_names:
            places[Place(path, first, max(first, last))] = None
    found = list(places)
    if _INNERMOST_LAST in text:
        found.reverse()
    return found[:_MOST_PLACES]


def chunks_at(root: bytes, snapshot: Snapshot, places: list[Place]) -> list[int]:
    """Return the ids of the chunks at ``places``, in their order; a place outside ``root`` has none."""
    found: dict[int, None] = {}
    for place in places:
        for file in _files_named(root, snapshot, place.path):
            for chunk in _chunks_of(snapshot, file, place):
                found[chunk.chunk_id] = None
    return list(found)


def _slashed(path: str) -> str:
    return path.replace("\\", "/")


def _files_named(root: bytes, snapshot: Snapshot, path: str) -> list[StoredFile]:
    """Return the indexed files that a path means: the file itself, else those that share most of its end.

    A frame may come from another machine. Of a path with directories the last one has to agree, because ``main.py`` and
    ``index.js`` are everywhere.
    """
    wanted = path.removeprefix("./").encode("utf-8", "surrogateescape")
    if wanted.startswith(root + b"/"):
        file = snapshot.catalog.file(wanted[len(root) + 1 :])
        return [] if file is None else [file]
    parts = [part for part in wanted.split(b"/") if part not in (b"", b".", b"..")]
    if not parts:
        return []
    best: list[StoredFile] = []
    best_shared = min(len(parts), 2) - 1
    for file in snapshot.catalog.files_named(parts[-1]):
        shared = _shared_end(file.entry.path.split(b"/"), parts)
        if shared > best_shared:
            best, best_shared = [], shared
        if shared == best_shared:
            best.append(file)
    best = [file for file in best if best_shared >= min(len(parts), 2)]
    return sorted(best, key=lambda file: (file.entry.path.count(b"/"), file.entry.path))[:_MOST_FILES]


def _shared_end(one: list[bytes], other: list[bytes]) -> int:
    shared = 0
    for mine, theirs in zip(reversed(one), reversed(other), strict=False):
        if mine != theirs:
            break
        shared += 1
    return shared


def _chunks_of(snapshot: Snapshot, file: StoredFile, place: Place) -> Iterator[StoredChunk]:
    chunks = snapshot.catalog.chunks_of_file(file.file_id)
    if not place.first_line:
        yield from chunks[:1]
        return
    for chunk in chunks:
        if chunk.span.start_line <= place.last_line and chunk.span.end_line >= place.first_line:
            yield chunk
