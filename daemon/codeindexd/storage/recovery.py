"""Records, in a root's directory, how far its stores can be trusted at the next start.

After a clean shutdown they can be trusted. After a kill, too: the kernel keeps what a process wrote, every store is
written so that a part of a change does not count, and the generations of the projections tell what they miss. If the
system itself ended (it was started again since), a store may have lost writes that others kept. Then the projections
are compared with the catalog by chunk id, and everything is compared with the disk later, in a quiet time. After an
error that means damage, all checksums are verified before anything is used.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import structlog

from codeindexd.storage.boot import boot_id
from codeindexd.storage.durable import CLEAN_MARKER, replace_file, storing, take_clean_marker, write_clean_marker

log = structlog.get_logger(__name__)
CATALOG = "catalog.db"
_DAMAGE_MARKER = "suspect"
TRUST_MARKER = "trusted-in-boot"
_STORE_NAME = "directory of the index"
_MOST_STARTS = 1  # a kill right after the start proves nothing; two in a row may have a cause


def mark_possible_damage(directory: Path) -> None:
    """Make the next start verify all checksums in a root's directory."""
    try:
        (directory / _DAMAGE_MARKER).touch(mode=0o600)
    except OSError as error:
        log.warning("possible_damage_not_marked", directory=str(directory), error=str(error))


def has_possible_damage(directory: Path) -> bool:
    """Return True if the next start will verify all checksums."""
    return (directory / _DAMAGE_MARKER).exists()


class RecoveryState:
    """The checks that the stores in one directory still need after an unclean shutdown or an error.

    A marker has the id of the system's boot if the stores could be trusted since then, and how often they were opened
    since they were last in use for a while. So a damaged file that ends every process that uses it is found at the
    third start at the latest: then everything is verified.

    ``needs_verify``: they have to be compared with the disk. ``needs_checksums``: all checksums have to be verified.
    ``same_boot``: nothing but a kill can have happened to them since they could be trusted.
    """

    def __init__(self, directory: Path) -> None:
        """Read and remove the clean-shutdown marker. Raises StoreFullError."""
        self._directory = directory
        self._damage_marker = directory / _DAMAGE_MARKER
        was_closed = (directory / CLEAN_MARKER).exists()
        is_unchanged = CATALOG in take_clean_marker(directory)
        is_new = not (directory / CATALOG).exists()
        starts = self._starts_in_this_boot()
        self.same_boot = 0 <= starts <= _MOST_STARTS
        can_be_trusted = is_new or (is_unchanged if was_closed else self.same_boot)
        self.needs_checksums = has_possible_damage(directory)
        self.same_boot &= not self.needs_checksums
        self.needs_verify = self.needs_checksums or not can_be_trusted
        if self.needs_checksums:
            with storing(_STORE_NAME):
                for marker in directory.rglob(CLEAN_MARKER):  # so that no store trusts its files
                    marker.unlink(missing_ok=True)
        self._mark_trust(1 if was_closed or starts < 0 else starts + 1)

    def _starts_in_this_boot(self) -> int:
        """Return how often the stores were opened since they were last known to be usable; -1 if not in this boot."""
        try:
            boot, _, starts = (self._directory / TRUST_MARKER).read_text("ascii").partition(" ")
            return int(starts) if boot != "" and boot == boot_id() else -1
        except (OSError, ValueError):
            return -1

    def _mark_trust(self, starts: int) -> None:
        """Write the marker of trust, or remove it while the stores have to be verified.

        An error only costs time at the next start.
        """
        marker = self._directory / TRUST_MARKER
        try:
            if self.needs_verify or not boot_id():
                marker.unlink(missing_ok=True)
            elif self._starts_in_this_boot() != starts:
                replace_file(marker, f"{boot_id()} {starts}".encode("ascii"))
        except OSError as error:
            log.info("trust_not_marked", directory=str(self._directory), error=str(error))

    def mark_usable(self) -> None:
        """Record that the stores have been in use for a while without ending the process."""
        self._mark_trust(0)

    def mark_checksums_verified(self) -> None:
        """Record that all stores were opened with verified checksums. Raises StoreFullError."""
        with storing(_STORE_NAME):
            self._damage_marker.unlink(missing_ok=True)
        self.needs_checksums = False

    def mark_verified(self) -> None:
        """Record that the stores were compared with the disk."""
        self.needs_verify = False
        self._mark_trust(0)

    def mark_unclean(self) -> None:
        """Record that a store could not be closed as it should, so that the next start verifies everything."""
        self.needs_verify = True
        self._mark_trust(0)

    def reset(self) -> None:
        """Delete everything in the directory; no checks are needed then. Raises OSError."""
        shutil.rmtree(self._directory)
        self._directory.mkdir(parents=True, mode=0o700)
        self.needs_checksums = self.needs_verify = False
        self._mark_trust(0)

    def close(self) -> None:
        """Write the clean-shutdown marker, unless the stores still have to be verified."""
        if not self.needs_verify:
            write_clean_marker(self._directory, [CATALOG])
