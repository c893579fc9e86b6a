"""Records, in a root's directory, how far its stores can be trusted at the next start.

After a clean shutdown they can be trusted. After any other, the projections are compared with the catalog by chunk id,
because a power loss may have reverted the catalog to an earlier state than theirs, and everything is compared with the
disk later, in a quiet time. After an error that means damage, all checksums are verified before anything is used.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import structlog

from codeindexd.storage.durable import CLEAN_MARKER, storing, take_clean_marker, write_clean_marker

log = structlog.get_logger(__name__)
CATALOG = "catalog.db"
_DAMAGE_MARKER = "suspect"
_STORE_NAME = "directory of the index"


def mark_possible_damage(directory: Path) -> None:
    """Have the next start verify all checksums in a root's directory."""
    try:
        (directory / _DAMAGE_MARKER).touch(mode=0o600)
    except OSError as error:
        log.warning("possible_damage_not_marked", directory=str(directory), error=str(error))


def has_possible_damage(directory: Path) -> bool:
    """Return True if the next start will verify all checksums."""
    return (directory / _DAMAGE_MARKER).exists()


class RecoveryState:
    """The checks that the stores in one directory still need after an unclean shutdown or an error.

    ``needs_verify``: they have to be compared with the disk. ``needs_checksums``: all checksums have to be verified.
    """

    def __init__(self, directory: Path) -> None:
        """Read and remove the clean-shutdown marker. Raises StoreFullError."""
        self._directory = directory
        self._damage_marker = directory / _DAMAGE_MARKER
        clean = CATALOG in take_clean_marker(directory)
        self.needs_checksums = has_possible_damage(directory)
        self.needs_verify = self.needs_checksums or ((directory / CATALOG).exists() and not clean)
        if self.needs_checksums:
            with storing(_STORE_NAME):
                for marker in directory.rglob(CLEAN_MARKER):  # so that no store trusts its files
                    marker.unlink(missing_ok=True)

    def mark_checksums_verified(self) -> None:
        """Record that all stores were opened with verified checksums. Raises StoreFullError."""
        with storing(_STORE_NAME):
            self._damage_marker.unlink(missing_ok=True)
        self.needs_checksums = False

    def mark_verified(self) -> None:
        """Record that the stores were compared with the disk."""
        self.needs_verify = False

    def reset(self) -> None:
        """Delete everything in the directory; no checks are needed then. Raises OSError."""
        shutil.rmtree(self._directory)
        self._directory.mkdir(parents=True, mode=0o700)
        self.needs_checksums = self.needs_verify = False

    def close(self) -> None:
        """Write the clean-shutdown marker, unless the stores still have to be verified."""
        if not self.needs_verify:
            write_clean_marker(self._directory, [CATALOG])
