"""Keeps a root's directories watched, and reports when it cannot.

Guarantee: a change below the root is covered by a hint delivered after it was made, except what is written through
mmap. On every sign of lost events the watcher hints the whole root and demands a walk. New directories go to a second,
"recent" stream; in quiet times both streams are folded into one. Whatever becomes watched is hinted afterwards, for
what happened to it before.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection, Sequence, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import structlog

from codeindexd.scan.relpath import ROOT, collapse
from codeindexd.scan.rule_files import RuleFiles
from codeindexd.waiting import Broadcast, Signal
from codeindexd.watch import filesystem
from codeindexd.watch.cookies import Cookies
from codeindexd.watch.coverage import Coverage, Look, Usable, usable
from codeindexd.watch.environment import EnvironmentMonitor
from codeindexd.watch.event_rate import EventRate
from codeindexd.watch.events import ChangeReader
from codeindexd.watch.inotify import Inotify
from codeindexd.watch.problems import Problem, Problems, polled_parts
from codeindexd.watch.retries import Retries
from codeindexd.watch.states import WatchState
from codeindexd.watch.stream import SOURCE, Changes, Source, Stream, StreamError, Trouble, suspicious_burst
from codeindexd.watch.streams import Streams

log = structlog.get_logger(__name__)

_QUIET_S = 60.0
_FOLD_MIN = 64  # recent directories worth a fold in quiet times
_FOLD_NOW = 512  # more than these, and than the main stream has, are folded at once
_LONG_S = 3600.0
NO_RULES = RuleFiles()


@dataclass(frozen=True, slots=True)
class _Loss:
    """Streams to drop before anything else is done: ``stream``, or all of them if None."""

    stream: Stream | None
    reason: str


class Watcher:
    """Watches one root; see the module for its guarantee. All methods belong to the event loop that serves it.

    ``on_hints`` gets paths relative to ``root`` (``b""`` is the root itself). ``on_degraded(message, hint)`` is called
    when (part of) the root is scanned every ``poll_interval_s`` seconds instead, ``on_recovered`` when that ends,
    ``on_root_changed`` when the root vanished, came back or was replaced. Cookies are written to the
    first of ``cookie_dirs`` that can be created. A change of the ``rules`` hints the whole root; of git's index, only
    that.
    """

    def __init__(
        self,
        root: Path,
        *,
        cookie_dirs: Sequence[Path],
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
        self._any_length = isinstance(source, Inotify)
        self._reader = ChangeReader(root, cookie_dirs, rules.paths)
        self._cookies = Cookies(cookie_dirs)
        self._environment = EnvironmentMonitor(
            root,
            self._cookies,
            rules,
            on_root=self._root_changed,
            on_mounts=self._mounts_changed,
            on_rules=self._rules_changed,
            on_cookies=self._lose_all,
            on_jump=self._demand_walk,
        )
        self._streams = Streams(
            root,
            self._cookies,
            self._reader,
            source,
            recursive=recursive,
            deliver=self._deliver,
            on_stall=self._stream_stalled,
            on_broken=self._stream_broke,
        )
        self._coverage = Coverage()
        self._loss: _Loss | None = None
        self._problem: Problem | None = None  # why all of the root is polled
        self._walk_demand = "not walked yet"
        self._burst = suspicious_burst(source, filesystem.limit("max_queued_events", 16_384))
        self._rate = EventRate()
        self._check_names = False  # whether the next look searches directories for names that break streams
        self._retries = Retries(poll_interval_s)
        self._poll_at = 0.0
        self._wake = Signal()
        self._adjusted = Broadcast()

    # what the owner asks and reports

    @property
    def state(self) -> WatchState:
        """How changes are found at the moment."""
        if self._poll or self._problem is not None:
            return WatchState.POLLED
        if self._loss is not None or self._streams.main is None:
            return WatchState.UNWATCHED
        return WatchState.WATCHED

    @property
    def reason_to_walk(self) -> str:
        """Why only a full walk can tell that no change was missed; "" if events are enough."""
        if reason := self._walk_demand or self.state.value:
            return reason
        return "some directories are polled" if self._coverage.polled else ""

    @property
    def needs_walk(self) -> bool:
        """True if only a full walk can tell that no change was missed."""
        return bool(self.reason_to_walk)

    def mark_walked(self) -> None:
        """Record that the whole root was walked; what changed meanwhile was hinted and is walked again."""
        self._walk_demand = ""

    def set_directories(
        self, directories: Collection[bytes], rules: RuleFiles = NO_RULES, *, whole: bool = False
    ) -> None:
        """Set the directories to watch, after every walk; cheap when they are watched already.

        ``rules`` are those that the walk read, and ``whole`` means that no others count any more. A walk of a part
        leaves the other known rules as they were read before, so that a change of theirs is still noticed.
        """
        self._environment.rules = rules if whole else self._environment.rules.completed(rules)
        self._reader.rules = self._environment.rules.paths
        polled = len(self._coverage.polled)
        self._coverage.set_targets(directories)
        if self._recursive:
            self._coverage.cover_targets()
        elif self._coverage.missing() or len(self._coverage.polled) != polled:
            self._wake.set()

    async def events_delivered(self, timeout_s: float) -> bool:
        """Return True if every event of earlier changes was delivered within ``timeout_s`` seconds."""
        with anyio.move_on_after(timeout_s):
            while self._coverage.missing() and self.state is WatchState.WATCHED:
                await self._adjusted.wait()
            passed = self.state is WatchState.WATCHED and await self._cookies.pass_through(self._streams.live)
            return passed and self.state is WatchState.WATCHED and await self._environment.is_unchanged()
        return False

    # life

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Watch until cancelled; started when changes from now on will be hinted, by events or by polling."""
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._environment.serve)
            if self._poll:
                log.info("root_polled", root=str(self._root), interval_s=self._poll_interval_s)
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
            with anyio.move_on_after(self._seconds_to_next_step()):
                await self._wake.wait()
            await self._poll_when_due()

    def _seconds_to_next_step(self) -> float:
        now = time.monotonic()
        times = [_LONG_S]
        if self._environment.root_exists and (self._coverage.missing() or self._streams.main is None):
            times.append(self._retries.wait_s)
        if self._problem or self._coverage.polled:
            times.append(self._poll_at - now)
        if len(self._streams.recent_directories) >= _FOLD_MIN:
            times.append(self._rate.last_event_at + _QUIET_S - now)
        return max(0.0, min(times))

    async def _poll_when_due(self) -> None:
        """Hint what is polled, once in each interval."""
        polled = {ROOT} if self._problem else set(self._coverage.polled)
        if polled and time.monotonic() >= self._poll_at:
            self._poll_at = time.monotonic() + self._poll_interval_s
            found = await anyio.to_thread.run_sync(
                partial(usable, self._root, polled, look_inside=True, any_length=self._any_length)
            )
            self._coverage.stop_polling(found.paths)
            self._on_hints(collapse(polled))

    # streams

    async def _adjust(self, tasks: anyio.abc.TaskGroup) -> None:
        """Make the streams watch every target that can be watched now."""
        if self._loss is not None:
            await self._drop(self._loss)
        missing = self._coverage.missing()
        fold = self._must_fold(len(missing))
        if not missing and not fold:
            self._recover()
            return
        if self._retries.too_early or not self._environment.root_exists:
            return
        began = time.monotonic()
        try:
            await (self._watch_all(tasks) if fold else self._watch_recent(tasks, missing))
        except StreamError as error:
            self._degrade(self._retries.failed(error))
            return
        self._recover()
        self._retries.rest(len(self._streams.recent_directories))
        log.debug("streams_started", root=str(self._root), fold=fold, seconds=round(time.monotonic() - began, 3))

    def _must_fold(self, missing: int) -> bool:
        """Return True if one stream over everything should replace the present ones."""
        if self._streams.main is None:
            return True
        recent = len(self._streams.recent_directories)
        if recent + missing > max(_FOLD_NOW, len(self._streams.main.directories)):
            return True
        return recent >= _FOLD_MIN and time.monotonic() >= self._rate.last_event_at + _QUIET_S

    async def _watch_all(self, tasks: anyio.abc.TaskGroup) -> None:
        """Start one stream over all targets. Raises StreamError."""
        if reason := await anyio.to_thread.run_sync(filesystem.reason_to_poll, self._root):
            raise StreamError(Trouble.SILENT, reason)
        with self._coverage.look() as look:
            found = await self._usable(self._coverage.targets)
            if ROOT in found.refused:
                self._environment.look()
                raise StreamError(Trouble.VANISHED, "the root vanished")
            go_live = partial(self._go_live, look, found, retry_refused=True)
            try:
                stream = await self._streams.start(tasks, found, on_live=go_live)
            except StreamError as error:
                if error.trouble is not Trouble.EXHAUSTED or self._streams.main is None:
                    raise
                # old and new streams together take twice the watches: do without the overlap
                await self._drop(_Loss(None, "watches had to be freed"))
                stream = await self._streams.start(tasks, found, on_live=go_live)
        self._check_names = False
        if not await self._streams.replace_all(stream):
            self._demand_walk("a watcher was replaced before it had delivered everything")
        self._coverage.keep_covered(self._coverage.targets if self._recursive else stream.directories)

    async def _watch_recent(self, tasks: anyio.abc.TaskGroup, missing: Set[bytes]) -> None:
        """Start a recent stream that also watches ``missing``. Raises StreamError."""
        assert self._streams.main is not None
        keep = self._streams.recent_directories & self._coverage.covered & self._coverage.targets
        with self._coverage.look() as look:
            found = await self._usable(keep | missing)
            self._check_names = False
            if not found.paths.keys() & missing:
                look.take(Usable(refused=found.refused & missing, polled=found.polled), retry_refused=False)
                return
            go_live = partial(self._go_live, look, found, retry_refused=False)
            stream = await self._streams.start(tasks, found, on_live=go_live)
        self._coverage.keep_covered(self._streams.main.directories | stream.directories)  # others were no targets
        if not await self._streams.replace_recent(stream):
            self._demand_walk("a watcher was replaced before it had delivered everything")

    async def _usable(self, directories: Set[bytes], *, look_inside: bool | None = None) -> Usable:
        inside = self._check_names if look_inside is None else look_inside
        look = partial(usable, self._root, directories, look_inside=inside, any_length=self._any_length)
        return await anyio.to_thread.run_sync(look)

    def _go_live(self, look: Look, found: Usable, *, retry_refused: bool) -> None:
        """Hint what became watched in the same step: from now on a cookie proves that everything is known."""
        new = found.paths.keys() - self._coverage.covered  # also what was replaced while the stream was started
        look.take(found, retry_refused=retry_refused)
        self._on_hints([ROOT] if retry_refused else collapse(new))

    async def _drop(self, loss: _Loss) -> None:
        self._loss = None
        self._check_names = loss.stream is not None
        detached = self._streams.detach(loss.stream)
        if self._streams.main is None:
            self._coverage.clear()
        else:
            self._coverage.uncover(detached[0].directories)
        await self._streams.stop_lost(detached)
        self._demand_walk(loss.reason)

    # changes of state

    def _demand_walk(self, reason: str) -> None:
        log.info("events_may_be_lost", root=str(self._root), reason=reason)
        self._walk_demand = reason
        self._on_hints([ROOT])

    def _lose_all(self, reason: str) -> None:
        self._loss = _Loss(None, reason)
        self._wake.set()

    def _recover(self) -> None:
        self._retries.succeeded()
        self._problem = None
        self._problems.report(polled_parts(self._coverage.polled, self._poll_interval_s))

    def _degrade(self, problem: Problem | None) -> None:
        """Poll the root because of ``problem``, if there is one."""
        if problem is not None:
            self._problem = problem
            self._poll_at = 0.0
            root = os.fsencode(self._root).decode("utf-8", "backslashreplace")
            until = f"{root} is scanned every {self._poll_interval_s:g} s until that ends"
            self._problems.report((f"{problem[0]}; {until}", problem[1]))

    # what the streams report

    def _deliver(self, stream: Stream, changes: Changes) -> None:
        news = self._reader.read(changes, self._coverage.covered, self._coverage.refused)
        self._coverage.record_changes(news.hints)
        count = self._rate.with_previous(len(changes))
        if count >= self._burst:
            self._demand_walk(f"{count} events at once")
        elif news.hints:
            self._on_hints(news.hints)
        if news.hints:
            self._rate.record(len(changes))
        if not self._recursive and self._coverage.forget(news.moved):
            self._wake.set()
        self._cookies.seen(stream, news.cookies)
        if news.root_gone:
            self._environment.look(gone=True)

    def _stream_stalled(self, seconds: float) -> None:
        if seconds < float("inf"):
            self._demand_walk(f"events were not read for {seconds:.1f} s")
        else:
            self._lose_all("the kernel's event queue overflowed")

    def _stream_broke(self, stream: Stream, error: StreamError) -> None:
        self._cookies.forget(stream, delivered=False)
        if stream in self._streams.live:
            self._degrade(self._retries.broke(str(error)))
            self._loss = _Loss(stream, str(error))
            self._wake.set()

    # what the environment monitor reports

    def _root_changed(self, message: str) -> None:
        self._retries.at_once()
        self._lose_all(message)
        self._on_root_changed()

    def _mounts_changed(self, points: Set[bytes]) -> None:
        """Hint these mount points: other files are there now, and existing watches are on the hidden ones."""
        if ROOT in points:
            self._retries.at_once()
            self._lose_all("a file system was mounted over the root, or unmounted")
            return
        log.info("mounts_changed", root=str(self._root), points=sorted(points))
        self._coverage.record_changes(points)
        self._on_hints(points)
        if self._coverage.forget(points):
            self._wake.set()

    def _rules_changed(self, hints: Set[bytes]) -> None:
        if ROOT in hints:
            log.info("ignore_rules_changed", root=str(self._root))
        self._on_hints(collapse(hints))
