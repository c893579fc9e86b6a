"""Checks whether a root's directory exists and is still the same one. Its absence never empties an index."""

from __future__ import annotations

import contextlib
import enum
import os
import shlex
import stat
from pathlib import Path

import structlog

from codeindexd.indexing.problems import RootProblem
from codeindexd.roots.registry import RootSpec
from codeindexd.scan.safe_read import VANISHED

log = structlog.get_logger(__name__)


class PresenceCheck(enum.Enum):
    """The result of a check of a root's path."""

    SAME = enum.auto()
    BACK = enum.auto()  # it was missing before
    REPLACED = enum.auto()  # another directory: recreated, replaced, mounted
    MISSING = enum.auto()


class Presence:
    """Tracks a root's directory, whose present identity is in ``spec``. Blocking; not thread-safe.

    The root also counts as missing if its path leads over a symbolic link, or if it is an empty directory on another
    device: that is a mount point without its file system, not a root that lost its files. ``missing_marker`` is the
    file whose modification time records since when it is missing.
    """

    def __init__(self, spec: RootSpec, missing_marker: Path) -> None:
        self.spec = spec
        self._why_missing = ""  # empty if the root exists
        self._marker = missing_marker

    @property
    def is_missing(self) -> bool:
        """True if the last check did not find the root."""
        return bool(self._why_missing)

    @property
    def problem(self) -> RootProblem | None:
        """What a user is told about a root that is missing; None if it exists."""
        if not self._why_missing:
            return None
        remove = f"codeindex remove {shlex.quote(str(self.spec.path))}"
        return RootProblem(
            f"{self.spec.path} is missing: {self._why_missing}",
            f"bring it back, add it at its new place, or delete its index: {remove}",
        )

    @property
    def missing_since(self) -> float | None:
        """When the root was first found missing (seconds since the epoch, also across restarts); None if it exists."""
        try:
            return self._marker.stat().st_mtime if self.is_missing else None
        except OSError:
            return None

    def check(self) -> PresenceCheck:
        """Check the path. Raises OSError if the result cannot be determined; the root is not missing then."""
        try:
            status = self.spec.path.lstat()
        except OSError as error:
            if error.errno not in VANISHED:
                raise
            return self._set_missing("there is no such directory")
        if stat.S_ISLNK(status.st_mode) or os.path.realpath(self.spec.path) != os.fspath(self.spec.path):
            return self._set_missing("its path leads over a symbolic link now")
        if not stat.S_ISDIR(status.st_mode):
            return self._set_missing("it is not a directory now")
        if (status.st_dev, status.st_ino) == (self.spec.device, self.spec.inode):
            return self._set_present(PresenceCheck.BACK if self.is_missing else PresenceCheck.SAME)
        if status.st_dev != self.spec.device and not self._is_not_empty():
            return self._set_missing("it is empty, and its file system is not mounted")
        self.spec = RootSpec(self.spec.id, self.spec.path, status.st_dev, status.st_ino)
        return self._set_present(PresenceCheck.REPLACED)

    def _is_not_empty(self) -> bool:
        try:
            with os.scandir(self.spec.path) as entries:
                return any(True for _ in entries)
        except OSError:
            return False

    def _set_present(self, found: PresenceCheck) -> PresenceCheck:
        if self.is_missing:
            log.info("root_is_back", root=str(self.spec.path))
        self._why_missing = ""
        with contextlib.suppress(OSError):  # on a read-only file system: a marker that stays does no harm
            self._marker.unlink(missing_ok=True)
        return found

    def _set_missing(self, why: str) -> PresenceCheck:
        if not self.is_missing:
            log.warning("root_missing", root=str(self.spec.path), reason=why)
        self._why_missing = why
        try:
            if not self._marker.exists():
                self._marker.touch(mode=0o600)
        except OSError as error:
            log.warning("missing_root_not_marked", marker=str(self._marker), error=error.strerror)
        return PresenceCheck.MISSING
