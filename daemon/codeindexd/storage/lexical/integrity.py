"""Checks a tantivy directory without opening it: which files a commit needs, and whether each has its checksum.

tantivy ends every file with a footer (JSON with the CRC-32 of what precedes it, its length, a magic number) and never
verifies the checksum, so a flipped bit would otherwise cause a panic or a wrong answer.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np

from codeindexd.errors import StoreDamagedError
from codeindexd.storage.durable import CLEAN_MARKER, LOCK, storing
from codeindexd.storage.lexical.schema import WHAT

META = "meta.json"
MANAGED = ".managed.json"
_OURS = frozenset({META, LOCK, CLEAN_MARKER, MANAGED, ".tantivy-meta.lock", ".tantivy-writer.lock"})
_COMPONENTS = ("term", "idx", "pos", "fast", "fieldnorm", "store")
_TAIL = struct.Struct("<II")
_MAGIC = 1337
_COLUMNS_END = struct.Struct("<I8s")
_COLUMNS = b"\2\0\0\0\2qwB"
_READ_ONCE = 1 << 20


def committed_files(directory: Path) -> list[str]:
    """Return the names of the files of the last commit in ``directory``.

    Raises StoreDamagedError, and StoreFullError or FailedError if it cannot be read now.
    """
    with storing(WHAT):
        content = (directory / META).read_bytes()
    try:
        meta = json.loads(content)
        return [META, *(name for segment in meta["segments"] for name in _segment_files(segment))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreDamagedError(f"the {WHAT} has no readable {META}: {error}") from error


def _segment_files(segment: dict[str, Any]) -> list[str]:
    stem = segment["segment_id"].replace("-", "")
    names = [f"{stem}.{component}" for component in _COMPONENTS]
    if segment["deletes"]:
        names.append(f"{stem}.{segment['deletes']['opstamp']}.del")
    return names


def remove_orphans(directory: Path) -> None:
    """Delete what a killed writer left: uncommitted segments, and files that it was about to rename.

    tantivy collects only the files in its own list, which a kill between two renames, or damage, leaves incomplete.
    Nobody may have the index open, but a merge of the previous owner may still be ending. Raises StoreDamagedError,
    StoreFullError.
    """
    with storing(WHAT):
        for path in superfluous_files(directory):
            path.unlink(missing_ok=True)


def superfluous_files(directory: Path) -> list[Path]:
    """Return the files that the last commit does not need: those of replaced and of unfinished segments.

    Raises StoreDamagedError, OSError.
    """
    keep = _OURS.union(committed_files(directory))
    return [path for path in directory.iterdir() if path.name not in keep]


def check_files(directory: Path, *, trusted: Container[str] = ()) -> None:
    """Compare each committed file that is not ``trusted`` with its checksum.

    Raises StoreDamagedError, and StoreFullError or FailedError if one cannot be read now.
    """
    names = committed_files(directory)
    for name in names:
        if name != META and name not in trusted:
            _check_file(directory / name)
    if META not in trusted:
        _check_numbers(directory)


def _check_numbers(directory: Path) -> None:
    """Compare what meta.json says of its segments with their files. Raises StoreDamagedError, StoreFullError."""
    try:
        with storing(WHAT):
            meta = json.loads((directory / META).read_bytes())
            for segment in meta["segments"]:
                stem = segment["segment_id"].replace("-", "")
                _expect(segment["max_doc"], _rows(directory / f"{stem}.fast") or segment["max_doc"])
                if deletes := segment["deletes"]:
                    size, deleted = _deleted(directory / f"{stem}.{deletes['opstamp']}.del")
                    _expect((size, deletes["num_deleted_docs"]), (segment["max_doc"], deleted))
                    # tantivy skips deletions older than what a segment has seen: documents would reappear
                    _expect(meta["opstamp"], max(meta["opstamp"], deletes["opstamp"]))
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise StoreDamagedError(f"the {WHAT} has no readable {META}: {error}") from error


def _expect(recorded: object, found: object) -> None:
    if recorded != found:
        raise StoreDamagedError(f"the {META} of the {WHAT} says {recorded} where its files say {found}")


def _rows(path: Path) -> int:
    """Return the number of documents at the end of a segment's columns; 0 if a later tantivy uses another layout."""
    rows, mark = _COLUMNS_END.unpack(_body(path)[-_COLUMNS_END.size :])
    return int(rows) if mark == _COLUMNS else 0


def _deleted(path: Path) -> tuple[int, int]:
    """Return the number of documents of a segment, and how many of them are not marked alive."""
    body = _body(path)
    alive = np.unpackbits(np.frombuffer(body[4:], dtype=np.uint8)).sum()
    size = int.from_bytes(body[:4], "little")
    return size, size - int(alive)


def _body(path: Path) -> bytes:
    content = path.read_bytes()
    length, _ = _TAIL.unpack(content[-_TAIL.size :])
    return content[: -_TAIL.size - length]


def _check_file(path: Path) -> None:
    """Compare a file with the checksum in its footer. Raises StoreDamagedError."""
    with storing(WHAT), path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL.size))
        tail = file.read()
        if len(tail) != _TAIL.size:
            raise StoreDamagedError(f"{path.name} of the {WHAT} is cut off")
        length, magic = _TAIL.unpack(tail)
        body = size - _TAIL.size - length
        if magic != _MAGIC or body < 0:
            raise StoreDamagedError(f"{path.name} of the {WHAT} has no footer")
        file.seek(body)
        footer = file.read(length)
        file.seek(0)
        found = 0
        while body > 0 and (piece := file.read(min(body, _READ_ONCE))):
            found = zlib.crc32(piece, found)
            body -= len(piece)
    try:
        expected = json.loads(footer)["crc"]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreDamagedError(f"{path.name} of the {WHAT} has an unreadable footer") from error
    if found != expected:
        raise StoreDamagedError(f"{path.name} of the {WHAT} does not match its checksum")
