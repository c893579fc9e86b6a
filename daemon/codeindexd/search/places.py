"""Finds the places in code that a text names: file names, paths with lines, the frames of a stack trace.

One pattern covers the frames of Python, JavaScript, Java, Go, Rust, gdb, AddressSanitizer, Ruby, PHP, C# and Elixir.
They all have a path with an extension, then a line after ``:``, ``(``, ``", line``, ``:line`` or ``#L``. A second one
also reads the package in a frame of Java, which names the directories, and a third one ``line 5 of a.py``. All
repetitions are bounded, so that no text takes long.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from codeindexd.storage.snapshot import Snapshot
from codeindexd.types import StoredChunk, StoredFile

_MOST_PLACES: Final = 30
_MOST_FILES: Final = 10  # of one name
_MOST_PATHS: Final = 100
_MOST_CHARS: Final = 8_192  # from each end of a query
_PATH: Final = r"(?<![\w.@+~/\\$\[\]-])(?:[A-Za-z]:)?[\w.@+~/\\$\[\]-]{0,400}\.\w{1,12}"
_WITH_LINE: Final = re.compile(
    rf'({_PATH})(?:"?,? (?:at |on )?[Ll]ines? |:line |#L|[:(|])(\d{{1,9}})(?:(?:-L?| to )(\d{{1,9}}))?'
)
_LINE_FIRST: Final = re.compile(rf"\b[Ll]ines? (\d{{1,9}})(?:(?:-| to )(\d{{1,9}}))? (?:of|in) ({_PATH})")
_WHOLE_PATH: Final = re.compile(rf"{_PATH}|\.?[\w@+~.-]*(?:[/\\][\w@+~.\[\]()-]+)+|(?:Makefile|Dockerfile|\.[\w.-]+)")
_JAVA_FRAME: Final = re.compile(
    r"\bat (?:[\w.]{1,200}/)?([\w.$]{1,300})\.[\w$<>]{1,200}\.[\w$<>]{1,200}\((\w{1,200}\.\w+):(\d+)\)"
)
_MODULE_VERSION: Final = re.compile(rb"@v?\d[\w.+-]*$")
_MAJOR_VERSION: Final = re.compile(rb"v\d{1,3}")
_INNERMOST_LAST: Final = "Traceback (most recent call last)"


class Place(Struct, frozen=True):
    """A path as it was written, with ``/`` between its parts, and lines from 1, both included; 0 for the whole file."""

    path: str
    first_line: int = 0
    last_line: int = 0


def places_in(text: str) -> list[Place]:
    """Return the places that a query names, at most 30, the innermost frame of a stack trace first.

    A path without a line counts only if it is the whole text.
    """
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
    for match in _LINE_FIRST.finditer(text):
        first, last, path = int(match[1]), int(match[2] or match[1]), _slashed(match[3])
        places[Place(path, first, max(first, last))] = None
    found = list(places)
    if _INNERMOST_LAST in text:
        found.reverse()
    return found[:_MOST_PLACES]


def chunks_at(root: bytes, snapshot: Snapshot, places: list[Place]) -> dict[int, int]:
    """Return the chunks at ``places``, in their order, as chunk id to the first line that the place names in it.

    ``root`` is the root's absolute path. Places that are not in an indexed file yield nothing.
    """
    found: dict[int, int] = {}
    for place, files in zip(places, _files_at(root, snapshot, [place.path for place in places]), strict=True):
        for file in files:
            for chunk in _chunks_of(snapshot, file, place):
                found.setdefault(chunk.chunk_id, max(place.first_line, chunk.span.start_line))
    return found


def files_named_in(root: bytes, snapshot: Snapshot, text: str) -> dict[int, float]:
    """Return the files that a text names, by file id: 1 if a path means only this file, 1/n if it may mean n files.

    Unlike ``places_in``, it also finds paths without a line in the middle of a text.
    """
    text = text[:_MOST_CHARS] + "\n" + text[_MOST_CHARS:][-_MOST_CHARS:]
    java = ["/".join([*package.split("."), name]) for package, name, _ in _JAVA_FRAME.findall(text)]
    paths = list(dict.fromkeys([*java, *map(_slashed, re.findall(_PATH, text))]))[:_MOST_PATHS]
    found: dict[int, float] = {}
    for files in _files_at(root, snapshot, paths):
        for file in files:
            found[file.file_id] = max(found.get(file.file_id, 0.0), 1 / len(files))
    return found


def _slashed(path: str) -> str:
    return path.replace("\\", "/")


def _files_at(root: bytes, snapshot: Snapshot, paths: Sequence[str]) -> list[list[StoredFile]]:
    """Return for each path the indexed files that it may mean: those whose paths share most of its end.

    A frame may come from another machine, so only the end of a path counts. If it has directories, the last one must
    agree, because ``main.py`` and ``index.js`` are everywhere; that above the top of the root is named like the root. A
    path inside the root means only that file.
    """
    wanted = [path.removeprefix("./").encode("utf-8", "surrogateescape") for path in paths]
    parts = [
        _without_versions([part for part in path.split(b"/") if part not in (b"", b".", b"..")]) for path in wanted
    ]
    by_name: defaultdict[bytes, list[StoredFile]] = defaultdict(list)
    for file in snapshot.catalog.files_named(list({names[-1] for names in parts if names})):
        by_name[file.entry.path.rpartition(b"/")[2]].append(file)
    return [
        _exactly(root, by_name, path) if path.startswith(root + b"/") else _sharing_the_end(root, by_name, names)
        for path, names in zip(wanted, parts, strict=True)
    ]


def _exactly(root: bytes, by_name: Mapping[bytes, list[StoredFile]], path: bytes) -> list[StoredFile]:
    relative = path[len(root) + 1 :]
    return [file for file in by_name.get(path.rpartition(b"/")[2], ()) if file.entry.path == relative]


def _without_versions(parts: Sequence[bytes]) -> list[bytes]:
    """Return the parts of a path without versions of modules: ``caddy/v2@v2.8.4/listen.go`` is ``caddy/listen.go``."""
    kept = []
    for part in parts[:-1]:
        plain = _MODULE_VERSION.sub(b"", part)
        if plain and (plain == part or not _MAJOR_VERSION.fullmatch(plain)):
            kept.append(plain)
    return [*kept, *parts[-1:]]


def _sharing_the_end(root: bytes, by_name: Mapping[bytes, list[StoredFile]], parts: list[bytes]) -> list[StoredFile]:
    if not parts:
        return []
    top = root.rpartition(b"/")[2]
    best: list[StoredFile] = []
    best_shared = min(len(parts), 2)
    for file in by_name.get(parts[-1], ()):
        shared = _shared_end([top, *_without_versions(file.entry.path.split(b"/"))], parts)
        if shared > best_shared:
            best, best_shared = [], shared
        if shared == best_shared:
            best.append(file)
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
