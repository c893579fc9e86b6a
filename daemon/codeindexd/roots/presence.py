"""Whether a root's directory is there, and still the one it was. Its absence never empties an index."""

from __future__ import annotations

import contextlib
import enum
import os
import stat
from pathlib import Path

import structlog

from codeindexd.roots.registry import RootSpec

log = structlog.get_logger(__name__)


class Found(enum.Enum):
    """What a look at the root's path found."""

    SAME = enum.auto()
    BACK = enum.auto()  # it had been missing
    REPLACED = enum.auto()  # a directory, but not the one it was: recreated, replaced, mounted
    MISSING = enum.auto()


class Presence:
    """Blocking; used by one thread at a time. ``spec`` follows the directory's identity.

    A symbolic link that took the place of the root, or of a directory above it, leads to something else: then the
    root is missing. A directory on another device that is empty is taken for a mount point without its file system,
    not for a root that lost all its files.
    """

    def __init__(self, spec: RootSpec, mark: Path) -> None:
        self.spec = spec
        self.missing = False
        self._mark = mark

    @property
    def missing_since(self) -> float | None:
        """Seconds since the epoch at which the root was first not found, over restarts; None while it is there."""
        try:
            return self._mark.stat().st_mtime if self.missing else None
        except OSError:
            return None

    def look(self) -> Found:
        """See what is at the path now."""
        try:
            status = self.spec.path.lstat()
        except OSError:
            return self._gone()
        if not stat.S_ISDIR(status.st_mode) or os.path.realpath(self.spec.path) != os.fspath(self.spec.path):
            return self._gone()
        if (status.st_dev, status.st_ino) == (self.spec.device, self.spec.inode):
            return self._here(Found.BACK if self.missing else Found.SAME)
        if status.st_dev != self.spec.device and not self._holds_anything():
            return self._gone()
        self.spec = RootSpec(self.spec.id, self.spec.path, status.st_dev, status.st_ino)
        return self._here(Found.REPLACED)

    def _holds_anything(self) -> bool:
        try:
            with os.scandir(self.spec.path) as entries:
                return any(True for _ in entries)
        except OSError:
            return False

    def _here(self, found: Found) -> Found:
        if self.missing:
            log.info("root is back", root=str(self.spec.path))
        self.missing = False
        with contextlib.suppress(OSError):  # read-only: it is in nobody's way
            self._mark.unlink(missing_ok=True)
        return found

    def _gone(self) -> Found:
        if not self.missing:
            log.warning("root is missing", root=str(self.spec.path))
            self.missing = True
        try:
            if not self._mark.exists():
                self._mark.touch(mode=0o600)
        except OSError as error:
            log.warning("cannot note since when the root is missing", mark=str(self._mark), error=error.strerror)
        return Found.MISSING
