"""The kernel's list of mounted file systems, of which there is none on macOS."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

TABLE_FILE: Final = "/proc/self/mountinfo"
_SILENT = re.compile(
    r"9p|afpfs|afs|beegfs|ceph|cifs|coda|davfs|fuse(\..*)?|gfs2?|glusterfs|gpfs|lustre|ncpfs|nfs4?|ocfs2|orangefs|"
    r"prl_fs|smb3|smbfs|vboxsf|virtiofs|vmhgfs|webdav"
)  # not fuseblk: a local disk (NTFS, exFAT), whose changes this kernel sees


class Mount(Struct, frozen=True):
    """A mounted file system: its absolute mount point and its type (``nfs4``).

    ``number`` is the kernel's for this mount, ``device`` that of its files, as in ``st_dev``.
    """

    number: str
    device: int
    point: Path
    kind: str

    @property
    def is_silent(self) -> bool:
        """True for network and FUSE file systems: changes made by others send no events."""
        return _SILENT.fullmatch(self.kind) is not None


def parse(text: str) -> Iterator[Mount]:
    """Yield the mounts in ``text``, which has the format of /proc/self/mountinfo.

    Of several mounts at one point, the last hides the others.
    """
    for line in text.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if separator and len(fields) >= 5:
            point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
            device = os.makedev(*map(int, fields[2].split(":")))
            yield Mount(fields[0], device, Path(point), after.split(" ")[0])


def read_mounts() -> list[Mount]:
    """Return all present mounts; empty where the kernel does not list them (macOS)."""
    try:
        return list(parse(Path(TABLE_FILE).read_text("utf-8", "surrogateescape")))
    except OSError:
        return []
