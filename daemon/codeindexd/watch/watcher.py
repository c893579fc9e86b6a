"""Keeps a root's directories watched, whatever happens to them, and says when it cannot.

What is promised: a change below the root is covered by a hint delivered after it was made, except what is written
through mmap. Every sign of lost events makes the watcher ``suspicious`` and hints the whole root. A stream cannot be
extended, so new directories go to a second, "recent" one; in quiet times both are folded into one.

Two rules make swaps safe. A stream is stopped only after the event of a cookie that was written while its successor
was already live: nothing falls between them. And what becomes watched is hinted after, for what happened to it before.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection, Set
from functools import partial
from pathlib import Path

import anyio
import anyio.abc
import structlog

from codeindexd.scan.relpath import ROOT, collapse
from codeindexd.scan.rule_files import RuleFiles
from codeindexd.waiting import Broadcast, Signal
from codeindexd.watch import filesystem
from codeindexd.watch.cookies import Cookies
from codeindexd.watch.coverage import Coverage, Usable, usable
from codeindexd.watch.events import Reader
from codeindexd.watch.guard import EnvironmentMonitor
from codeindexd.watch.problems import Problem, Problems, polled_parts
from codeindexd.watch.retries import Retries
from codeindexd.watch.stream import SOURCE, Changes, Source, Stream, StreamError, Trouble, suspicious_burst

log = structlog.get_logger(__name__)

_QUIET_S = 60.0
_FOLD_MIN = 64  # recent directories worth a fold in quiet times
_FOLD_NOW = 512  # more than these, and than the main stream has, are folded at once
_DRAIN_S = 2.0
_LONG_S = 3600.0
NO_RULES = RuleFiles()


class Watcher:
    """Watches one root; see the module for its promise. All methods belong to the event loop that serves it.

    ``on_hints`` gets paths relative to ``root`` (``b""`` is the root itself). ``on_degraded(message, hint)`` is called
    when (part of) the root is looked at every ``poll_interval_s`` seconds instead, ``on_recovered`` when that ends,
    ``on_root_changed`` when the root vanished, came back or became another directory. ``cookie_dir`` must lie outside
    of every root. A change of the ``rules`` hints the whole root.
    """

    def __init__(
        self,
        root: Path,
        *,
        cookie_dir: Path,
        poll_interval_s: float,
        on_hints: Callable[[Collection[bytes]], None],
        on_degraded: Callable[[str, str], None],
        on_recovered: Callable[[], None],
        on_root_changed: Callable[[], None],
        poll: bool = False,
        rules: RuleFiles = NO_RULES,
        recursive: bool = sys.platform == "darwin",
        source: Source = SOURCE,
    ) -> None:
        self._root = root
        self._poll_interval_s = poll_interval_s
        self._on_hints = on_hints
        self._problems = Problems(root, on_degraded, on_recovered)
        self._on_root_changed = on_root_changed
        self._poll = poll
        self._recursive = recursive
        self._source = source
        self._reader = Reader(root, cookie_dir, rules.paths)
        self._cookies = Cookies(cookie_dir)
        self._guard = EnvironmentMonitor(
            root,
            self._cookies,
            rules,
            on_root=self._take_root,
            on_mounts=self._take_mounts,
            on_rules=self._take_rules,
            on_cookies=self._lose_all,
            on_jump=self._suspect,
        )
        self._burst = suspicious_burst(filesystem.limit("max_queued_events", 16_384))
        self._suspicion = "not walked yet"
        self._coverage = Coverage()
        self._streams: list[Stream] = []  # the main one first, then the recent one
        self._broken: tuple[Stream | None, str] | None = None
        self._look_inside = False
        self._retries = Retries(poll_interval_s)
        self._problem: Problem | None = None  # why all of the root is polled
        self._poll_at = 0.0
        self._last_event = time.monotonic()
        self._last_count = 0
        self._wake = Signal()
        self._adjusted = Broadcast()

    # what the owner asks and tells

    @property
    def suspicion(self) -> str:
        """Why events may have been lost since the last full walk; "" when there was no sign of it."""
        if self._suspicion:
            return self._suspicion
        if self._problem or self._poll:
            return "the root is polled"
        if not self._streams or self._broken is not None:
            return "the root is not watched at the moment"
        return "some directories are polled" if self._coverage.polled else ""

    @property
    def suspicious(self) -> bool:
        """Whether only a walk can tell that nothing was missed."""
        return bool(self.suspicion)

    def mark_walked(self) -> None:
        """The whole root was walked; what happened meanwhile has been hinted and is walked again."""
        self._suspicion = ""

    def set_directories(
        self, directories: Collection[bytes], rules: RuleFiles = NO_RULES, *, whole: bool = False
    ) -> None:
        """The directories to watch, after every walk; cheap when they are the ones that are watched already.

        ``rules`` are those that it read; ``whole``: no others count any more. A walk of a part leaves
        those that are known as the other parts have them, so that a change is noticed.
        """
        self._guard.rules = rules if whole else self._guard.rules.completed(rules)
        self._reader.rules = self._guard.rules.paths
        polled = len(self._coverage.polled)
        self._coverage.want(directories)
        if self._recursive:
            self._coverage.covered = set(self._coverage.wanted)
        elif self._coverage.missing() or len(self._coverage.polled) != polled:
            self._wake.set()

    async def cookie(self, timeout: float) -> bool:  # noqa: ASYNC109 - it answers False, it does not raise
        """Whether every event of a change made before this call has been delivered within ``timeout`` seconds."""
        with anyio.move_on_after(timeout):
            while self._coverage.missing() and self._can_pass():
                await self._adjusted.wait()
            passed = self._can_pass() and await self._cookies.pass_through(self._streams)
            return passed and self._can_pass() and await self._guard.is_same()
        return False

    def _can_pass(self) -> bool:
        return bool(self._streams) and self._broken is None and self._problem is None

    # life

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Watch until cancelled; started when changes from now on will be hinted, by events or by polling."""
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._guard.serve)
            if self._poll:
                log.info("polling", root=str(self._root), interval_s=self._poll_interval_s)
                task_status.started()
                while True:
                    await anyio.sleep(self._poll_interval_s)
                    self._on_hints([ROOT])
            await self._keep_watching(tasks, task_status)

    async def _keep_watching(self, tasks: anyio.abc.TaskGroup, task_status: anyio.abc.TaskStatus[None]) -> None:
        started = False
        while True:
            await self._adjust(tasks)
            self._adjusted.notify_all()
            if not started:
                started = True
                task_status.started()
            with anyio.move_on_after(self._patience()):
                await self._wake.wait()
            polled = {ROOT} if self._problem else set(self._coverage.polled)
            if polled and time.monotonic() >= self._poll_at:
                self._poll_at = time.monotonic() + self._poll_interval_s
                found = await anyio.to_thread.run_sync(partial(usable, self._root, polled, look_inside=True))
                self._coverage.unpoll(found)
                self._on_hints(collapse(polled))

    def _patience(self) -> float:
        """Seconds until something has to be done unasked."""
        now = time.monotonic()
        times = [_LONG_S]
        if self._guard.root_exists and (self._coverage.missing() or not self._streams):
            times.append(self._retries.wait_s)
        if self._problem or self._coverage.polled:
            times.append(self._poll_at - now)
        if len(self._recent()) >= _FOLD_MIN:
            times.append(self._last_event + _QUIET_S - now)
        return max(0.0, min(times))

    # streams

    def _recent(self) -> frozenset[bytes]:
        return self._streams[1].directories if len(self._streams) > 1 else frozenset()

    async def _adjust(self, tasks: anyio.abc.TaskGroup) -> None:
        """Make the streams watch what is wanted, as far as that is possible now."""
        if self._broken is not None:
            await self._drop(*self._broken)
        missing = self._coverage.missing()
        fold = self._must_fold(len(missing))
        if not missing and not fold:
            self._recover()
            return
        if self._retries.too_early or not self._guard.root_exists:
            return
        began = time.monotonic()
        try:
            await (self._watch_all(tasks) if fold else self._watch_recent(tasks, missing))
        except StreamError as error:
            self._degrade(self._retries.failed(error))
            return
        finally:
            self._coverage.look_ends()
        self._recover()
        self._retries.rest(len(self._recent()))
        log.debug("watching", root=str(self._root), fold=fold, seconds=round(time.monotonic() - began, 3))

    def _must_fold(self, missing: int) -> bool:
        if not self._streams:
            return True
        recent = len(self._recent())
        if recent + missing > max(_FOLD_NOW, len(self._streams[0].directories)):
            return True
        return recent >= _FOLD_MIN and time.monotonic() >= self._last_event + _QUIET_S

    async def _watch_all(self, tasks: anyio.abc.TaskGroup) -> None:
        """One stream over everything wanted. Raises StreamError."""
        if reason := await anyio.to_thread.run_sync(filesystem.reason_to_poll, self._root):
            raise StreamError(Trouble.SILENT, reason)
        found = await self._usable(self._coverage.wanted)
        if ROOT in found.refused:
            self._guard.look()
            raise StreamError(Trouble.VANISHED, "the root vanished")
        try:
            stream = await self._start(tasks, found, afresh=True)
        except StreamError as error:
            if error.trouble is not Trouble.EXHAUSTED or not self._streams:
                raise
            # old and new streams together take twice the watches: do without the overlap
            await self._drop(None, "watches had to be freed")
            stream = await self._start(tasks, found, afresh=True)
        self._look_inside = False
        former, self._streams = self._streams, [stream]
        await self._retire(former)
        self._coverage.covered &= self._coverage.wanted if self._recursive else stream.directories

    async def _watch_recent(self, tasks: anyio.abc.TaskGroup, missing: Set[bytes]) -> None:
        """A recent stream over ``missing`` too. Raises StreamError."""
        keep = self._recent() & self._coverage.covered & self._coverage.wanted
        found = await self._usable(keep | missing)
        self._look_inside = False
        if not found.paths.keys() & missing:
            self._coverage.take(Usable(refused=found.refused & missing, polled=found.polled), afresh=False)
            return
        stream = await self._start(tasks, found, afresh=False)
        former, self._streams[1:] = self._streams[1:], [stream]
        self._coverage.covered &= self._streams[0].directories | stream.directories  # others were not wanted
        await self._retire(former)

    async def _usable(self, directories: Set[bytes]) -> Usable:
        self._coverage.look_begins()
        return await anyio.to_thread.run_sync(partial(usable, self._root, directories, look_inside=self._look_inside))

    async def _start(self, tasks: anyio.abc.TaskGroup, found: Usable, *, afresh: bool) -> Stream:
        def go_live() -> None:  # the hint comes in the same moment: from now on a cookie says that all is known
            new = found.paths.keys() - self._coverage.covered  # also what was replaced while the stream was started
            self._coverage.take(found, afresh=afresh)
            self._on_hints([ROOT] if afresh else collapse(new))

        try:
            self._cookies.prepare()
        except OSError as error:
            raise StreamError(Trouble.BROKEN, f"no cookie directory: {error}") from error
        stream = Stream(
            found.paths, on_live=go_live, deliver=self._take, on_stall=self._take_stall, on_broken=self._take_break
        )
        paths = [str(self._root)] if self._recursive else list(found.paths.values())
        paths.append(str(self._cookies.directory))
        if not self._recursive:  # that may be the user's home with all that is below it
            paths += await anyio.to_thread.run_sync(self._reader.rule_directories)
        tasks.start_soon(partial(stream.serve, paths, self._source, recursive=self._recursive))
        await stream.ready()
        return stream

    async def _retire(self, former: Collection[Stream]) -> None:
        """Stop streams whose successor is live, each once it has delivered everything older than that."""
        self._cookies.leaving.update(former)
        for stream in former:
            drained = False
            with anyio.move_on_after(_DRAIN_S):
                drained = await self._cookies.pass_through([stream])
            self._cookies.forget(stream, delivered=drained)
            await stream.stop()
            if not drained:
                self._suspect("a watcher was replaced before it had delivered everything")

    async def _drop(self, broken: Stream | None, reason: str) -> None:
        """Give up a broken stream (None: all of them); what it had not delivered is lost."""
        self._broken = None
        self._look_inside = broken is not None
        if broken is not None and broken in self._streams[1:]:
            dropped = [broken]
            self._coverage.covered -= broken.directories
        else:
            dropped = self._streams
            self._coverage.clear()
        self._streams = [stream for stream in self._streams if stream not in dropped]
        for stream in dropped:
            self._cookies.forget(stream, delivered=False)
            await stream.stop()
        self._suspect(reason)

    # trouble

    def _suspect(self, reason: str) -> None:
        log.info("events may be lost", root=str(self._root), reason=reason)
        self._suspicion = reason
        self._on_hints([ROOT])

    def _recover(self) -> None:
        self._retries.succeeded()
        self._problem = None
        self._problems.tell(polled_parts(self._coverage.polled, self._poll_interval_s))

    def _degrade(self, problem: Problem | None) -> None:
        """Poll because of ``problem``, if there is one."""
        if problem is not None:
            self._problem = problem
            self._poll_at = 0.0
            root = os.fsencode(self._root).decode("utf-8", "backslashreplace")
            until = f"{root} is looked at every {self._poll_interval_s:g} s until that ends"
            self._problems.tell((f"{problem[0]}; {until}", problem[1]))

    # what the streams and the guard tell

    def _take(self, stream: Stream, changes: Changes) -> None:
        news = self._reader.read(changes, self._coverage.covered, self._coverage.refused)
        self._coverage.stir(news.hints)
        now = time.monotonic()
        count = len(changes) + (self._last_count if now - self._last_event < 1.0 else 0)
        if count >= self._burst:
            self._suspect(f"{count} events at once")
        elif news.hints:
            self._on_hints(news.hints)
        if news.hints:
            self._last_event, self._last_count = now, len(changes)
        if not self._recursive and self._coverage.forget(news.moved):
            self._wake.set()
        self._cookies.seen(stream, news.cookies)
        if news.root_gone:
            self._guard.look(gone=True)

    def _take_stall(self, seconds: float) -> None:
        if seconds < float("inf"):
            self._suspect(f"no look at events for {seconds:.1f} s")
        else:
            self._lose_all("the kernel's queue of events overflowed")

    def _take_break(self, stream: Stream, error: StreamError) -> None:
        self._cookies.forget(stream, delivered=False)
        if stream in self._streams:
            self._degrade(self._retries.broke(str(error)))
            self._broken = (stream, str(error))
            self._wake.set()

    def _take_root(self, message: str) -> None:
        self._retries.at_once()
        self._lose_all(message)
        self._on_root_changed()

    def _take_mounts(self, points: Set[bytes]) -> None:
        """Below these there are other files now; and the watches, if any, are on those that are hidden."""
        if ROOT in points:
            self._retries.at_once()
            self._lose_all("something was mounted over the root, or taken away")
            return
        log.info("file systems came or went", root=str(self._root), points=sorted(points))
        self._coverage.stir(points)
        self._on_hints(points)
        if self._coverage.forget(points):
            self._wake.set()

    def _take_rules(self) -> None:
        log.info("rules changed", root=str(self._root))
        self._on_hints([ROOT])

    def _lose_all(self, reason: str) -> None:
        self._broken = (None, reason)
        self._wake.set()
