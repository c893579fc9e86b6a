"""Events of directories on Linux, straight from the kernel: one instance and one thread for all roots.

A user has 128 instances, shared with every other program. So all streams use the same one: a directory that several
of them watch costs one watch, and its events go to each. An overflow of the kernel's queue concerns all streams.

watchfiles hides that the queue overflowed, so a short storm can leave a tree stale until the next walk; a name that is
not UTF-8 breaks its stream; and it wakes up all the time to check whether to stop. Here an event is either read or
still in the kernel's queue, an overflow is reported, and nothing runs while nothing happens.
"""

from __future__ import annotations

import ctypes
import errno
import os
import queue
import select
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import structlog
from watchfiles import Change

from codeindexd.scan.safe_read import LONGEST_PATH, open_absolute, opened
from codeindexd.watch import filesystem
from codeindexd.watch.pacer import PollPacer

log = structlog.get_logger(__name__)

_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _UNMOUNT, _OVERFLOW, _IGNORED = 0x400, 0x800, 0x2000, 0x4000, 0x8000
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
_OURS = 0.9  # of the user's watches; the rest is for other programs
_EVICTION_RATIO = 2  # a root loses its watches to one that needs less than this fraction of them

Changes = set[tuple[Change, str]]
Wanted = Callable[[str], bool]


class _Place(NamedTuple):
    """A directory as one subscription knows it; with ``wanted``, only events of such paths count."""

    subscription: Subscription
    path: bytes
    wanted: Wanted | None


class Subscription:
    """The watches of one stream. The callbacks run in the reading thread.

    ``on_changes`` gets a set that is complete after 3 ms without an event of the stream, or 100 ms after its first one;
    :meth:`processed` has to be called for it, and until then nothing more is read. ``on_error`` ends the subscription.
    """

    def __init__(
        self,
        hub: Inotify,
        owner: str,
        needed: int,
        *,
        on_changes: Callable[[Changes], object],
        on_overflow: Callable[[], object],
        on_error: Callable[[OSError], object],
    ) -> None:
        self.owner = owner
        self.needed = needed  # how many watches it asks for
        self.on_changes = on_changes
        self.on_overflow = on_overflow
        self.on_error = on_error
        self.numbers: set[int] = set()  # its watch descriptors
        self.changes: Changes = set()
        self.began = 0.0
        self.grown = False
        self.started = False
        self._hub = hub

    def start(self) -> None:
        """Begin to report changes; those since the watches were made are kept until then."""
        self._hub.start(self)

    def processed(self) -> None:
        """Allow the next changes."""
        self._hub.processed(self)

    def close(self) -> None:
        """End the subscription and every watch that no other one needs. Blocking; may be called twice."""
        self._hub.remove(self)


class Inotify:
    """An inotify instance that exists, with its thread, while anybody is subscribed. Any thread may call."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._lock = threading.RLock()
        self._all_processed = threading.Condition(self._lock)
        self._places: dict[int, list[_Place]] = {}
        self._subscriptions: set[Subscription] = set()
        self._changed: set[Subscription] = set()
        self._delivered: set[Subscription] = set()  # whose changes are being processed
        self._descriptor = -1
        self._bell = -1

    @property
    def watches(self) -> int:
        """How many directories are watched."""
        return len(self._places)

    def subscribe(
        self,
        paths: Collection[str],
        *,
        owner: str,
        filtered: Mapping[str, Wanted] | None = None,
        on_changes: Callable[[Changes], object],
        on_overflow: Callable[[], object],
        on_error: Callable[[OSError], object],
    ) -> Subscription:
        """Watch the directories ``paths``, and of the ``filtered`` ones only the paths that their function accepts.

        Blocking. If the user's watches run out, an owner that has many more of them than this one loses its own. Raises
        OSError if a path cannot be watched.
        """
        subscription = Subscription(
            self,
            owner,
            len(paths) + len(filtered or ()),
            on_changes=on_changes,
            on_overflow=on_overflow,
            on_error=on_error,
        )
        limit = int(filesystem.limit("max_user_watches", 8192) * _OURS)
        with self._lock:
            self._subscriptions.add(subscription)
            if self._descriptor < 0:
                self._open(subscription)
        try:
            for path in paths:
                self._watch(subscription, os.fsencode(path), None, limit)
            for path, wanted in (filtered or {}).items():
                self._watch(subscription, os.fsencode(path), wanted, limit)
        except BaseException:
            self.remove(subscription)
            raise
        return subscription

    def __call__(self, paths: Collection[str], pace: PollPacer, *, recursive: bool = False) -> Iterator[Changes]:
        """Yield what changed directly inside the directories ``paths`` until ``pace`` is stopped.

        An overflow is reported to ``pace``. Raises OSError if a path cannot be watched, ValueError for ``recursive``,
        which the kernel does not support.
        """
        if recursive:
            raise ValueError("inotify watches single directories")
        news: queue.SimpleQueue[Changes | OSError | None] = queue.SimpleQueue()
        overflow = OSError(errno.EOVERFLOW, os.strerror(errno.EOVERFLOW))
        subscription = self.subscribe(
            paths, owner="", on_changes=news.put, on_overflow=lambda: news.put(overflow), on_error=news.put
        )
        try:
            pace.ring = lambda: news.put(None)
            pace.begin()
            subscription.start()
            while not pace.stopped:
                changes = news.get()
                if changes is overflow:
                    pace.overflowed()
                elif isinstance(changes, OSError):
                    raise changes
                elif changes:
                    yield changes
                    subscription.processed()
        finally:
            pace.ring = None
            subscription.close()

    # watches

    def _open(self, first: Subscription) -> None:
        descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if descriptor < 0:
            self._subscriptions.discard(first)
            raise _error("inotify")
        self._descriptor, self._bell = descriptor, os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        reader = threading.Thread(target=self._read_all, args=(descriptor, self._bell), name="inotify", daemon=True)
        reader.start()

    def _watch(self, subscription: Subscription, path: bytes, wanted: Wanted | None, limit: int) -> None:
        """Add a watch, and evict others beyond ``limit``. Raises OSError if that is impossible."""
        while True:
            with self._lock:  # the reading thread must not see an event of an unknown watch
                if subscription not in self._subscriptions:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "watches were given to a smaller root")
                number = self._add(path)
                if number >= 0 and number not in self._places and len(self._places) >= limit:
                    self._libc.inotify_rm_watch(self._descriptor, number)
                    number = -errno.ENOSPC
                if number >= 0:
                    self._places.setdefault(number, []).append(_Place(subscription, path, wanted))
                    subscription.numbers.add(number)
                    return
            if number != -errno.ENOSPC or not self._evict_for(subscription):
                raise OSError(-number, os.strerror(-number), os.fsdecode(path))

    def _add(self, path: bytes) -> int:
        """Return the watch descriptor of a directory, or a negative errno."""
        if len(path) <= LONGEST_PATH:
            number = self._libc.inotify_add_watch(self._descriptor, path, ctypes.c_uint32(_WANTED))
            code = ctypes.get_errno()
        else:
            try:
                with opened(open_absolute(path)) as directory:
                    short = b"/proc/self/fd/%d" % directory
                    number = self._libc.inotify_add_watch(self._descriptor, short, ctypes.c_uint32(_WANTED))
                    code = ctypes.get_errno()
            except OSError as error:
                number, code = -1, error.errno or errno.EIO
        if number >= 0:
            return int(number)
        return -(errno.ENOENT if code in (errno.ENOTDIR, errno.ELOOP) else code)  # replaced a moment ago

    def _evict_for(self, needy: Subscription) -> bool:
        """End the subscriptions of the owner with most watches, if ``needy`` has far fewer. Return True if one ended.

        So the largest root is polled when watches run out, not the one that comes last.
        """
        with self._lock:
            used: Counter[str] = Counter()
            for one in self._subscriptions:
                used[one.owner] += len(one.numbers)
            most, count = used.most_common(1)[0]
            needed = used[needy.owner] - len(needy.numbers) + needy.needed
            if most == needy.owner or count < _EVICTION_RATIO * needed:
                return False
            victims = [one for one in self._subscriptions if one.owner == most]
        log.info("watches_taken_from_largest_root", root=most, watches=count, for_root=needy.owner)
        for victim in victims:
            self.remove(victim)
            error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), most)
            self._call(victim, partial(victim.on_error, error))
        return True

    def remove(self, subscription: Subscription) -> None:
        """End a subscription, and with the last one the instance."""
        with self._lock:
            self._subscriptions.discard(subscription)
            self._changed.discard(subscription)
        while subscription.numbers:
            with self._lock:
                number = subscription.numbers.pop()
                places = [place for place in self._places.get(number, ()) if place.subscription is not subscription]
                if places:
                    self._places[number] = places
                elif self._places.pop(number, None) is not None and self._descriptor >= 0:
                    self._libc.inotify_rm_watch(self._descriptor, number)
        self.processed(subscription)
        with self._lock:
            if not self._subscriptions and self._descriptor >= 0:
                self._descriptor = -1
                self._places.clear()
                os.eventfd_write(self._bell, 1)  # the thread closes what it reads from

    def start(self, subscription: Subscription) -> None:
        """Begin to report changes to ``subscription``."""
        with self._lock:
            subscription.started = True
            if subscription.changes and subscription in self._subscriptions:
                self._changed.add(subscription)
                os.eventfd_write(self._bell, 1)

    def processed(self, subscription: Subscription) -> None:
        """Note that the changes last given to ``subscription`` were processed."""
        with self._all_processed:
            self._delivered.discard(subscription)
            if not self._delivered:
                self._all_processed.notify_all()

    # the reading thread

    def _read_all(self, descriptor: int, bell: int) -> None:
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        waiting.register(bell, select.POLLIN)
        try:
            while self._descriptor == descriptor:
                if self._changed:
                    time.sleep(_STEP_S)
                elif any(number == bell for number, _ in waiting.poll()):
                    os.eventfd_read(bell)
                self._read(descriptor)
                self._deliver()
        finally:
            os.close(descriptor)
            os.close(bell)

    def _read(self, descriptor: int) -> None:
        """Hand all waiting events to the subscriptions."""
        while True:
            try:
                data = os.read(descriptor, _READ_BYTES)
            except BlockingIOError:
                return
            with self._lock:
                if self._descriptor != descriptor:
                    return
                self._dispatch(data)

    def _dispatch(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            number, mask, _, length = _HEADER.unpack_from(data, at)
            at += _HEADER.size + length
            if mask & _OVERFLOW:
                for subscription in tuple(self._subscriptions):
                    self._call(subscription, subscription.on_overflow)
                continue
            change = _change(mask)
            if change is not None:
                name = data[at - length : at].rstrip(b"\0")
                for place in self._places.get(number, ()):
                    self._add_change(place, change, name)
            if mask & _IGNORED:  # the kernel ended the watch: its directory is gone
                self._places.pop(number, None)

    def _add_change(self, place: _Place, change: Change, name: bytes) -> None:
        path = os.fsdecode(place.path + b"/" + name if name else place.path)
        subscription = place.subscription
        if place.wanted is not None and not place.wanted(path):
            return
        if not subscription.changes:
            subscription.began = time.monotonic()
            if subscription.started:
                self._changed.add(subscription)
        subscription.changes.add((change, path))
        subscription.grown = True

    def _deliver(self) -> None:
        """Deliver the sets that are complete, and wait until they were processed."""
        now = time.monotonic()
        with self._lock:
            complete = [one for one in self._changed if not one.grown or now - one.began > _GROUP_S]
            for one in self._changed:
                one.grown = False
            self._changed.difference_update(complete)
            self._delivered.update(complete)
        for one in complete:
            changes, one.changes = one.changes, set()
            self._call(one, partial(one.on_changes, changes))
        with self._all_processed:
            self._all_processed.wait_for(lambda: not self._delivered)

    def _call(self, subscription: Subscription, callback: Callable[[], object]) -> None:
        try:
            callback()
        except RuntimeError:  # its event loop is closed
            self.remove(subscription)


SHARED = Inotify()
"""The instance of this process."""


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), what)


def _change(mask: int) -> Change | None:
    if mask & (_GONE | _UNMOUNT):
        return Change.deleted
    if mask & _APPEARED:
        return Change.added
    return Change.modified if mask & _CHANGED else None
