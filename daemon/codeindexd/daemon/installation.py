"""Detects that the installation from which the daemon was started has been upgraded or removed."""

from __future__ import annotations

import enum
import sys
from pathlib import Path

import anyio
import anyio.to_thread

import codeindexd

_Identity = tuple[int, int, int, int]


class InstallationState(enum.StrEnum):
    """The state of the installed files, compared with the daemon's start; ``server.info`` reports it."""

    INTACT = "intact"
    CHANGED = "changed"  # upgraded or rebuilt: new workers would run another version
    REMOVED = "removed"  # no worker can be started


class Installation:
    """The files of the package and the interpreter of this process, as they were when it started."""

    def __init__(self, files: tuple[Path, ...] | None = None) -> None:
        if files is None:
            files = (Path(codeindexd.__file__), Path(sys.executable))
        self._identities = {file: found for file in files if (found := _identity(file)) is not None}

    @property
    def state(self) -> InstallationState:
        """The present state of the files. Blocking: reads the attributes of two files."""
        found = {file: _identity(file) for file in self._identities}
        if None in found.values():
            return InstallationState.REMOVED
        return InstallationState.INTACT if found == self._identities else InstallationState.CHANGED


async def wait_until_removed(installation: Installation, *, interval_s: float = 20.0, checks: int = 3) -> None:
    """Return once ``checks`` checks in a row found the files removed: an upgrade removes them too, but only briefly."""
    missing = 0
    while missing < checks:
        await anyio.sleep(interval_s)
        state = await anyio.to_thread.run_sync(lambda: installation.state)
        missing = missing + 1 if state is InstallationState.REMOVED else 0


def _identity(file: Path) -> _Identity | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
