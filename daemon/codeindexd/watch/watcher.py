"""Keeps a root's directories watched, and reports when it cannot.

Guarantee: every change below the root is covered by a hint delivered after the change was made, except writes through
mmap. On every sign of lost events the watcher hints the whole root and demands a walk. New directories go to a second,
"recent" stream; in quiet times both streams are merged into one. A directory is hinted once it is watched, because it
may have changed before.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection, Sequence, Set
from functools import partial
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import structlog
from msgspec import Struct

from codeindexd.scan.relpath import ROOT, collapse
from codeindexd.scan.rule_files import RuleFiles
from codeindexd.waiting import Broadcast, Signal
from codeindexd.watch import filesystem
from codeindexd.watch.change_reader import ChangeReader
from codeindexd.watch.cookies import Cookies
from codeindexd.watch.coverage import Coverage, CoverageUpdate, WatchableDirectories, find_watchable
from codeindexd.watch.environment import EnvironmentMonitor
from codeindexd.watch.inotify import Inotify
from codeindexd.watch.last_batch import LastBatch
from codeindexd.watch.problem_reporter import ProblemReporter, WatchProblem, polling_problem
from codeindexd.watch.restarts import RestartSchedule
from codeindexd.watch.states import WatchState
from codeindexd.watch.stream import SOURCE, Changes, EventSource, Stream, StreamError, StreamErrorKind, burst_threshold
from codeindexd.watch.stream_pair import StreamPair

log = structlog.get_logger(__name__)

_QUIET_S = 60.0
_MERGE_MIN = 64  # with this many recent directories, merge the streams in quiet times
_MERGE_NOW = 512  # with more than this, and more than the main stream has, merge at once
_LONG_S = 3600.0
NO_RULES = RuleFiles()


class _Loss(Struct, frozen=True):
    """The streams to drop before anything else is done: ``stream``, or all streams if it is None."""

    stream: Stream | None
    reason: str


class Watcher:
    """Watches one root; see the module for its guarantee. All methods must be called in the event loop that serves it.

    - ``on_hints(paths)``: paths relative to ``root`` (b"" is the root itself) may have changed.
    - ``on_degraded(message, hint)``: the root, or a part of it, is scanned every ``poll_interval_s`` seconds instead.
    - ``on_recovered()``: that has ended.
    - ``on_root_changed()``: the root vanished, came back or was replaced.

    Cookies are written to the first of ``cookie_dirs`` that can be created. A change of one of the ``rules`` (rule
    files that no watched directory covers) hints the whole root; a change of git's index hints only the index. With
    ``poll``, nothing is watched; with ``recursive``, one stream watches the whole tree.
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
        source: EventSource = SOURCE,
    ) -> None:
        self._root = root
        self._poll_interval_s = poll_interval_s
        self._on_hints = on_hints
        self._problems = ProblemReporter(root, on_degraded, on_recovered)
        self._on_root_changed = on_root_changed
        self._poll = poll
        self._recursive = recursive
        self._allow_long_paths = isinstance(source, Inotify)
        self._reader = ChangeReader(root, cookie_dirs, rules.paths)
        self._cookies = Cookies(cookie_dirs)
        self._environment = EnvironmentMonitor(
            root,
            self._cookies,
            rules,
            on_root=self._root_changed,
            on_mounts=self._mounts_changed,
            on_rules=self._rules_changed,
            on_cookies=self._record_loss,
            on_jump=self._demand_walk,
        )
        self._streams = StreamPair(
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
        self._problem: WatchProblem | None = None  # why the whole root is polled
        self._walk_demand = "not walked yet"
        self._burst = burst_threshold(source, filesystem.inotify_limit("max_queued_events", 16_384))
        self._last_batch = LastBatch()
        self._check_names = False  # whether to look for names that break streams before the next start
        self._restarts = RestartSchedule(poll_interval_s)
        self._poll_at = 0.0
        self._wake = Signal()
        self._adjusted = Broadcast()

    # for the owner

    @property
    def state(self) -> WatchState:
        """How changes are found at present."""
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
        """Record that the whole root was walked. Changes made meanwhile were hinted, so they are scanned again."""
        self._walk_demand = ""

    def set_directories(
        self, directories: Collection[bytes], rules: RuleFiles = NO_RULES, *, whole: bool = False
    ) -> None:
        """Set the directories to watch (relative to the root), after every walk; cheap if they are watched already.

        ``rules`` are the rule files that the walk read. With ``whole``, they replace the known directories. After a
        walk of a part, the others stay as they were last read, so that changes to them are still noticed.
        """
        self._environment.rules = rules if whole else self._environment.rules.with_missing_from(rules)
        self._reader.rules = self._environment.rules.paths
        polled = len(self._coverage.polled)
        self._coverage.set_targets(directories)
        if self._recursive:
            self._coverage.cover_targets()
        elif self._coverage.missing() or len(self._coverage.polled) != polled:
            self._wake.set()

    async def wait_for_events(self, timeout_s: float) -> bool:
        """Wait until the events of all changes made before the call are delivered.

        Returns False if that takes longer than ``timeout_s`` seconds, or if events alone cannot prove it.
        """
        with anyio.move_on_after(timeout_s):
            while self._coverage.missing() and self.state is WatchState.WATCHED:
                await self._adjusted.wait()
            passed = self.state is WatchState.WATCHED and await self._cookies.pass_through(self._streams.live)
            return passed and self.state is WatchState.WATCHED and await self._environment.is_unchanged()
        return False

    # life

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Watch until cancelled. ``task_status`` is set once all later changes will be hinted, by events or polling."""
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
            times.append(self._restarts.wait_s)
        if self._problem or self._coverage.polled:
            times.append(self._poll_at - now)
        if len(self._streams.recent_directories) >= _MERGE_MIN:
            times.append(self._last_batch.arrived_at + _QUIET_S - now)
        return max(0.0, min(times))

    async def _poll_when_due(self) -> None:
        """Hint the polled directories, once in each interval."""
        polled = {ROOT} if self._problem else set(self._coverage.polled)
        if polled and time.monotonic() >= self._poll_at:
            self._poll_at = time.monotonic() + self._poll_interval_s
            found = await anyio.to_thread.run_sync(
                partial(find_watchable, self._root, polled, check_names=True, allow_long_paths=self._allow_long_paths)
            )
            self._coverage.stop_polling(found.paths)
            self._on_hints(collapse(polled))

    # streams

    async def _adjust(self, tasks: anyio.abc.TaskGroup) -> None:
        """Make the streams watch every target that can be watched now."""
        if self._loss is not None:
            await self._drop(self._loss)
        missing = self._coverage.missing()
        merge = self._should_merge(len(missing))
        if not missing and not merge:
            self._recover()
            return
        if self._restarts.is_too_early or not self._environment.root_exists:
            return
        began = time.monotonic()
        try:
            await (self._watch_all(tasks) if merge else self._watch_recent(tasks, missing))
        except StreamError as error:
            self._degrade(self._restarts.record_failure(error))
            return
        self._recover()
        self._restarts.delay_next(len(self._streams.recent_directories))
        log.debug("streams_started", root=str(self._root), merged=merge, seconds=round(time.monotonic() - began, 3))

    def _should_merge(self, missing: int) -> bool:
        """Return True if one stream over all targets should replace both; ``missing`` is how many are unwatched."""
        if self._streams.main is None:
            return True
        recent = len(self._streams.recent_directories)
        if recent + missing > max(_MERGE_NOW, len(self._streams.main.directories)):
            return True
        return recent >= _MERGE_MIN and time.monotonic() >= self._last_batch.arrived_at + _QUIET_S

    async def _watch_all(self, tasks: anyio.abc.TaskGroup) -> None:
        """Start one stream over all targets. Raises StreamError."""
        if reason := await anyio.to_thread.run_sync(filesystem.reason_to_poll, self._root):
            raise StreamError(StreamErrorKind.SILENT, reason)
        with self._coverage.begin_update() as update:
            found = await self._find_watchable(self._coverage.targets)
            if ROOT in found.refused:
                self._environment.request_check()
                raise StreamError(StreamErrorKind.VANISHED, "the root vanished")
            go_live = partial(self._go_live, update, found, includes_refused=True)
            try:
                stream = await self._streams.start(tasks, found, on_live=go_live)
            except StreamError as error:
                if error.kind is not StreamErrorKind.EXHAUSTED or self._streams.main is None:
                    raise
                # both streams together take twice the watches: stop the old one first, and lose the overlap
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
        with self._coverage.begin_update() as update:
            found = await self._find_watchable(keep | missing)
            self._check_names = False
            if not found.paths.keys() & missing:
                update.commit(
                    WatchableDirectories(refused=found.refused & missing, polled=found.polled), includes_refused=False
                )
                return
            go_live = partial(self._go_live, update, found, includes_refused=False)
            stream = await self._streams.start(tasks, found, on_live=go_live)
        self._coverage.keep_covered(self._streams.main.directories | stream.directories)  # some are no longer targets
        if not await self._streams.replace_recent(stream):
            self._demand_walk("a watcher was replaced before it had delivered everything")

    async def _find_watchable(self, directories: Set[bytes]) -> WatchableDirectories:
        find = partial(
            find_watchable,
            self._root,
            directories,
            check_names=self._check_names,
            allow_long_paths=self._allow_long_paths,
        )
        return await anyio.to_thread.run_sync(find)

    def _go_live(self, update: CoverageUpdate, found: WatchableDirectories, *, includes_refused: bool) -> None:
        """Commit the coverage and hint the new directories in one step, so that a cookie proves both."""
        new = found.paths.keys() - self._coverage.covered  # also those replaced while the stream was starting
        update.commit(found, includes_refused=includes_refused)
        self._on_hints([ROOT] if includes_refused else collapse(new))

    async def _drop(self, loss: _Loss) -> None:
        self._loss = None
        self._check_names = loss.stream is not None
        detached = self._streams.detach(loss.stream)
        if self._streams.main is None:
            self._coverage.clear()
        else:
            self._coverage.uncover(detached[0].directories)
        await self._streams.stop_undrained(detached)
        self._demand_walk(loss.reason)

    # changes of state

    def _demand_walk(self, reason: str) -> None:
        log.info("events_may_be_lost", root=str(self._root), reason=reason)
        self._walk_demand = reason
        self._on_hints([ROOT])

    def _record_loss(self, reason: str) -> None:
        self._loss = _Loss(None, reason)
        self._wake.set()

    def _recover(self) -> None:
        self._restarts.record_success()
        self._problem = None
        self._problems.report(polling_problem(self._coverage.polled, self._poll_interval_s))

    def _degrade(self, problem: WatchProblem | None) -> None:
        """Poll the root because of ``problem``; do nothing if it is None."""
        if problem is not None:
            self._problem = problem
            self._poll_at = 0.0
            root = os.fsencode(self._root).decode("utf-8", "backslashreplace")
            until = f"{root} is scanned every {self._poll_interval_s:g} s until that ends"
            self._problems.report(WatchProblem(f"{problem.message}; {until}", problem.hint))

    # what the streams report

    def _deliver(self, stream: Stream, changes: Changes) -> None:
        effects = self._reader.read(changes, self._coverage.covered, self._coverage.refused)
        self._coverage.record_changes(effects.hints)
        count = self._last_batch.recent_count(len(changes))
        if count >= self._burst:
            self._demand_walk(f"{count} events at once")
        elif effects.hints:
            self._on_hints(effects.hints)
        if effects.hints:
            self._last_batch.record(len(changes))
        if not self._recursive and self._coverage.forget(effects.moved):
            self._wake.set()
        self._cookies.mark_delivered(stream, effects.cookies)
        if effects.root_gone:
            self._environment.request_check(gone=True)

    def _stream_stalled(self, seconds: float) -> None:
        if seconds < float("inf"):
            self._demand_walk(f"events were not read for {seconds:.1f} s")
        else:
            self._record_loss("the kernel's event queue overflowed")

    def _stream_broke(self, stream: Stream, error: StreamError) -> None:
        self._cookies.forget(stream, drained=False)
        if stream in self._streams.live:
            self._degrade(self._restarts.record_break(str(error)))
            self._loss = _Loss(stream, str(error))
            self._wake.set()

    # what the environment monitor reports

    def _root_changed(self, message: str) -> None:
        self._restarts.allow_now()
        self._record_loss(message)
        self._on_root_changed()

    def _mounts_changed(self, points: Set[bytes]) -> None:
        """Hint the mount points: they contain other files now, and existing watches are on the hidden directories."""
        if ROOT in points:
            self._restarts.allow_now()
            self._record_loss("a file system was mounted over the root, or unmounted")
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
