"""How far the stores of a root can be trusted at its start; kept in its directory, so it outlives the process.

After a clean end they can. After any other the projections are compared with the catalog, id by id: a power loss may
have taken the catalog back to before what they hold. Everything in the stores is compared with the disk later, in a
quiet time. After an error that means damage all checksums are looked at before anything is used.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import structlog

from codeindexd.storage.durable import SEAL, break_seal, seal, storing

log = structlog.get_logger(__name__)
CATALOG = "catalog.db"
_SUSPECT = "suspect"
_WHAT = "directory of the index"


def suspect(directory: Path) -> None:
    """A store in a root's directory may be damaged: the next start looks closely."""
    try:
        (directory / _SUSPECT).touch(mode=0o600)
    except OSError as error:
        log.warning("suspicion cannot be noted", directory=str(directory), error=str(error))


def is_suspect(directory: Path) -> bool:
    """Whether the next start will look closely."""
    return (directory / _SUSPECT).exists()


class RecoveryState:
    """Of one root's directory. ``unsure`` until :meth:`settle`, ``suspicious`` until a close look was taken."""

    def __init__(self, directory: Path) -> None:
        """Consumes what the last end left. Raises StoreFullError."""
        self._directory = directory
        self._mark = directory / _SUSPECT
        clean = CATALOG in break_seal(directory)
        self.suspicious = is_suspect(directory)
        self.unsure = self.suspicious or ((directory / CATALOG).exists() and not clean)
        if self.suspicious:
            with storing(_WHAT):
                for kept in directory.rglob(SEAL):  # no store is to take its files on trust
                    kept.unlink(missing_ok=True)

    def looked_closely(self) -> None:
        """All stores opened with their checksums checked. Raises StoreFullError."""
        with storing(_WHAT):
            self._mark.unlink(missing_ok=True)
        self.suspicious = False

    def settle(self) -> None:
        """The stores were compared with the disk, or are new."""
        self.unsure = False

    def begin_anew(self) -> None:
        """Delete everything in the directory: what is made from now on is new."""
        shutil.rmtree(self._directory)
        self._directory.mkdir(parents=True, mode=0o700)
        self.suspicious = self.unsure = False

    def close(self) -> None:
        """A clean end; nothing is promised while there is doubt."""
        if not self.unsure:
            seal(self._directory, [CATALOG])
