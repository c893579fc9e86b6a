"""The file systems mounted at and below a root. None that comes or goes sends an event to who watches directories."""

from __future__ import annotations

import os
import re
import select
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from codeindexd.errors import EXHAUSTED

_TABLE = "/proc/self/mountinfo"
_READ_BYTES = 1 << 16
_SILENT = re.compile(
    r"9p|afpfs|afs|beegfs|ceph|cifs|coda|davfs|fuse(\..*)?|gfs2?|glusterfs|gpfs|lustre|ncpfs|nfs4?|ocfs2|orangefs|"
    r"prl_fs|smb3|smbfs|vboxsf|virtiofs|vmhgfs|webdav"
)  # not fuseblk: a local disk (NTFS, exFAT), whose changes pass this kernel, which sees them


@dataclass(frozen=True, slots=True)
class Mount:
    """``number`` is the kernel's, another one for each time that something is mounted; ``point`` is absolute."""

    number: str
    point: Path
    kind: str

    @property
    def is_silent(self) -> bool:
        """Whether it is a network or FUSE file system, where others make changes that this kernel does not see."""
        return _SILENT.fullmatch(self.kind) is not None


def parsed(text: str) -> Iterator[Mount]:
    """What a text like /proc/self/mountinfo lists; of several at one point the last hides the others."""
    for line in text.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if separator and len(fields) >= 5:
            point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
            yield Mount(fields[0], Path(point), after.split(" ")[0])


def around(place: Path, mounts: Iterable[Mount]) -> Mount | None:
    """The one that ``place`` is on; None when none is known (macOS)."""
    found: Mount | None = None
    for mount in mounts:
        nearer = found is None or len(mount.point.parts) >= len(found.point.parts)
        if nearer and place.is_relative_to(mount.point):
            found = mount
    return found


def below(root: Path, mounts: Iterable[Mount]) -> dict[bytes, Mount]:
    """Those at and below ``root``, by their path relative to it, without what is hidden by others mounted later."""
    found: dict[bytes, Mount] = {}
    for mount in mounts:
        if mount.point.is_relative_to(root):
            point = relative(mount, root)
            found = {other: one for other, one in found.items() if point and not other.startswith(point + b"/")}
            found[point] = mount
    return found


def relative(mount: Mount, root: Path) -> bytes:
    """Where below ``root`` it is."""
    return os.fsencode(mount.point.relative_to(root)) if mount.point != root else b""


def kind_if_silent(directory: bytes, mounts: Mapping[bytes, Mount]) -> str:
    """The type of the file system that ``directory`` is on, by :func:`below`; "" where its changes can be watched."""
    while directory not in mounts:
        if not directory:
            return ""
        directory = directory.rpartition(b"/")[0]
    mount = mounts[directory]
    return mount.kind if mount.is_silent else ""


def now() -> list[Mount]:
    """All that is mounted; empty where the kernel does not list it (macOS)."""
    try:
        return list(parsed(Path(_TABLE).read_text("utf-8", "surrogateescape")))
    except OSError:
        return []


class Table:
    """What is mounted at and below ``root``, read again only when the kernel says that it changed; any thread.

    Nothing where the kernel does not list it (macOS).
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._closed = False
        self._found: frozenset[Mount] = frozenset()

    def look(self) -> frozenset[Mount]:
        """What there is now; of several at one point all. Raises OSError when it cannot be read at the moment."""
        with self._lock:
            if self._changed():
                try:
                    text = b"".join(self._pieces()).decode("utf-8", "surrogateescape")
                except OSError:
                    self._let_go()  # the kernel tells of a change once
                    raise
                self._found = frozenset(mount for mount in parsed(text) if mount.point.is_relative_to(self._root))
            return self._found

    def close(self) -> None:
        """Let go of the kernel's table: what was found last stays so."""
        with self._lock:
            self._closed = True
            self._let_go()

    def _let_go(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def _changed(self) -> bool:
        if self._closed:
            return False
        if self._descriptor is None:
            try:
                self._descriptor = os.open(_TABLE, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                if error.errno in EXHAUSTED:
                    raise
            return self._descriptor is not None
        poll = select.poll()
        poll.register(self._descriptor, select.POLLPRI)
        return bool(poll.poll(0))

    def _pieces(self) -> Iterator[bytes]:
        assert self._descriptor is not None
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        while piece := os.read(self._descriptor, _READ_BYTES):
            yield piece
