"""Tracks which directories of a root should be watched, which are, and which cannot be."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Set
from pathlib import Path
from types import TracebackType

from msgspec import Struct, field

from codeindexd.scan import mount_table
from codeindexd.scan.relpath import ROOT, is_covered
from codeindexd.scan.safe_read import LONGEST_PATH, VANISHED, closing_descriptor, open_absolute
from codeindexd.watch import mounts
from codeindexd.watch.change_reader import GIT_DIRECTORIES


class WatchableDirectories(Struct, frozen=True):
    """Directories, relative to the root, sorted by whether they can be watched."""

    paths: dict[bytes, str] = field(default_factory=dict)  # can be: to absolute paths, as watchfiles takes them
    refused: set[bytes] = field(default_factory=set)  # vanished, unreadable, or not a directory
    polled: dict[bytes, str] = field(default_factory=dict)  # exist but cannot be watched; values as in Coverage


class Coverage:
    """The directories of one root that should be watched (targets), as paths relative to the root.

    Each target is missing, covered (watched), refused or polled. The value of a polled one is the type of its file
    system if that sends no events; it is "" if the name is not UTF-8, the path is too long, or the directory cannot be
    examined now.
    """

    def __init__(self) -> None:
        self.targets: set[bytes] = {ROOT, *GIT_DIRECTORIES}
        self.covered: set[bytes] = set()
        self.refused: set[bytes] = set()
        self.polled: dict[bytes, str] = {}
        self._open_update: CoverageUpdate | None = None

    def set_targets(self, directories: Collection[bytes]) -> None:
        """Replace the directories that should be watched."""
        self.targets = {ROOT, *GIT_DIRECTORIES, *directories}
        self.polled = {path: kind for path, kind in self.polled.items() if path in self.targets}
        self.refused &= self.targets  # a directory that appears later under a dropped path may be watched

    def missing(self) -> set[bytes]:
        """Return the targets that are neither covered nor refused nor polled."""
        return self.targets - self.covered - self.refused - self.polled.keys()

    def begin_update(self) -> CoverageUpdate:
        """Return a new update, the only way to cover directories. Use it as a context manager.

        Directories that change before it is committed are not covered by it.
        """
        self._open_update = CoverageUpdate(self)
        return self._open_update

    def record_changes(self, paths: Set[bytes]) -> None:
        """Record that something changed at ``paths``, for an update in progress."""
        if self._open_update is not None:
            self._open_update.changed |= paths

    def apply(self, update: CoverageUpdate, found: WatchableDirectories, *, includes_refused: bool) -> None:
        """Apply the findings of ``update`` and close it; called by :meth:`CoverageUpdate.commit`."""
        if includes_refused:
            self.refused.clear()
            self.polled.clear()
        new = found.paths.keys() - self.covered  # unwatched until now: what was refused below may have changed
        self.refused = {path for path in self.refused if not is_covered(path, new)}
        self.covered |= found.paths.keys()
        self.covered &= self.targets
        self.covered -= found.refused
        if changed := update.changed & self.targets:  # a directory above a target is a target
            self.covered = {path for path in self.covered if not is_covered(path, changed)}
        self.refused |= {path for path in found.refused if not is_covered(path, update.changed)}
        self.stop_polling(found.paths)
        self.polled |= found.polled
        self.close(update)

    def close(self, update: CoverageUpdate) -> None:
        """Stop recording changes for ``update``; called by :class:`CoverageUpdate` when it ends."""
        if self._open_update is update:
            self._open_update = None

    def stop_polling(self, directories: Collection[bytes]) -> None:
        """Record that ``directories`` need not be polled, because they can be watched."""
        self.polled = {path: kind for path, kind in self.polled.items() if path not in directories}

    def forget(self, moved: Set[bytes]) -> bool:
        """Make the directories in ``moved``, and all below them, missing; return False if ``moved`` is empty."""
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
        """Record that ``directories`` are no longer watched."""
        self.covered -= directories

    def clear(self) -> None:
        """Record that nothing is watched."""
        self.covered.clear()
        self.refused.clear()
        self.polled.clear()


class CoverageUpdate:
    """An update of a coverage, from before the disk is examined until the findings are committed or abandoned."""

    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage
        self.changed: set[bytes] = set()  # paths that changed since the update began

    def commit(self, found: WatchableDirectories, *, includes_refused: bool) -> None:
        """Record that ``found.paths`` are watched, and end the update.

        A directory that changed since the update began may have been replaced: its watch may be on the old directory,
        or missing, and no further event would say so. Such directories become missing. ``includes_refused`` says that
        ``found`` also covers all directories that were refused or polled before.
        """
        self._coverage.apply(self, found, includes_refused=includes_refused)

    def __enter__(self) -> CoverageUpdate:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._coverage.close(self)


def find_watchable(
    root: Path, directories: Collection[bytes], *, check_names: bool = False, allow_long_paths: bool = False
) -> WatchableDirectories:
    """Return which of ``directories`` (relative to ``root``) can be watched now, parents first. Blocking; never raises.

    They have to be watched in that order: a directory that is replaced after it was watched, but before its parent was,
    would change unnoticed.

    With ``check_names``, a directory that contains a name that is not UTF-8 is polled: even opening such a file for
    reading breaks the stream that watches its directory. ``allow_long_paths`` says that paths longer than a system call
    takes can be watched. A directory that exists but cannot be examined is polled. Nothing on a file system without
    events is touched: a server that does not answer would block the call.
    """
    found = WatchableDirectories()
    base = os.fsencode(root)
    mounted = mounts.visible_below(root, mount_table.read_mounts())
    for directory in sorted(directories):
        path = base + b"/" + directory if directory else base
        if kind := mounts.kind_if_silent(directory, mounted):
            found.polled[directory] = kind
            continue
        readable = _is_readable_directory(path, follow=not directory)
        too_long = len(path) > LONGEST_PATH and not allow_long_paths
        if readable is False:
            found.refused.add(directory)
        elif readable is None or too_long or not _is_utf8(directory) or (check_names and not _holds_only_utf8(path)):
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
    """Return True if ``path`` is a directory and can be read; None if that cannot be determined now."""
    try:
        if len(path) > LONGEST_PATH:
            with closing_descriptor(open_absolute(path)) as directory:
                return os.access(f"/proc/self/fd/{directory}", os.R_OK)
        status = os.stat(path) if follow else os.lstat(path)  # noqa: PTH116 - bytes paths
    except OSError as error:
        return False if error.errno in VANISHED or error.errno in (errno.EACCES, errno.EPERM) else None
    return stat.S_ISDIR(status.st_mode) and os.access(path, os.R_OK)
