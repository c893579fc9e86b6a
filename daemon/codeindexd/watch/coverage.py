"""Which directories should be watched, which are, and which cannot be."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Set
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from codeindexd.scan.relpath import ROOT, is_covered
from codeindexd.scan.safe_read import LONGEST_PATH, VANISHED, open_absolute, opened
from codeindexd.watch import mounts
from codeindexd.watch.events import GIT_DIRECTORIES


@dataclass(frozen=True)
class Usable:
    """What a look at the disk says about directories before they are watched."""

    paths: dict[bytes, str] = field(default_factory=dict)  # absolute, as watchfiles takes them
    refused: set[bytes] = field(default_factory=set)  # vanished, unreadable, or no directory
    polled: dict[bytes, str] = field(default_factory=dict)  # which cannot be watched, as in Coverage


class Coverage:
    """The directories of one root that should be watched. Each target is missing, covered, refused or polled.

    ``polled`` ones are on a file system without events, whose type is the value; or, with the value "", their names
    are not UTF-8, their paths are too long, or they cannot be examined now.
    """

    def __init__(self) -> None:
        self.targets: set[bytes] = {ROOT, *GIT_DIRECTORIES}
        self.covered: set[bytes] = set()
        self.refused: set[bytes] = set()
        self.polled: dict[bytes, str] = {}
        self._open_look: Look | None = None

    def set_targets(self, directories: Collection[bytes]) -> None:
        """Replace the directories that should be watched."""
        self.targets = {ROOT, *GIT_DIRECTORIES, *directories}
        self.polled = {path: kind for path, kind in self.polled.items() if path in self.targets}
        self.refused &= self.targets  # whatever comes back under such a path may be watched

    def missing(self) -> set[bytes]:
        """Return the targets that nothing is known about yet, or no longer."""
        return self.targets - self.covered - self.refused - self.polled.keys()

    def look(self) -> Look:
        """Begin a look at the disk, the only way to cover directories; use it as a context manager.

        Changes from now on invalidate what the look finds, until it is taken or given up.
        """
        self._open_look = Look(self)
        return self._open_look

    def record_changes(self, paths: Set[bytes]) -> None:
        """Invalidate what an open look may find at these paths."""
        if self._open_look is not None:
            self._open_look.changed |= paths

    def apply(self, look: Look, found: Usable, *, retry_refused: bool) -> None:
        """Called by :meth:`Look.take`."""
        if retry_refused:
            self.refused.clear()
            self.polled.clear()
        new = found.paths.keys() - self.covered  # nothing told what happened below them until now
        self.refused = {path for path in self.refused if not is_covered(path, new)}
        self.covered |= found.paths.keys()
        self.covered &= self.targets
        self.covered -= found.refused
        if changed := look.changed & self.targets:  # a directory above a target is a target
            self.covered = {path for path in self.covered if not is_covered(path, changed)}
        self.refused |= {path for path in found.refused if not is_covered(path, look.changed)}
        self.stop_polling(found.paths)
        self.polled |= found.polled
        self.close(look)

    def close(self, look: Look) -> None:
        """Called by :class:`Look` when it ends: without an open look, changes need not be kept."""
        if self._open_look is look:
            self._open_look = None

    def stop_polling(self, directories: Collection[bytes]) -> None:
        """Poll these directories no more: they can be watched, or are."""
        self.polled = {path: kind for path, kind in self.polled.items() if path not in directories}

    def forget(self, moved: Set[bytes]) -> bool:
        """Make ``moved`` directories and those below them missing. Return False if there are none."""
        if not moved:
            return False
        self.covered = {path for path in self.covered if not is_covered(path, moved)}
        self.refused = {path for path in self.refused if not is_covered(path, moved)}
        self.polled = {path: kind for path, kind in self.polled.items() if not is_covered(path, moved)}
        return True

    def cover_targets(self) -> None:
        """Record that a recursive stream watches all targets."""
        self.covered = set(self.targets)

    def keep_covered(self, directories: Set[bytes]) -> None:
        """Uncover everything but ``directories``."""
        self.covered &= directories

    def uncover(self, directories: Set[bytes]) -> None:
        """Record that ``directories`` are not watched any more."""
        self.covered -= directories

    def clear(self) -> None:
        """Record that nothing is watched any more."""
        self.covered.clear()
        self.refused.clear()
        self.polled.clear()


class Look:
    """An open look at the disk, from before the disk is examined until its findings are taken or given up."""

    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage
        self.changed: set[bytes] = set()  # paths where something happened since the look began

    def take(self, found: Usable, *, retry_refused: bool) -> None:
        """Record that ``found.paths`` are watched, and end the look.

        Where something happened since the look began, a directory may have been replaced: it is watched under its old
        path or not at all, and no further event would say so. Such directories become missing. With
        ``retry_refused``, the look covered all that was refused before.
        """
        self._coverage.apply(self, found, retry_refused=retry_refused)

    def __enter__(self) -> Look:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._coverage.close(self)


def usable(
    root: Path, directories: Collection[bytes], *, look_inside: bool = False, any_length: bool = False
) -> Usable:
    """Return which of ``directories`` (below ``root``) can be watched now, parents first. Never raises.

    They have to be watched in that order: a directory that is replaced after its own watch was made, but before that of
    its parent, would change unnoticed.

    ``look_inside`` finds directories that hold names which are not UTF-8: even opening such a file for reading breaks
    the stream that watches its directory. ``any_length`` says that paths longer than a system call takes can be
    watched. What cannot be examined for another reason than its absence is polled. File systems without events below
    the root are not touched: a server that does not answer would block the whole look.
    """
    found = Usable()
    base = os.fsencode(root)
    mounted = mounts.below(root, mounts.now())
    for directory in sorted(directories):
        path = base + b"/" + directory if directory else base
        if kind := mounts.kind_if_silent(directory, mounted):
            found.polled[directory] = kind
            continue
        readable = _is_readable_directory(path, follow=not directory)
        too_long = len(path) > LONGEST_PATH and not any_length
        if readable is False:
            found.refused.add(directory)
        elif readable is None or too_long or not _is_utf8(directory) or (look_inside and not _holds_only_utf8(path)):
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


def _is_readable_directory(path: bytes, *, follow: bool) -> bool | None:
    """Return None if that cannot be determined now."""
    try:
        if len(path) > LONGEST_PATH:
            with opened(open_absolute(path)) as directory:
                return os.access(f"/proc/self/fd/{directory}", os.R_OK)
        status = os.stat(path) if follow else os.lstat(path)  # noqa: PTH116 - bytes paths
    except OSError as error:
        return False if error.errno in VANISHED or error.errno in (errno.EACCES, errno.EPERM) else None
    return stat.S_ISDIR(status.st_mode) and os.access(path, os.R_OK)
