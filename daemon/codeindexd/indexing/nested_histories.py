"""The histories of the repositories inside one root: submodules, and clones in a directory of several."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import structlog

from codeindexd.errors import CodeindexError
from codeindexd.indexing.history import HistoryIndexer
from codeindexd.indexing.history_status import HistorySettings, HistoryStatus
from codeindexd.storage.history.stores import HistoryStores
from codeindexd.waiting import Broadcast, run_all
from codeindexd.workers.pool import WorkerPool

log = structlog.get_logger(__name__)

_NEW_S = 1.0
_AT_ONCE = 4
MOST_NESTED = 200
"""Repositories inside one root whose histories are indexed."""


class NestedHistories:
    """The histories of the repositories inside a root; ``left_out`` counts those beyond ``MOST_NESTED``.

    Methods must be called in the event loop, except as marked.

    - ``own``: the history of the root itself, which is read first. Of the others, a few are read at a time.
    - ``find()`` returns the directories of the root that have a repository of their own, which may change with each
      ``generation()``. Blocking.
    - ``is_ready()``: True once the code of the root is indexed; ``on_state`` reports that this or the generation may
      have changed.
    - ``on_progress()`` is called when the status has changed.
    """

    def __init__(
        self,
        root_id: str,
        path: Path,
        own: HistoryIndexer,
        pool: WorkerPool,
        stores: HistoryStores,
        settings: HistorySettings,
        *,
        find: Callable[[], Sequence[bytes]],
        generation: Callable[[], int],
        is_ready: Callable[[], bool],
        on_state: Broadcast,
        on_progress: Callable[[], None],
    ) -> None:
        self._root_id = root_id
        self._path = path
        self._own = own
        self._pool = pool
        self._stores = stores
        self._settings = settings
        self._find = find
        self._generation = generation
        self._is_ready = is_ready
        self._on_state = on_state
        self._on_progress = on_progress
        self._histories: dict[bytes, HistoryIndexer] = {}  # by directory, replaced as a whole
        self._scopes: dict[bytes, anyio.CancelScope] = {}
        self._advanced = Broadcast()
        self._is_paused = False
        self._knows_stored = False  # which histories the stores have from earlier runs
        self._seen = -1  # the generation whose repositories are known
        self.left_out = 0

    # queries, from any thread

    def by_directory(self) -> Mapping[bytes, HistoryIndexer]:
        """Return the histories by the directories of their repositories, in their order. Any thread may call."""
        return self._histories

    def at(self, path: bytes) -> tuple[bytes, HistoryIndexer] | None:
        """Return the innermost nested repository that has a path of the root; None if none has. Any thread may call."""
        histories = self._histories
        while path:
            if (found := histories.get(path)) is not None:
                return path, found
            path = path.rpartition(b"/")[0]
        return None

    def below(self, directory: bytes) -> list[HistoryIndexer]:
        """Return the histories of the repositories below a directory, b"" for the root. Any thread may call."""
        inside = directory + b"/" if directory else b""
        return [history for place, history in self._histories.items() if place.startswith(inside)]

    def statuses(self) -> tuple[tuple[bytes, HistoryStatus], ...]:
        """Return the status of each history, by directory. Any thread may call."""
        return tuple((place, history.status()) for place, history in self._histories.items())

    # requests

    def pause(self) -> None:
        """Read nothing more until :meth:`resume`."""
        self._is_paused = True
        for history in self._histories.values():
            history.pause()

    def resume(self) -> None:
        """Continue after :meth:`pause`."""
        self._is_paused = False
        for history in self._histories.values():
            history.resume()

    async def sync(self) -> None:
        """Wait until all commits made before the call are indexed, as far as the histories have been read before.

        Those of repositories that are new get a second, unless the root has more to do, which comes first.
        """
        await run_all([history.sync for history in self._histories.values() if history.is_settled])
        if not (self._settings.enabled and self._is_ready()):
            return
        found = sorted(await anyio.to_thread.run_sync(self._find))[:MOST_NESTED]
        if not (new := [directory for directory in found if directory not in self._histories]):
            return
        with anyio.move_on_after(_NEW_S):
            while any(directory not in self._histories for directory in new):
                await self._advanced.wait()
            await run_all([history.sync for directory in new if (history := self._histories.get(directory))])

    # running

    async def serve(self) -> None:
        """Keep the histories up to date until cancelled."""
        if not self._settings.enabled:
            return
        async with anyio.create_task_group() as tasks:
            while True:
                if self._is_ready() and (generation := self._generation()) != self._seen:
                    try:
                        await self._follow(tasks)
                    except CodeindexError as error:  # tried again after the next change of the root
                        log.warning("nested_histories_delayed", root=str(self._path), error=error.message)
                    self._seen = generation
                self._advanced.notify_all()
                await self._on_state.wait()

    async def _follow(self, tasks: anyio.abc.TaskGroup) -> None:
        """Start the histories of new repositories, and forget those of repositories that are gone."""
        found = sorted(await anyio.to_thread.run_sync(self._find))
        self.left_out = max(0, len(found) - MOST_NESTED)
        wanted = found[:MOST_NESTED]
        before = self._histories
        if self._knows_stored and wanted == list(before):
            return
        self._histories = {directory: before.get(directory) or self._create(directory) for directory in wanted}
        for directory in before.keys() - self._histories.keys():
            self._scopes.pop(directory).cancel()
        for directory in [directory for directory in wanted if directory not in before]:
            scope = self._scopes[directory] = anyio.CancelScope()
            tasks.start_soon(self._serve, self._histories[directory], scope)
        kept = {self._id_of(directory) for directory in wanted}
        for root_id in await anyio.to_thread.run_sync(self._stores.nested_in, self._root_id):
            if root_id not in kept:
                await anyio.to_thread.run_sync(self._stores.forget, root_id)
        self._knows_stored = True
        self._on_progress()

    @staticmethod
    async def _serve(history: HistoryIndexer, scope: anyio.CancelScope) -> None:
        with scope:
            await history.serve()

    def _create(self, directory: bytes) -> HistoryIndexer:
        history = HistoryIndexer(
            self._id_of(directory),
            self._path / os.fsdecode(directory),
            self._pool,
            self._stores,
            self._settings,
            is_ready=lambda: self._has_turn(directory),
            on_state=self._advanced,
            on_progress=self._on_history,
        )
        if self._is_paused:
            history.pause()
        return history

    def _has_turn(self, directory: bytes) -> bool:
        """Return True if most histories before that of a directory have been read, as far as that is possible now."""
        if not self._is_ready() or not self._own.is_settled:
            return False
        history = self._histories.get(directory)
        unread = (other for other in self._histories.values() if not other.is_settled)
        return history is not None and (history.is_settled or history in islice(unread, _AT_ONCE))

    def _on_history(self) -> None:
        self._advanced.notify_all()
        self._on_progress()

    def _id_of(self, directory: bytes) -> str:
        """Return the id under which the stores know the history of a nested repository."""
        return HistoryStores.nested_id(self._root_id, directory)
