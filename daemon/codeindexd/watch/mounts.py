"""The file systems mounted at and below a root. Mounting and unmounting send no event to watched directories."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from codeindexd.errors import EXHAUSTED
from codeindexd.scan.mount_table import TABLE_FILE, Mount, parse
from codeindexd.scan.relpath import parent_of

_READ_BYTES = 1 << 16


def mount_of(path: Path, mounts: Iterable[Mount]) -> Mount | None:
    """Return the mount that ``path`` is on; None if none is known (macOS)."""
    found: Mount | None = None
    for mount in mounts:
        nearer = found is None or len(mount.point.parts) >= len(found.point.parts)
        if nearer and path.is_relative_to(mount.point):
            found = mount
    return found


def visible_below(root: Path, mounts: Iterable[Mount]) -> dict[bytes, Mount]:
    """Return the mounts at and below ``root`` by relative path, without mounts hidden by later ones."""
    found: dict[bytes, Mount] = {}
    for mount in mounts:
        if mount.point.is_relative_to(root):
            point = relative_point(mount, root)
            found = {path: below for path, below in found.items() if point and not path.startswith(point + b"/")}
            found[point] = mount
    return found


def relative_point(mount: Mount, root: Path) -> bytes:
    """Return the mount point of ``mount`` relative to ``root``; b"" if it is ``root`` itself."""
    return os.fsencode(mount.point.relative_to(root)) if mount.point != root else b""


def kind_if_silent(directory: bytes, mounts: Mapping[bytes, Mount]) -> str:
    """Return the type of the file system of ``directory``; "" if its changes can be watched.

    ``directory`` is relative to the root, ``mounts`` the result of :func:`visible_below`.
    """
    while directory not in mounts:
        if not directory:
            return ""
        directory = parent_of(directory)
    mount = mounts[directory]
    return mount.kind if mount.is_silent else ""


class MountTable:
    """All mounts, read again only when the kernel reports a change. Any thread may call.

    All roots share one, so that one open file is enough. Empty where the kernel does not list mounts (macOS).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._found: tuple[Mount, ...] = ()
        self._version = 0

    def last_version(self) -> int:
        """Return a number that changes with the mounts, -1 if they cannot be read now. Touches no file system."""
        try:
            self._update()
        except OSError:
            return -1
        return self._version

    def all_below(self, root: Path) -> frozenset[Mount]:
        """Return the present mounts at and below ``root``, hidden ones included.

        Raises OSError if they cannot be read now.
        """
        found = self._update()
        place = os.fspath(root)
        below = place.rstrip("/") + "/"  # for a thousand roots, comparing the parts of paths takes seconds
        return frozenset(
            mount for mount in found if (point := os.fspath(mount.point)) == place or point.startswith(below)
        )

    def _update(self) -> tuple[Mount, ...]:
        """Return the present mounts. Raises OSError."""
        with self._lock:
            if self._has_changed():
                self._version += 1
                try:
                    text = b"".join(self._pieces()).decode("utf-8", "surrogateescape")
                except OSError:
                    self._close()  # the kernel reports a change only once
                    raise
                self._found = tuple(parse(text))
            return self._found

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def _has_changed(self) -> bool:
        """Return True if the table has to be read, since it changed or was just opened. Raises OSError."""
        if self._descriptor is None:
            try:
                self._descriptor = os.open(TABLE_FILE, os.O_RDONLY | os.O_CLOEXEC)
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


TABLE = MountTable()
"""The table of this process."""
