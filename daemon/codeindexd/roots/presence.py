"""Whether a root's directory exists, and is still the same. Its absence never empties an index."""

from __future__ import annotations

import contextlib
import enum
import os
import stat
from pathlib import Path

import structlog

from codeindexd.roots.registry import RootSpec
from codeindexd.scan.safe_read import VANISHED

log = structlog.get_logger(__name__)


class Found(enum.Enum):
    """What is at a root's path."""

    SAME = enum.auto()
    BACK = enum.auto()  # it was missing before
    REPLACED = enum.auto()  # another directory: recreated, replaced, mounted
    MISSING = enum.auto()


class Presence:
    """Follows a root's directory; ``spec`` holds its present identity. Blocking; used by one thread at a time.

    The root counts as missing when a symbolic link took the place of it or of a directory above, and when there is an
    empty directory on another device: that is a mount point without its file system, not a root that lost its files.
    """

    def __init__(self, spec: RootSpec, missing_marker: Path) -> None:
        self.spec = spec
        self.is_missing = False
        self._marker = missing_marker

    @property
    def missing_since(self) -> float | None:
        """Seconds since the epoch at which the root was first missing, also before a restart; None while it exists."""
        try:
            return self._marker.stat().st_mtime if self.is_missing else None
        except OSError:
            return None

    def look(self) -> Found:
        """Return what is at the path now. Raises OSError if that cannot be determined, which does not mean missing."""
        try:
            status = self.spec.path.lstat()
        except OSError as error:
            if error.errno not in VANISHED:
                raise
            return self._set_missing()
        if not stat.S_ISDIR(status.st_mode) or os.path.realpath(self.spec.path) != os.fspath(self.spec.path):
            return self._set_missing()
        if (status.st_dev, status.st_ino) == (self.spec.device, self.spec.inode):
            return self._set_present(Found.BACK if self.is_missing else Found.SAME)
        if status.st_dev != self.spec.device and not self._is_not_empty():
            return self._set_missing()
        self.spec = RootSpec(self.spec.id, self.spec.path, status.st_dev, status.st_ino)
        return self._set_present(Found.REPLACED)

    def _is_not_empty(self) -> bool:
        try:
            with os.scandir(self.spec.path) as entries:
                return any(True for _ in entries)
        except OSError:
            return False

    def _set_present(self, found: Found) -> Found:
        if self.is_missing:
            log.info("root_is_back", root=str(self.spec.path))
        self.is_missing = False
        with contextlib.suppress(OSError):  # read-only: a marker that stays does no harm
            self._marker.unlink(missing_ok=True)
        return found

    def _set_missing(self) -> Found:
        if not self.is_missing:
            log.warning("root_missing", root=str(self.spec.path))
            self.is_missing = True
        try:
            if not self._marker.exists():
                self._marker.touch(mode=0o600)
        except OSError as error:
            log.warning("missing_root_not_marked", marker=str(self._marker), error=error.strerror)
        return Found.MISSING
