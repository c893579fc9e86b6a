"""Events of directories on Linux, straight from the kernel.

watchfiles hides that the kernel's queue overflowed, so a short storm can leave a tree stale until the next walk; a name
that is not UTF-8 breaks its stream; and it wakes up all the time to check whether to stop. Here an event is either read
or still in the kernel's queue, an overflow is reported, and nothing runs while nothing happens.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
import time
from collections import defaultdict
from collections.abc import Collection, Iterator

from watchfiles import Change

from codeindexd.watch.pacer import PollPacer

_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _UNMOUNT, _OVERFLOW = 0x400, 0x800, 0x2000, 0x4000
_ONLYDIR = 0x01000000
_WANTED = (
    _MODIFY
    | _ATTRIB
    | _CLOSE_WRITE
    | _MOVED_FROM
    | _MOVED_TO
    | _CREATE
    | _DELETE
    | _DELETE_SELF
    | _MOVE_SELF
    | _ONLYDIR
)
_APPEARED = _CREATE | _MOVED_TO
_CHANGED = _MODIFY | _ATTRIB | _CLOSE_WRITE
_GONE = _MOVED_FROM | _DELETE | _DELETE_SELF | _MOVE_SELF | _UNMOUNT
_HEADER = struct.Struct("iIII")  # watch descriptor, mask, cookie of a rename, length of the name
_READ_BYTES = 1 << 18
_STEP_S = 0.003
_GROUP_S = 0.1

Changes = set[tuple[Change, str]]


def watch(paths: Collection[str], pace: PollPacer, *, recursive: bool = False) -> Iterator[Changes]:
    """Yield what changed directly inside the directories ``paths`` until ``pace`` is stopped.

    A set is complete after 3 ms without an event, or 100 ms after its first one. An overflow is reported to ``pace``.
    Raises OSError if a path cannot be watched, ValueError for ``recursive``, which the kernel does not support.
    """
    if recursive:
        raise ValueError("inotify watches single directories")
    descriptor, paths_of = _watched(paths)
    bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    try:
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        waiting.register(bell, select.POLLIN)
        pace.ring = lambda: os.eventfd_write(bell, 1)
        pace.begin()
        changes: Changes = set()
        began = 0.0
        while not pace.stopped:
            if changes:
                time.sleep(_STEP_S)
            else:
                waiting.poll()
                began = time.monotonic()
            grown = _read(descriptor, paths_of, changes, pace)
            if changes and (not grown or time.monotonic() - began > _GROUP_S):
                yield changes
                changes = set()
    finally:
        pace.ring = None
        os.close(bell)
        os.close(descriptor)


def _watched(paths: Collection[str]) -> tuple[int, dict[int, list[bytes]]]:
    """Return a descriptor of events and the paths by watch descriptor, several if they lead to one directory."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        raise _error("inotify")
    paths_of: dict[int, list[bytes]] = defaultdict(list)
    try:
        for path in map(os.fsencode, paths):
            number = libc.inotify_add_watch(descriptor, path, ctypes.c_uint32(_WANTED))
            if number < 0:
                raise _error(os.fsdecode(path))
            paths_of[number].append(path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, paths_of


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    if number == errno.ENOTDIR:  # replaced by something else a moment ago
        number = errno.ENOENT
    return OSError(number, os.strerror(number), what)


def _read(descriptor: int, paths_of: dict[int, list[bytes]], changes: Changes, pace: PollPacer) -> bool:
    """Add all waiting events to ``changes``. Return False if there was none."""
    grown = False
    while True:
        try:
            data = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return grown
        grown = True
        at = 0
        while at < len(data):
            number, mask, _, length = _HEADER.unpack_from(data, at)
            at += _HEADER.size + length
            if mask & _OVERFLOW:
                pace.overflowed()
                continue
            change = _change(mask)
            if change is None:
                continue
            name = data[at - length : at].rstrip(b"\0")
            for path in paths_of[number]:
                changes.add((change, os.fsdecode(path + b"/" + name if name else path)))


def _change(mask: int) -> Change | None:
    if mask & (_GONE | _UNMOUNT):
        return Change.deleted
    if mask & _APPEARED:
        return Change.added
    return Change.modified if mask & _CHANGED else None
