"""Events of directories on Linux, straight from the kernel: one instance and one thread for all roots.

A user may have 128 instances, for all programs together. So all streams share one: a directory that several of them
watch costs one watch, and its events go to each. An overflow of the kernel's queue is reported to all streams.

watchfiles hides such an overflow, so a short storm of events can leave a tree stale until the next walk; a name that is
not UTF-8 breaks its stream; and it wakes up all the time to check whether to stop. Here every event is read or still in
the kernel's queue, and the thread sleeps while nothing happens.
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

from codeindexd.scan.safe_read import LONGEST_PATH, closing_descriptor, open_absolute
from codeindexd.watch import filesystem
from codeindexd.watch.pacer import PollPacer

log = structlog.get_logger(__name__)

_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _UNMOUNT, _OVERFLOW, _IGNORED = 0x400, 0x800, 0x2000, 0x4000, 0x8000
_ONLYDIR = 0x01000000
_EVENT_MASK = (
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
_OUR_SHARE = 0.9  # of the user's watches; the rest is for other programs
_EVICTION_RATIO = 2  # a root loses its watches to one that needs at most one in this many

Changes = set[tuple[Change, str]]
PathFilter = Callable[[str], bool]


class _WatchedDirectory(NamedTuple):
    """A directory watched by one subscription; with ``accepts``, events of other paths are dropped."""

    subscription: Subscription
    path: bytes
    accepts: PathFilter | None


class Subscription:
    """The watches of one stream. The callbacks run in the reading thread.

    - ``on_changes(changes)`` delivers a set of changes after 3 ms without another event, or 100 ms after the first.
      :meth:`mark_processed` must be called for each set; until then nothing more is read, for any subscription.
    - ``on_overflow()``: the kernel dropped events.
    - ``on_error(error)``: the subscription has ended.
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
        self.needed = needed  # the number of watches it asks for
        self.on_changes = on_changes
        self.on_overflow = on_overflow
        self.on_error = on_error
        self.watch_descriptors: set[int] = set()
        self.changes: Changes = set()  # not yet delivered
        self.began = 0.0  # when the first of them arrived, monotonic seconds
        self.grown = False  # whether any arrived since the reading thread last checked
        self.started = False
        self._hub = hub

    def start(self) -> None:
        """Begin to deliver changes; those since the watches were added are kept until then."""
        self._hub.start(self)

    def mark_processed(self) -> None:
        """Record that the last delivered changes were processed, so that the next may follow."""
        self._hub.mark_processed(self)

    def close(self) -> None:
        """End the subscription, and remove every watch that no other subscription uses. Blocking; may be repeated."""
        self._hub.remove(self)


class Inotify:
    """An inotify instance and its thread, both of which exist only while there are subscriptions. Thread-safe."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._lock = threading.RLock()
        self._all_processed = threading.Condition(self._lock)
        self._watched: dict[int, list[_WatchedDirectory]] = {}
        self._subscriptions: set[Subscription] = set()
        self._changed: set[Subscription] = set()
        self._delivered: set[Subscription] = set()  # whose changes are being processed
        self._descriptor = -1
        self._wake_fd = -1

    @property
    def watch_count(self) -> int:
        """The number of watched directories."""
        return len(self._watched)

    def subscribe(
        self,
        paths: Collection[str],
        *,
        owner: str,
        filtered: Mapping[str, PathFilter] | None = None,
        on_changes: Callable[[Changes], object],
        on_overflow: Callable[[], object],
        on_error: Callable[[OSError], object],
    ) -> Subscription:
        """Watch the directories ``paths`` and ``filtered``, which maps each to a filter for the paths of its events.

        Blocking. If the user's watches run out, the ``owner`` (a root's path) with the most watches loses them,
        provided it has at least twice as many as this subscription needs. Raises OSError if a directory cannot be
        watched.
        """
        subscription = Subscription(
            self,
            owner,
            len(paths) + len(filtered or ()),
            on_changes=on_changes,
            on_overflow=on_overflow,
            on_error=on_error,
        )
        limit = int(filesystem.inotify_limit("max_user_watches", 8192) * _OUR_SHARE)
        with self._lock:
            self._subscriptions.add(subscription)
            if self._descriptor < 0:
                self._open(subscription)
        try:
            for path in paths:
                self._watch(subscription, os.fsencode(path), None, limit)
            for path, accepts in (filtered or {}).items():
                self._watch(subscription, os.fsencode(path), accepts, limit)
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
            raise ValueError("inotify cannot watch recursively")
        news: queue.SimpleQueue[Changes | OSError | None] = queue.SimpleQueue()
        overflow = OSError(errno.EOVERFLOW, os.strerror(errno.EOVERFLOW))
        subscription = self.subscribe(
            paths, owner="", on_changes=news.put, on_overflow=lambda: news.put(overflow), on_error=news.put
        )
        try:
            pace.on_stop = lambda: news.put(None)
            pace.mark_live()
            subscription.start()
            while not pace.is_stopped:
                changes = news.get()
                if changes is overflow:
                    pace.report_overflow()
                elif isinstance(changes, OSError):
                    raise changes
                elif changes:
                    yield changes
                    subscription.mark_processed()
        finally:
            pace.on_stop = None
            subscription.close()

    # watches

    def _open(self, first: Subscription) -> None:
        descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if descriptor < 0:
            self._subscriptions.discard(first)
            raise _last_error("inotify")
        self._descriptor, self._wake_fd = descriptor, os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        reader = threading.Thread(target=self._read_all, args=(descriptor, self._wake_fd), name="inotify", daemon=True)
        reader.start()

    def _watch(self, subscription: Subscription, path: bytes, accepts: PathFilter | None, limit: int) -> None:
        """Watch the directory ``path`` for ``subscription``; if watches run out, evict those of another owner.

        They run out at ``limit`` watches in all, or when the kernel refuses one. Raises OSError if the directory cannot
        be watched, no owner can be evicted, or ``subscription`` was evicted.
        """
        while True:
            with self._lock:  # the reading thread must not see an event of an unknown watch
                if subscription not in self._subscriptions:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "watches were given to a smaller root")
                wd = self._add(path)
                if wd >= 0 and wd not in self._watched and len(self._watched) >= limit:
                    self._libc.inotify_rm_watch(self._descriptor, wd)
                    wd = -errno.ENOSPC
                if wd >= 0:
                    self._watched.setdefault(wd, []).append(_WatchedDirectory(subscription, path, accepts))
                    subscription.watch_descriptors.add(wd)
                    return
            if wd != -errno.ENOSPC or not self._evict_for(subscription):
                raise OSError(-wd, os.strerror(-wd), os.fsdecode(path))

    def _add(self, path: bytes) -> int:
        """Watch the directory ``path``, and return its watch descriptor or a negative errno."""
        if len(path) <= LONGEST_PATH:
            wd = self._libc.inotify_add_watch(self._descriptor, path, ctypes.c_uint32(_EVENT_MASK))
            code = ctypes.get_errno()
        else:
            try:
                with closing_descriptor(open_absolute(path)) as directory:
                    short = b"/proc/self/fd/%d" % directory
                    wd = self._libc.inotify_add_watch(self._descriptor, short, ctypes.c_uint32(_EVENT_MASK))
                    code = ctypes.get_errno()
            except OSError as error:
                wd, code = -1, error.errno or errno.EIO
        if wd >= 0:
            return int(wd)
        return -(errno.ENOENT if code in (errno.ENOTDIR, errno.ELOOP) else code)  # replaced a moment ago

    def _evict_for(self, needy: Subscription) -> bool:
        """End the subscriptions of the owner with the most watches if ``needy`` needs far fewer; return True if so.

        When watches run out, this makes the largest root be polled, not the one that was added last.
        """
        with self._lock:
            used: Counter[str] = Counter()
            for subscription in self._subscriptions:
                used[subscription.owner] += len(subscription.watch_descriptors)
            most, count = used.most_common(1)[0]
            needed = used[needy.owner] - len(needy.watch_descriptors) + needy.needed
            if most == needy.owner or count < _EVICTION_RATIO * needed:
                return False
            victims = [subscription for subscription in self._subscriptions if subscription.owner == most]
        log.info("watches_taken_from_largest_root", root=most, watches=count, for_root=needy.owner)
        for victim in victims:
            self.remove(victim)
            error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), most)
            self._call(victim, partial(victim.on_error, error))
        return True

    def remove(self, subscription: Subscription) -> None:
        """End a subscription, and with the last one the instance. May be repeated."""
        with self._lock:
            self._subscriptions.discard(subscription)
            self._changed.discard(subscription)
        while subscription.watch_descriptors:
            with self._lock:
                wd = subscription.watch_descriptors.pop()
                others = [other for other in self._watched.get(wd, ()) if other.subscription is not subscription]
                if others:
                    self._watched[wd] = others
                elif self._watched.pop(wd, None) is not None and self._descriptor >= 0:
                    self._libc.inotify_rm_watch(self._descriptor, wd)
        self.mark_processed(subscription)
        with self._lock:
            if not self._subscriptions and self._descriptor >= 0:
                self._descriptor = -1
                self._watched.clear()
                os.eventfd_write(self._wake_fd, 1)  # the thread closes what it reads from

    def start(self, subscription: Subscription) -> None:
        """Begin to deliver changes to ``subscription``."""
        with self._lock:
            subscription.started = True
            if subscription.changes and subscription in self._subscriptions:
                self._changed.add(subscription)
                os.eventfd_write(self._wake_fd, 1)

    def mark_processed(self, subscription: Subscription) -> None:
        """Record that the changes last delivered to ``subscription`` were processed."""
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
        """Read all waiting events and add them to the changes of the subscriptions."""
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
        """Add the events in what was read to the changes of their subscriptions."""
        at = 0
        while at < len(data):
            wd, mask, _, length = _HEADER.unpack_from(data, at)
            at += _HEADER.size + length
            if mask & _OVERFLOW:
                for subscription in tuple(self._subscriptions):
                    self._call(subscription, subscription.on_overflow)
                continue
            change = _change(mask)
            if change is not None:
                name = data[at - length : at].rstrip(b"\0")
                for watched in self._watched.get(wd, ()):
                    self._add_change(watched, change, name)
            if mask & _IGNORED:  # the kernel ended the watch: its directory is gone
                self._watched.pop(wd, None)

    def _add_change(self, watched: _WatchedDirectory, change: Change, name: bytes) -> None:
        path = os.fsdecode(watched.path + b"/" + name if name else watched.path)
        subscription = watched.subscription
        if watched.accepts is not None and not watched.accepts(path):
            return
        if not subscription.changes:
            subscription.began = time.monotonic()
            if subscription.started:
                self._changed.add(subscription)
        subscription.changes.add((change, path))
        subscription.grown = True

    def _deliver(self) -> None:
        """Deliver the sets of changes that are complete, and wait until they were processed."""
        now = time.monotonic()
        with self._lock:
            complete = [
                subscription
                for subscription in self._changed
                if not subscription.grown or now - subscription.began > _GROUP_S
            ]
            for subscription in self._changed:
                subscription.grown = False
            self._changed.difference_update(complete)
            self._delivered.update(complete)
        for subscription in complete:
            changes, subscription.changes = subscription.changes, set()
            self._call(subscription, partial(subscription.on_changes, changes))
        with self._all_processed:
            self._all_processed.wait_for(lambda: not self._delivered)

    def _call(self, subscription: Subscription, callback: Callable[[], object]) -> None:
        try:
            callback()
        except RuntimeError:  # its event loop is closed
            self.remove(subscription)


SHARED = Inotify()
"""The instance of this process."""


def _last_error(filename: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), filename)


def _change(mask: int) -> Change | None:
    if mask & (_GONE | _UNMOUNT):
        return Change.deleted
    if mask & _APPEARED:
        return Change.added
    return Change.modified if mask & _CHANGED else None
