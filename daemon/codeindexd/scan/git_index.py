"""Parses git's index (``.git/index``), which lists the paths that git tracks, without running git.

Follows git's ``Documentation/gitformat-index.txt``: versions 2 to 4, split index (a shared index beside the file, with
deletions and replacements on top), sparse index (a tracked directory that is not checked out). The caller treats an
index that is missing or does not follow the format as empty: then ignore rules alone decide.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from msgspec import Struct

from codeindexd.scan.relpath import ancestors

_HEADER = struct.Struct(">4sII")
_ENTRY_FLAGS_AT = 60  # bytes: after ctime, mtime, dev, inode, mode, uid, gid, size (40) and the object id (20)
_MTIME = struct.Struct(">II")
_MTIME_AT = 8
_MODE_AT = 24
_SIZE = struct.Struct(">I")
_SIZE_AT = 36
_BLOB_AT = 40
_SHA1 = 20
_EXTENDED = 0x4000
_SKIP_WORKTREE = 0x4000  # in the second flags word
_NAME_MASK = 0x0FFF
_TREE, _GITLINK = 0o040000, 0o160000
_KIND_MASK = 0o170000

ReadShared = Callable[[bytes], bytes]
"""Returns the bytes of ``sharedindex.<hex>``, given the hex digits. Raises OSError."""


class IndexFormatError(ValueError):
    """The bytes are not a valid index of a supported version."""


class TrackedPaths(Struct, frozen=True):
    """The files that git tracks in a work tree, and all directories above them, relative to the work tree's top."""

    files: frozenset[bytes] = frozenset()
    directories: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, files: frozenset[bytes]) -> TrackedPaths:
        """Return ``files`` with every directory above them, including the top (b"")."""
        directories: set[bytes] = set()
        for path in files:
            for parent in ancestors(path):
                if parent in directories:
                    break
                directories.add(parent)
        return cls(files, frozenset(directories))


def read_index(data: bytes, read_shared: ReadShared, *, hash_bytes: int = _SHA1) -> TrackedPaths:
    """Return the checked-out files in the index ``data``, without sparse entries and submodules.

    ``hash_bytes`` is 20 for SHA-1 repositories and 32 for SHA-256 ones. Raises IndexFormatError, and OSError if a
    shared index cannot be read.
    """
    return TrackedPaths.of(frozenset(path for path, _, _ in _files(data, read_shared, hash_bytes)))


class IndexedContent(Struct, frozen=True):
    """What the index knows of a file's content: the object id of its blob, and the file's size and mtime then.

    ``size`` has 32 bits, as in the index. ``mtime_ns`` counts from the epoch.
    """

    blob: bytes
    size: int
    mtime_ns: int


def read_contents(data: bytes, read_shared: ReadShared, *, hash_bytes: int = _SHA1) -> dict[bytes, IndexedContent]:
    """Return what the index knows of the checked-out files, by path. Arguments and errors: see :func:`read_index`."""
    found = {}
    for path, holder, at in _files(data, read_shared, hash_bytes):
        seconds, nanoseconds = _MTIME.unpack_from(holder, at + _MTIME_AT)
        (size,) = _SIZE.unpack_from(holder, at + _SIZE_AT)
        blob = holder[at + _BLOB_AT : at + _BLOB_AT + hash_bytes]
        found[path] = IndexedContent(blob, size, seconds * 1_000_000_000 + nanoseconds)
    return found


_Entry = tuple[bytes, bool, int]  # the path, whether it is a checked-out file, the offset of the entry in the index


def _files(data: bytes, read_shared: ReadShared, hash_bytes: int) -> list[tuple[bytes, bytes, int]]:
    """Return the path of every checked-out file, and where its entry is: the bytes of an index, and an offset."""
    entries, extensions_at = _entries(data, hash_bytes)
    link = _extension(data, extensions_at, b"link", hash_bytes)
    shared = link[:hash_bytes] if link is not None else b""
    if link is None or not any(shared):
        return [(path, data, at) for path, tracked, at in entries if tracked]
    below = read_shared(shared.hex().encode())
    base, _ = _entries(below, hash_bytes)
    deleted, replaced = _bitmaps(link[hash_bytes:])
    # Entries that replace one in the shared index come first, in its order and without a name; new ones follow.
    fresh = iter(entries)
    files: dict[bytes, tuple[bytes, bytes, int]] = {}
    for number, (path, tracked, base_at) in enumerate(base):
        holder, kept, at = below, tracked, base_at
        if number in replaced:
            try:
                _, kept, at = next(fresh)
            except StopIteration as error:
                raise IndexFormatError("fewer entries than replacements") from error
            holder = data
        if kept and number not in deleted:
            files[path] = path, holder, at
    files.update((path, (path, data, at)) for path, tracked, at in fresh if tracked and path)
    return list(files.values())


def _entries(data: bytes, hash_bytes: int) -> tuple[list[_Entry], int]:
    """Return every entry, and the offset of the extensions behind them.

    Raises IndexFormatError.
    """
    try:
        return _parse(data, hash_bytes)
    except (struct.error, IndexError, ValueError) as error:
        if isinstance(error, IndexFormatError):
            raise
        raise IndexFormatError(f"cut off or damaged: {error}") from error


def _parse(data: bytes, hash_bytes: int) -> tuple[list[_Entry], int]:
    """Return what :func:`_entries` returns. Also raises the errors of reading past the end of ``data``."""
    signature, version, count = _HEADER.unpack_from(data)
    if signature != b"DIRC" or version not in (2, 3, 4):
        raise IndexFormatError("not an index of version 2, 3 or 4")
    if count > len(data) // (42 + hash_bytes):
        raise IndexFormatError("more entries than the file can hold")
    flags_at = _ENTRY_FLAGS_AT - _SHA1 + hash_bytes
    entries: list[_Entry] = []
    at = _HEADER.size
    path = b""
    for _ in range(count):
        begin = at
        mode = int.from_bytes(data[at + _MODE_AT : at + _MODE_AT + 4], "big")
        flags = int.from_bytes(data[at + flags_at : at + flags_at + 2], "big")
        name_at = at + flags_at + 2
        skipped = False
        if flags & _EXTENDED:
            skipped = bool(int.from_bytes(data[name_at : name_at + 2], "big") & _SKIP_WORKTREE)
            name_at += 2
        if version == 4:
            strip, name_at = _offset_varint(data, name_at)
            end = data.index(b"\0", name_at)
            if strip > len(path):
                raise IndexFormatError("a name removes more bytes than the name before it has")
            path = path[: len(path) - strip] + data[name_at:end]
            at = end + 1
        else:
            end = name_at + (flags & _NAME_MASK)
            if flags & _NAME_MASK == _NAME_MASK:
                end = data.index(b"\0", end)
            path = data[name_at:end]
            at += (end - at + 8) & ~7  # one to eight NULs pad the entry to a multiple of eight
        kind = mode & _KIND_MASK
        entries.append((path, not skipped and kind not in (_TREE, _GITLINK), begin))
    if at > len(data) - hash_bytes:
        raise IndexFormatError("entries run past the end")
    return entries, at


def _offset_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at offset ``at``, encoded like OFS_DELTA offsets, and the offset after it."""
    byte = data[at]
    value = byte & 0x7F
    while byte & 0x80:
        at += 1
        byte = data[at]
        value = ((value + 1) << 7) | (byte & 0x7F)
    return value, at + 1


def _extension(data: bytes, at: int, wanted: bytes, hash_bytes: int) -> bytes | None:
    end = len(data) - hash_bytes
    while at + 8 <= end:
        size = int.from_bytes(data[at + 4 : at + 8], "big")
        if data[at : at + 4] == wanted:
            if at + 8 + size > end:
                raise IndexFormatError("an extension runs past the end")
            return data[at + 8 : at + 8 + size]
        at += 8 + size
    return None


def _bitmaps(data: bytes) -> tuple[set[int], set[int]]:
    """Return the positions of deleted and of replaced entries in the shared index, as two sets.

    Raises IndexFormatError.
    """
    if not data:
        return set(), set()
    try:
        deleted, rest = _ewah(data)
        replaced, _ = _ewah(rest)
    except struct.error as error:
        raise IndexFormatError("a bitmap is cut off") from error
    return deleted, replaced


def _ewah(data: bytes) -> tuple[set[int], bytes]:
    """Return the positions of the set bits of an EWAH-compressed bitmap, and the bytes after it. Raises struct.error.

    A marker word consists of the bit that is repeated (1 bit), for how many 64-bit words (32 bits), and how many
    uncompressed words follow (31 bits).
    """
    bits, words = struct.unpack_from(">II", data)
    values = struct.unpack_from(f">{words}Q", data, 8)
    found: set[int] = set()
    position = 0
    at = 0
    while at < words:
        marker = values[at]
        at += 1
        run = (marker >> 1) & 0xFFFFFFFF
        if marker & 1:
            found.update(range(position, min(position + run * 64, bits)))
        position += run * 64
        for word in values[at : at + (marker >> 33)]:
            found.update(_bits_of(word, position))
            position += 64
        at += marker >> 33
    return found, data[8 + words * 8 + 4 :]


def _bits_of(word: int, offset: int) -> Iterator[int]:
    while word:
        lowest = word & -word
        yield offset + lowest.bit_length() - 1
        word ^= lowest
