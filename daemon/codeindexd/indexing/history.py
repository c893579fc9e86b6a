"""Keeps the history of one root as complete and as new as its repository, in the background."""

from __future__ import annotations

import asyncio
import math
import os
import random
import shlex
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import numpy as np
import structlog

from codeindexd.analysis.history.mailmap import Mailmap
from codeindexd.analysis.history.packed_ids import PackedIds, packed
from codeindexd.analysis.history.record import IndexedCommit
from codeindexd.errors import (
    CodeindexError,
    FailedError,
    NoHistoryError,
    StoreDamagedError,
    StoreFullError,
    place_of,
)
from codeindexd.indexing import mailmaps
from codeindexd.indexing.history_jobs import BATCH_COMMITS, HistoryJobs
from codeindexd.indexing.history_requests import WalkAnswer, WalkRequest
from codeindexd.indexing.history_status import HistoryCheck, HistoryPhase, HistorySettings, HistoryStatus
from codeindexd.indexing.reference_watch import ReferenceWatch
from codeindexd.indexing.wanted_commits import WantedCommits, WantedCommitsFinder
from codeindexd.storage.history import HistorySnapshot, HistoryStore, View
from codeindexd.storage.history.codec import Numbers
from codeindexd.storage.history.stores import HistoryStores
from codeindexd.waiting import Backoff, Broadcast, Gate, Signal
from codeindexd.watch import filesystem, rounds
from codeindexd.workers.pool import WorkerPool

log = structlog.get_logger(__name__)
_STORED_TOGETHER = 1024
_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 300.0
_MOST_VERIFIED, _NEWEST_VERIFIED = 5000, 1000  # commits that are read again by verify
_NEWEST_MISSING = "the newest commits may be missing: they are being indexed"
_UNFINISHED = "the history was not compared: it is still being indexed"
_SHORT_HISTORY = 1000  # commits that a sync waits for
_CODE_FIRST_S = 10.0  # that a sync waits once the code is up to date; new stats are written in less
_CATCH_UP_S = 1.0  # that a question waits for commits made before it
_REST_S = 5.0  # without commits, before a store is tidied
_POLL_S = 10.0  # on file systems that are slow to ask


class HistoryIndexer:
    """The history of one root. Methods must be called in the event loop, except for those marked as blocking.

    - ``is_ready()``: True once the code of the root is indexed; ``on_state`` reports that this may have changed.
    - ``on_progress()`` is called when the status has changed.
    """

    def __init__(
        self,
        root_id: str,
        path: Path,
        pool: WorkerPool,
        stores: HistoryStores,
        settings: HistorySettings,
        *,
        is_ready: Callable[[], bool],
        on_state: Broadcast,
        on_progress: Callable[[], None],
    ) -> None:
        self._root_id = root_id
        self._path = path
        self._stores = stores
        self._settings = settings
        self._is_ready = is_ready
        self._on_state = on_state
        self._on_progress = on_progress
        self._gate = Gate(is_open=True)
        self._jobs = HistoryJobs(path, pool, self._gate)
        self._wake = Signal()
        self._updated = Broadcast()
        self._requested, self._done = 1, 0  # the first update needs no request
        self._watch = ReferenceWatch(lambda: self._loop.call_soon_threadsafe(self._request))
        self._finder = WantedCommitsFinder(root_id, path, settings, self._jobs, stores)
        self._error: CodeindexError | None = None
        self._view: View | None = None
        self._known = 0
        self._needs_tidying = self._has_been_complete = False
        self._phase = HistoryPhase.WAITING if settings.enabled else HistoryPhase.OFF
        self._loop: asyncio.AbstractEventLoop

    # queries

    @property
    def path(self) -> Path:
        """The directory whose history this is: the root, or that of a repository inside it."""
        return self._path

    @property
    def is_settled(self) -> bool:
        """True if the history was read, or cannot be read now."""
        return self._has_been_complete or self._error is not None or self._phase is HistoryPhase.OFF

    @property
    def is_available(self) -> bool:
        """True unless the history is switched off, or there is no repository that can be read. Any thread may ask."""
        return self._phase not in (HistoryPhase.OFF, HistoryPhase.UNAVAILABLE)

    def status(self) -> HistoryStatus:
        """Return the present status. Any thread may call."""
        view, error = self._view, self._error
        reason, hint = (error.message, error.hint) if error else ("", "")
        if view is None or self._phase is HistoryPhase.UNAVAILABLE:
            return HistoryStatus(self._phase, reason=reason, hint=hint)
        return HistoryStatus(
            self._phase,
            commits=min(self._known, view.wanted),
            total=view.wanted,
            branch=view.branch,
            is_truncated=view.is_truncated,
            is_shallow=view.is_shallow,
            missing=view.missing,
            unreadable=view.unreadable,
            reason=reason,
            hint=hint,
        )

    @contextmanager
    def snapshot(self) -> Iterator[HistorySnapshot]:
        """Provide the present history of the root inside the block. Blocking: may open the store.

        Raises NoHistoryError if there is none, or not yet.
        """
        self.check_availability()
        key = self._stores.key_of(self._root_id)
        if key is None:
            raise self._not_yet()
        with self._stores.use(key) as store:
            view = store.view_of(self._root_id)
            snapshot = store.snapshot(self._root_id, _mailmap_of(view)) if view is not None else None
            if snapshot is None:  # the store was damaged and started empty
                self._loop.call_soon_threadsafe(self._request)
                raise self._not_yet()
            yield snapshot

    def database(self) -> Path | None:
        """Return the database of the store that has the commits of the root, None before it was read. Blocking."""
        key = self._stores.key_of(self._root_id)
        return self._stores.database_of(key) if key is not None else None

    def check_availability(self) -> None:
        """Raise NoHistoryError if the root has no history, and will have none unless something is done."""
        if self._phase is HistoryPhase.OFF:
            raise NoHistoryError(
                "the history is switched off", hint="set enabled = true under [history] in config.toml"
            )
        if self._phase is HistoryPhase.UNAVAILABLE and self._error is not None:
            raise NoHistoryError(self._error.message, hint=self._error.hint)

    def _not_yet(self) -> NoHistoryError:
        if self._error is not None:
            return NoHistoryError(self._error.message, hint=self._error.hint)
        why = "the code comes first" if self._is_behind_the_code else "it is being read"
        return NoHistoryError(
            f"the history of {self._path} is not indexed yet: {why}",
            hint="try again in a moment; to see the progress: codeindex status",
        )

    # requests

    def pause(self) -> None:
        """Read nothing more until :meth:`resume`."""
        self._gate.close()

    def resume(self) -> None:
        """Continue after :meth:`pause`."""
        self._gate.open()

    async def sync(self, *, completely: bool = False) -> None:
        """Wait until all commits made before the call are indexed.

        Return early while a long history is read for the first time, and if the code, which comes first, is not up to
        date after ten seconds. With ``completely``, wait for both, however long that takes.
        """
        if self._phase is HistoryPhase.OFF:
            return
        with anyio.move_on_after(math.inf if completely else _CODE_FIRST_S):
            while self._is_behind_the_code:
                await self._on_state.wait()
        if self._is_behind_the_code:
            return
        if await anyio.to_thread.run_sync(self._watch.seems_changed):
            self._request()
        target = self._requested
        while self._done < target and (completely or not self._is_reading_long_history):
            await self._updated.wait()

    async def catch_up(self) -> str:
        """Wait at most a second until the commits made before the call are indexed; return a note if they are not.

        A history that is read for the first time, or that says itself how far or why it is behind, is not waited for,
        and the note is empty.
        """
        view = self._view
        if not self._gate.is_open and view is None:  # paused since the daemon started
            return self._missing_since_pause
        if view is None or not view.is_complete or self._error is not None:
            return ""
        if self._phase is HistoryPhase.COMPLETE and not await anyio.to_thread.run_sync(self._watch.seems_changed):
            return ""
        if not self._gate.is_open:
            return self._missing_since_pause
        with anyio.move_on_after(_CATCH_UP_S) as scope:
            await self.sync()
        return _NEWEST_MISSING if scope.cancelled_caught else ""

    @property
    def _missing_since_pause(self) -> str:
        resume = f"codeindex resume {shlex.quote(str(self._path))}"
        return f"commits made since the root was paused are missing; to read them: {resume}"

    @property
    def _is_behind_the_code(self) -> bool:
        return self._phase is HistoryPhase.WAITING and not self._is_ready()

    @property
    def _is_reading_long_history(self) -> bool:
        """True while a history is read for the first time, and most of it is still missing."""
        view = self._view
        if self._has_been_complete or self._phase is not HistoryPhase.INDEXING or view is None:
            return False
        return view.wanted - self._known > _SHORT_HISTORY

    async def refresh(self) -> None:
        """Compare the history with the repository, whatever its files look like, and wait for that."""
        if not self._settings.enabled:
            return
        self._request()
        target = self._requested
        while self._done < target:
            await self._updated.wait()

    async def verify(self) -> HistoryCheck:
        """Compare the history with the repository: the commits, and the records, terms and vectors of many of them.

        Of more than 5,000 commits, the newest 1,000 and a random sample are read again. Raises what reading does.
        """
        if self._phase is not HistoryPhase.COMPLETE:
            unfinished = self._phase in (HistoryPhase.WAITING, HistoryPhase.INDEXING)
            return HistoryCheck(0, (), _UNFINISHED if unfinished else "")
        observed = await anyio.to_thread.run_sync(self._finder.observe, self._watch)
        key = self._stores.key_of(self._root_id)
        view = self._view
        if key is None or view is None or view.signature != observed.signature:
            self._request()  # which nothing else would: observing has noted the change as known
            return HistoryCheck(0, (), "the repository changed before its history could be compared")
        walk = await self._jobs.ask(WalkRequest(observed.repository, self._settings.max_commits), WalkAnswer)
        ids = PackedIds(walk.ids)
        async with _opened(self._stores, key) as store:
            problems = await anyio.to_thread.run_sync(store.check)
            problems += await anyio.to_thread.run_sync(store.differences_of_members, self._root_id, ids)
            checked = 0
            async with aclosing(self._jobs.read(observed.repository, _sample(ids))) as answers:
                async for answer in answers:
                    problems += await anyio.to_thread.run_sync(store.differences_of_commits, answer.commits)
                    checked += len(answer.commits)
        return HistoryCheck(checked, tuple(problems))

    async def rebuild(self) -> None:
        """Read the history again, also for the other roots that share it, and wait until that is done."""
        key = self._stores.key_of(self._root_id)
        if key is not None:
            await anyio.to_thread.run_sync(self._stores.rebuild, key)
        await self.refresh()

    def _request(self) -> None:
        self._requested += 1
        self._wake.set()

    # running

    async def serve(self) -> None:
        """Keep the history up to date until cancelled."""
        self._loop = asyncio.get_running_loop()
        if not self._settings.enabled:
            return
        while not self._is_ready():
            await self._on_state.wait()
        is_remote = bool(await anyio.to_thread.run_sync(filesystem.reason_to_poll, self._path))
        if not is_remote:  # a server that does not answer must not delay the checks of other roots
            rounds.SHARED.join(self._watch)
        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        try:
            while True:
                await self._gate.wait()
                self._wake.clear()
                target = self._requested
                pause_s = await self._try_update(backoff)
                self._done = max(self._done, target)
                self._updated.notify_all()
                self._on_progress()
                if pause_s is None:
                    await self._tidy()
                    await self._wait_for_change(poll=is_remote)
                else:
                    with anyio.move_on_after(pause_s):
                        await self._wake.wait()
        finally:
            rounds.SHARED.leave(self._watch)

    async def _tidy(self) -> None:
        """Remove what nothing needs once commits were added and none have followed for a while."""
        key = self._stores.key_of(self._root_id)
        if not self._needs_tidying or key is None:
            return
        with anyio.move_on_after(_REST_S):
            await self._wake.wait()
            self._wake.set()
            return
        with suppress(StoreFullError, FailedError, StoreDamagedError):
            async with _opened(self._stores, key) as store:
                await anyio.to_thread.run_sync(store.prune)
                self._needs_tidying = not await anyio.to_thread.run_sync(store.tidy)

    async def _wait_for_change(self, *, poll: bool) -> None:
        while True:
            with anyio.move_on_after(_POLL_S if poll else math.inf):
                await self._wake.wait()
                return
            if await anyio.to_thread.run_sync(self._watch.seems_changed):
                return

    async def _try_update(self, backoff: Backoff) -> float | None:
        """Update once; return after how many seconds to try again, or None."""
        try:
            await self._update()
        except NoHistoryError as error:
            self._fail(error)
            return None
        except StoreDamagedError as error:
            log.warning("history_damaged", root=str(self._path), error=error.message)
            key = self._stores.key_of(self._root_id)
            if key is not None:
                await anyio.to_thread.run_sync(self._stores.rebuild, key)
            return backoff.next_s()
        except CodeindexError as error:
            return self._delay(error, backoff)
        except OSError as error:
            return self._delay(FailedError(f"the history of {self._path} cannot be read: {error}"), backoff)
        except Exception as error:  # a history never costs the code its index
            log.exception("history_failed", root=str(self._path))
            return self._delay(FailedError(f"the history of {self._path} failed: {place_of(error)}"), backoff)
        self._error = None
        backoff.reset()
        return None

    def _delay(self, error: CodeindexError, backoff: Backoff) -> float:
        """Note why the history is behind, and return after how many seconds to try again."""
        self._error = error
        log.warning("history_delayed", root=str(self._path), error=error.message)
        return backoff.next_s()

    def _fail(self, error: NoHistoryError) -> None:
        if self._phase is not HistoryPhase.UNAVAILABLE:
            log.info("history_unavailable", root=str(self._path), reason=error.message)
        self._error = error
        self._phase = HistoryPhase.UNAVAILABLE
        if self._watch.is_idle:
            self._watch.watch(self._finder.places_of_a_new_repository())

    async def _update(self) -> None:
        observed = await anyio.to_thread.run_sync(self._finder.observe, self._watch)
        view = self._stores.view_of(self._root_id)
        if view is not None and view.signature == observed.signature and view.is_complete and not view.lacks_objects:
            self._view, self._known = view, view.wanted - view.unreadable
            self._phase = HistoryPhase.COMPLETE
            self._has_been_complete = True
            return
        wanted = await self._finder.find(observed)
        self._phase = HistoryPhase.INDEXING
        async with self._stores.turn(wanted.store), _opened(self._stores, wanted.store) as store:
            await self._fill(store, wanted)

    async def _fill(self, store: HistoryStore, wanted: WantedCommits) -> None:
        """Store the commits that are lacking, newest first, and the view of the root as it grows."""
        run = anyio.to_thread.run_sync
        numbers = await run(store.numbers_in, wanted.ids)
        lacking = await run(lambda: wanted.ids.at(store.are_lacking(numbers)))
        unreadable = 0
        if len(lacking):
            await self._publish(store, wanted, numbers, unreadable)
            waiting: list[IndexedCommit] = []
            async with aclosing(self._jobs.read(wanted.repository, lacking)) as answers:
                async for answer in answers:
                    waiting += answer.commits
                    if answer.errors:
                        unreadable += len(answer.errors)
                        await self._note_unreadable(store, answer.errors)
                    if len(waiting) >= min(_STORED_TOGETHER, BATCH_COMMITS + self._known):
                        await run(_store, store, waiting, wanted.ids, numbers)
                        waiting = []
                        await self._publish(store, wanted, numbers, unreadable)
            await run(_store, store, waiting, wanted.ids, numbers)
        await self._publish(store, wanted, numbers, unreadable, is_complete=True)
        self._needs_tidying = True

    async def _note_unreadable(self, store: HistoryStore, errors: dict[bytes, str]) -> None:
        error = next(iter(errors.values()))
        log.warning("commits_unreadable", root=str(self._path), count=len(errors), error=error)
        await anyio.to_thread.run_sync(store.note_unreadable, errors)

    async def _publish(
        self,
        store: HistoryStore,
        wanted: WantedCommits,
        numbers: Numbers,
        unreadable: int,
        *,
        is_complete: bool = False,
    ) -> None:
        """Make the commits that are stored visible: those of the wanted ones that have ``numbers``."""

        def publish() -> tuple[View, int]:
            members = numbers[numbers > 0]
            if wanted.unplaced and is_complete:
                new = np.count_nonzero(numbers[: wanted.unplaced])
                members = store.merged_by_time(members[:new], members[new:])
            view = msgspec.structs.replace(wanted.view, is_complete=is_complete, unreadable=unreadable)
            store.set_view(view, members)
            self._stores.assign(self._root_id, wanted.store, view if is_complete else None)
            return view, len(members)

        view, self._known = await anyio.to_thread.run_sync(publish)
        self._view = view
        self._phase = HistoryPhase.COMPLETE if is_complete else HistoryPhase.INDEXING
        if is_complete and view.lacks_objects:
            self._watch.watch_objects()
        self._has_been_complete |= is_complete
        self._updated.notify_all()
        self._on_progress()


def _store(store: HistoryStore, commits: Sequence[IndexedCommit], ids: PackedIds, numbers: Numbers) -> None:
    """Store commits, and note their numbers where their ids are. Blocking."""
    added = store.add(commits)
    numbers[ids.places_of(packed(list(added)))] = list(added.values())


def _mailmap_of(view: View) -> Mailmap:
    """Return the mailmap that belongs to a history. Blocking."""
    if view.top:
        return mailmaps.SHARED.of_work_tree(Path(os.fsdecode(view.top)))
    return mailmaps.SHARED.of_content(view.mailmap)


def _sample(ids: PackedIds) -> PackedIds:
    """Return the commits that are read again: all, or the newest and some of the others."""
    if len(ids) <= _MOST_VERIFIED:
        return ids
    others = random.sample(range(_NEWEST_VERIFIED, len(ids)), _MOST_VERIFIED - _NEWEST_VERIFIED)
    return ids.at(np.array([*range(_NEWEST_VERIFIED), *others]))


@asynccontextmanager
async def _opened(stores: HistoryStores, key: str) -> AsyncIterator[HistoryStore]:
    """Provide a store inside the block; it is opened and closed in a thread."""
    use = stores.use(key)
    store = await anyio.to_thread.run_sync(use.__enter__)
    try:
        yield store
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(use.__exit__, None, None, None)
