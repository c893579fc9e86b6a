"""Finds the files of a work tree that differ from git's index, without running git."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from codeindexd.scan.git_excludes import GitConfigLocations, GitWorkTree, object_id_bytes
from codeindexd.scan.git_index import IndexedContent, IndexFormatError, read_contents
from codeindexd.scan.rule_files import read_bounded
from codeindexd.scan.safe_read import read_beneath
from codeindexd.types import Entry

_MOST_INDEX_BYTES: Final = 128 << 20
_MOST_FILE_BYTES: Final = 64 << 20
_HASHES: Final = {20: hashlib.sha1, 32: hashlib.sha256}


class Changes(Struct, frozen=True):
    """The paths of files that differ from git's index or are not in it, and notes on what was not compared."""

    paths: list[bytes] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def changed_files(root: bytes, entries: Iterable[Entry]) -> Changes | None:
    """Return which of ``entries``, files below ``root``, have changes that are not in the index of its repository.

    None if the root is in no repository, or its index cannot be read. Files are compared by content where size and time
    of the last change differ. What is staged already counts as unchanged. Blocking.
    """
    directory = Path(os.fsdecode(root))
    repository = GitWorkTree.at(directory, read_bounded) or GitWorkTree.enclosing(directory, read_bounded)
    if repository is None:
        return None
    size = object_id_bytes(repository, GitConfigLocations.from_environment({}), read_bounded)
    index = repository.git_dir / "index"
    try:
        data = _read(index)
        known = read_contents(
            data, lambda name: _read(repository.git_dir / f"sharedindex.{os.fsdecode(name)}"), hash_bytes=size
        )
        written_ns = index.stat().st_mtime_ns
    except (OSError, IndexFormatError):
        return None
    above = os.path.relpath(root, os.fsencode(repository.top))
    prefix = b"" if above == b"." else above + b"/"
    paths = []
    for entry in entries:
        held = known.get(prefix + entry.path)
        if held is None or not (_has_stat_of(entry, held, written_ns) or _has_content(root, entry.path, held)):
            paths.append(entry.path)
    return Changes(sorted(paths), ["changes that are staged already are not included"])


def _has_stat_of(entry: Entry, held: IndexedContent, written_ns: int) -> bool:
    """Return True if a file has the stat that the index noted, and was changed before the index was written."""
    stat = entry.stat
    return (
        stat is not None
        and (stat.size & 0xFFFFFFFF, stat.mtime_ns) == (held.size, held.mtime_ns)
        and stat.mtime_ns < written_ns
    )


def _has_content(root: bytes, path: bytes, held: IndexedContent) -> bool:
    try:
        data = read_beneath(root, path, max_bytes=_MOST_FILE_BYTES).data
    except OSError:
        return False
    return any(
        _HASHES[len(held.blob)](b"blob %d\0" % len(form) + form).digest() == held.blob
        for form in (data, data.replace(b"\r\n", b"\n"))
    )


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST_INDEX_BYTES)
