"""Paths relative to a root, as the bytes in the file system: ``b"src/a.py"``, and ``b""`` for the root itself."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Iterator

ROOT = b""

Batch = frozenset[bytes]
"""Paths to scan, none of which lies below another; the root can only be the single element."""


def parent_of(path: bytes) -> bytes:
    """Return the directory of a path; b"" for a top-level name and for the root."""
    return path[: max(path.rfind(b"/"), 0)]


def name_of(path: bytes) -> bytes:
    """Return the last component of a path."""
    return path[path.rfind(b"/") + 1 :]


def split(path: bytes) -> tuple[bytes, bytes]:
    """Return (directory, name) of a path; the root is (b"", b"")."""
    parent, _, name = path.rpartition(b"/")
    return parent, name


def join(directory: bytes, name: bytes) -> bytes:
    """Return the path of ``name`` in ``directory``."""
    return directory + b"/" + name if directory else name


def ancestors(path: bytes) -> Iterator[bytes]:
    """Yield every directory above ``path``, the root last. The root has none."""
    while path:
        path = parent_of(path)
        yield path


def is_covered(path: bytes, tops: Collection[bytes]) -> bool:
    """Return True if ``path`` is one of ``tops`` or lies below one."""
    return path in tops or any(parent in tops for parent in ancestors(path))


def collapse(paths: Iterable[bytes]) -> Batch:
    """Return ``paths`` without paths that lie below another one of them."""
    distinct = set(paths)
    if ROOT in distinct:
        return frozenset((ROOT,))
    return frozenset(path for path in distinct if distinct.isdisjoint(ancestors(path)))


def nfc(path: bytes) -> bytes:
    """Return a path with composed letters, as they are typed; one that is not UTF-8 as it is."""
    if path.isascii():
        return path
    try:
        return unicodedata.normalize("NFC", path.decode()).encode()
    except UnicodeDecodeError:
        return path
