"""A stream of events from a fixed list of directories."""

from __future__ import annotations

import asyncio
import enum
import math
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Protocol

import anyio
import anyio.abc
import watchfiles

from codeindexd.watch import inotify, portable
from codeindexd.watch.pacer import PollPacer

Changes = Collection[tuple[watchfiles.Change, str]]


class EventSource(Protocol):
    """A source of events; tests substitute failing ones."""

    def __call__(self, paths: Collection[str], pace: PollPacer, *, recursive: bool) -> Iterator[Changes]:
        """Yield sets of (change, path) until ``pace`` is stopped: for the entries of the directories ``paths``
        (absolute), or with ``recursive`` for everything below them.

        Raises OSError, RuntimeError or UnicodeError if the directories cannot be watched any longer.
        """


PathFilter = Callable[[str], bool]
INOTIFY = sys.platform == "linux"
SOURCE: EventSource = inotify.SHARED if INOTIFY else portable.watch
_LOSSY_BURST = 256  # a guess: while watchfiles copies this many events, enough others are lost to matter


def burst_threshold(source: EventSource, queue_size: int) -> int:
    """Return how many events in a second are a reason to walk the root; the kernel's queue holds ``queue_size``."""
    reports_overflow = isinstance(source, inotify.Inotify)
    return queue_size // 4 if reports_overflow else _LOSSY_BURST  # a written file takes up to four events


class StreamErrorKind(enum.Enum):
    """Why a stream could not start, or broke."""

    VANISHED = "a directory vanished"
    FORBIDDEN = "a directory may not be read"
    EXHAUSTED = "the kernel's limit of watches is reached"
    BROKEN = "the event stream broke"
    SILENT = "the file system sends no events"


class StreamError(Exception):
    """A stream could not start, or broke; the events that it had not delivered are lost."""

    def __init__(self, kind: StreamErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Stream:
    """Watches ``directories`` (relative to the root) from ``await wait_until_ready()`` until ``stop()`` or an error.

    All callbacks run in the event loop:

    - ``on_live()``: all directories are watched; called before the first event.
    - ``deliver(stream, changes)``: in the order of the events; later ones wait until it returns.
    - ``on_stall(seconds)``: no event was read for so long; infinity if events are known to be lost.
    - ``on_broken(stream, error)``: the stream broke after it was live.
    """

    def __init__(
        self,
        directories: Collection[bytes],
        *,
        on_live: Callable[[], None],
        deliver: Callable[[Stream, Changes], None],
        on_stall: Callable[[float], None],
        on_broken: Callable[[Stream, StreamError], None],
    ) -> None:
        self.directories = frozenset(directories)
        self.error: StreamError | None = None
        self._on_live = on_live
        self._deliver = deliver
        self._on_stall = on_stall
        self._on_broken = on_broken
        self._failure: Exception | None = None  # of a callback
        self._subscription: inotify.Subscription | None = None
        self._stopped = anyio.Event()
        self._ready = anyio.Event()
        self._ended = anyio.Event()
        self._live = False
        self.pace = PollPacer(
            on_live=lambda: anyio.from_thread.run_sync(self._go_live),
            on_stall=lambda seconds: anyio.from_thread.run_sync(self._on_stall, seconds),
        )

    async def serve(
        self,
        paths: Collection[str],
        filtered: Mapping[str, PathFilter],
        source: EventSource,
        *,
        owner: str,
        recursive: bool,
    ) -> None:
        """Run until stopped or broken; ``on_broken`` or :meth:`wait_until_ready` report a break.

        ``paths`` are the directories as absolute paths. ``filtered`` maps further directories to filters for the paths
        of their events. ``owner`` is the root whose watches these are, for when watches run out. Raises what a callback
        raises.
        """
        try:
            if isinstance(source, inotify.Inotify):
                await self._subscribe(paths, filtered, source, owner)
            else:
                await self._read_in_thread([*paths, *filtered], source, recursive=recursive)
        finally:
            self._ready.set()
            self._ended.set()
        if self._failure is not None:
            raise self._failure
        if self.error is not None and self._live:
            self._on_broken(self, self.error)

    async def _subscribe(
        self, paths: Collection[str], filtered: Mapping[str, PathFilter], hub: inotify.Inotify, owner: str
    ) -> None:
        """Serve by events from ``hub``, whose reading thread posts them to the event loop."""
        post = asyncio.get_running_loop().call_soon_threadsafe
        subscribe = partial(
            hub.subscribe,
            paths,
            owner=owner,
            filtered=filtered,
            on_changes=lambda changes: post(self._deliver_changes, changes),
            on_overflow=lambda: post(self._on_stall, math.inf),
            on_error=lambda error: post(self._fail, error),
        )
        try:
            self._subscription = await anyio.to_thread.run_sync(subscribe)
        except OSError as error:
            self.error = _stream_error(error)
            return
        try:
            if not self.pace.is_stopped:
                self._go_live()
                self._subscription.start()
                await self._stopped.wait()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._subscription.close)

    def _deliver_changes(self, changes: Changes) -> None:
        """Deliver changes from the reading thread of all streams, which waits until they are processed."""
        assert self._subscription is not None
        try:
            if not self.pace.is_stopped:
                self._deliver(self, changes)
        except Exception as error:  # noqa: BLE001 - raised where the stream is served
            self._failure = error
            self._stopped.set()
        finally:
            self._subscription.mark_processed()

    def _fail(self, error: OSError) -> None:
        self.error = _stream_error(error)
        self._stopped.set()

    async def _read_in_thread(self, paths: Collection[str], source: EventSource, *, recursive: bool) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._stop_when_cancelled)
            await anyio.to_thread.run_sync(self._run, paths, source, recursive, limiter=anyio.CapacityLimiter(1))
            tasks.cancel_scope.cancel()

    async def wait_until_ready(self) -> None:
        """Wait until every path is watched. Raises StreamError if one cannot be."""
        await self._ready.wait()
        if not self._live:
            raise self.error or StreamError(StreamErrorKind.BROKEN, "the stream was stopped before it began")

    async def stop(self) -> None:
        """End the stream and wait until it has ended."""
        self.pace.stop()
        self._stopped.set()
        await self._ended.wait()

    async def _stop_when_cancelled(self) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            self.pace.stop()  # cancelling around the thread itself would wait for its next event

    def _go_live(self) -> None:
        self._live = True
        self._on_live()
        self._ready.set()

    def _run(self, paths: Collection[str], source: EventSource, recursive: bool) -> None:
        for batch in self._batches(paths, source, recursive):
            anyio.from_thread.run_sync(self._deliver, self, batch)
            self.pace.resume()

    def _batches(self, paths: Collection[str], source: EventSource, recursive: bool) -> Iterator[Changes]:
        try:
            yield from source(paths, self.pace, recursive=recursive)
        except (OSError, RuntimeError, UnicodeError) as error:
            self.error = _stream_error(error)


def _stream_error(error: Exception) -> StreamError:
    text = str(error)
    if isinstance(error, FileNotFoundError):
        return StreamError(StreamErrorKind.VANISHED, text)
    if isinstance(error, PermissionError):
        return StreamError(StreamErrorKind.FORBIDDEN, text)
    limits = ("watch limit", "MaxFilesWatch", "os error 28", "os error 24", "No space left", "Too many open files")
    if any(limit in text for limit in limits):
        return StreamError(StreamErrorKind.EXHAUSTED, text)
    return StreamError(StreamErrorKind.BROKEN, text)
