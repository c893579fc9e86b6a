"""Which directories should be watched, which are, and which cannot be."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Set
from dataclasses import dataclass, field
from pathlib import Path

from codeindexd.scan.relpath import ROOT
from codeindexd.watch import mounts
from codeindexd.watch.events import GIT_DIRECTORIES


@dataclass(frozen=True)
class Usable:
    """What a look at the disk says about directories before they are watched."""

    paths: dict[bytes, str] = field(default_factory=dict)  # absolute, as watchfiles takes them
    refused: set[bytes] = field(default_factory=set)  # vanished, unreadable, or no directory
    polled: dict[bytes, str] = field(default_factory=dict)  # which cannot be watched, as in Coverage


class Coverage:
    """The directories of one root, each wanted one being missing, covered, refused or polled.

    ``polled`` ones are on a file system without events, whose type is said, or have names that are not UTF-8 ("").
    """

    def __init__(self) -> None:
        self.wanted: set[bytes] = {ROOT, *GIT_DIRECTORIES}
        self.covered: set[bytes] = set()
        self.refused: set[bytes] = set()
        self.polled: dict[bytes, str] = {}
        self._stirred: set[bytes] | None = None  # where something happened since the look at the disk that is not over

    def want(self, directories: Collection[bytes]) -> None:
        """Replace what is wanted."""
        self.wanted = {ROOT, *GIT_DIRECTORIES, *directories}
        self.polled = {path: kind for path, kind in self.polled.items() if path in self.wanted}

    def missing(self) -> set[bytes]:
        """Wanted directories that nothing is known about yet, or no longer."""
        return self.wanted - self.covered - self.refused - self.polled.keys()

    def look_begins(self) -> None:
        """What stirs from now on makes doubtful what is found, until it is taken."""
        self._stirred = set()

    def stir(self, paths: Set[bytes]) -> None:
        """Something happened at these paths."""
        if self._stirred is not None:
            self._stirred |= paths

    def look_ends(self) -> None:
        """What was found has been taken, or is given up: of what stirs from now on nothing is kept."""
        self._stirred = None

    def take(self, found: Usable, *, afresh: bool) -> None:
        """``found.paths`` are watched from now on; ``afresh``: what was refused before was tried again.

        Where something has happened since the look, a directory may be another one by now, watched under its old path
        or not at all, and no further event would say so: nothing is known about those.
        """
        if afresh:
            self.refused.clear()
            self.polled.clear()
        self.covered |= found.paths.keys()
        self.covered &= self.wanted
        self.covered -= found.refused
        stirred = self._stirred or set()
        if moved := stirred & self.wanted:  # a directory above a wanted one is wanted
            self.covered = {path for path in self.covered if not _is_below(path, moved)}
        self.refused |= {path for path in found.refused if not _is_below(path, stirred)}
        self.unpoll(found)
        self.polled |= found.polled
        self.look_ends()

    def unpoll(self, found: Usable) -> None:
        """``found.paths`` need not be polled any more: they can be watched, or are."""
        self.polled = {path: kind for path, kind in self.polled.items() if path not in found.paths}

    def forget(self, moved: Set[bytes]) -> bool:
        """``moved`` directories and what is below them have to be tried (again); whether that is any."""
        if not moved:
            return False
        lost = {path for path in self.covered if _is_below(path, moved)}
        self.covered -= lost
        self.refused = {path for path in self.refused if not _is_below(path, moved)}
        self.polled = {path: kind for path, kind in self.polled.items() if not _is_below(path, moved)}
        return True

    def clear(self) -> None:
        """Nothing is watched any more."""
        self.covered.clear()
        self.refused.clear()
        self.polled.clear()


def usable(root: Path, directories: Collection[bytes], *, look_inside: bool = False) -> Usable:
    """Look which of ``directories`` (below ``root``) can be watched now, each after those above it. Never raises.

    In that order they have to be watched: of a directory that is replaced after its own watch was made, and before that
    of its parent, nobody would hear.

    ``look_inside`` finds those that hold names which are not UTF-8: even opening such a file for reading breaks the
    stream that watches its directory. File systems without events below the root are not touched: a server that does
    not answer would hold up everything.
    """
    found = Usable()
    base = os.fsencode(root)
    mounted = mounts.below(root, mounts.now())
    for directory in sorted(directories):
        path = base + b"/" + directory if directory else base
        if kind := mounts.kind_if_silent(directory, mounted):
            found.polled[directory] = kind
        elif not _is_readable_directory(path, follow=not directory):
            found.refused.add(directory)
        elif not _is_utf8(directory) or (look_inside and not _holds_only_utf8(path)):
            found.polled[directory] = ""
        else:
            found.paths[directory] = os.fsdecode(path)
    return found


def _holds_only_utf8(directory: bytes) -> bool:
    try:
        return all(map(_is_utf8, os.listdir(directory)))  # noqa: PTH208 - bytes paths
    except OSError:
        return True


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_readable_directory(path: bytes, *, follow: bool) -> bool:
    try:
        status = os.stat(path) if follow else os.lstat(path)  # noqa: PTH116 - bytes paths
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and os.access(path, os.R_OK)


def _is_below(path: bytes, tops: Set[bytes]) -> bool:
    while path and path not in tops:
        path = path.rpartition(b"/")[0]
    return path in tops
