"""Has workers compute the centrality of a root's files: once the root is indexed, and in quiet times after changes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

import anyio
import structlog

from codeindexd.errors import CodeindexError, FailedError
from codeindexd.storage.catalog.centrality import Centrality
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.waiting import Backoff, Signal
from codeindexd.workers.jobs import CentralityJob
from codeindexd.workers.pool import WorkerPool

log = structlog.get_logger(__name__)
_QUIET_S: Final = 5.0
_FIRST_LOOK_S: Final = 0.05
_LONGEST_LOOK_S: Final = 5.0
_MOST_OF_TIME: Final = 0.01  # the share that may be spent on computing while files change
_LONGEST_PAUSE_S: Final = 600.0
_BYTES_PER_FILE: Final = 2_000  # a guess at what a worker reads of the catalog


class CentralFiles:
    """Has workers compute the centrality of a root's files.

    Until it is first computed, answers are ranked without it, so a root counts as fresh only afterwards. A failure is
    logged, and the next change tries again.
    """

    def __init__(
        self, index: IndexWriter, pool: WorkerPool, *, is_caught_up: Callable[[], bool], on_first: Callable[[], object]
    ) -> None:
        """``is_caught_up`` returns True if no file waits; ``on_first`` after the first attempt."""
        self._index = index
        self._pool = pool
        self._is_caught_up = is_caught_up
        self._on_first = on_first
        self._changed = Signal()
        self._lock = anyio.Lock()
        self._failed_at = -1

    @property
    def is_first_outstanding(self) -> bool:
        """True if the centrality was never computed, and not tried since the last change."""
        return self._index.catalog.centrality is None and self._is_due

    def note_change(self) -> None:
        """Schedule another computation. Call this after every commit."""
        self._changed.set()

    async def serve(self) -> None:
        """Compute the centrality whenever it is due, until cancelled."""
        while True:
            await self._compute_first()
            await self._changed.wait()
            if self._index.catalog.centrality is None:
                continue
            await anyio.sleep(_QUIET_S)
            if self._is_due and self._is_caught_up():
                began = time.monotonic()
                await self._compute()
                took_s = time.monotonic() - began
                await anyio.sleep(min(took_s / _MOST_OF_TIME, _LONGEST_PAUSE_S))
                if self._is_due:
                    self.note_change()

    async def _compute_first(self) -> None:
        """Compute the centrality for the first time, as soon as no file waits."""
        looks = Backoff(_FIRST_LOOK_S, _LONGEST_LOOK_S)
        while self.is_first_outstanding:
            if self._is_caught_up():
                await self.wait_for_first()
                continue
            with anyio.move_on_after(looks.next_s()):
                await self._changed.wait()
                looks.reset()

    async def wait_for_first(self) -> None:
        """Compute the centrality now if it never was, so that the first answers rank as all later ones do."""
        if self.is_first_outstanding:
            await self._compute()
            self._on_first()

    @property
    def _is_due(self) -> bool:
        """True if there are files, and some changed since the last attempt, successful or not."""
        catalog = self._index.catalog
        known = catalog.centrality.generation if catalog.centrality is not None else -1
        return catalog.counts().files > 0 and catalog.generation not in (known, self._failed_at)

    async def _compute(self) -> None:
        """Compute the centrality in a worker and store it, if it is due. An error is logged."""
        async with self._lock:
            if not self._is_due:
                return
            catalog = self._index.catalog
            generation = catalog.generation
            job = CentralityJob(0, os.fsencode(catalog.path), catalog.counts().files * _BYTES_PER_FILE)
            try:
                async for result in self._pool.centrality([job]):
                    if result.error:
                        raise FailedError(result.error)
                    found = Centrality.decoded(result.generation, result.file_ids, result.ranks)
                    await self._index.set_centrality(found)
            except CodeindexError as error:
                self._failed_at = generation
                log.warning("central_files_not_computed", catalog=str(catalog.path), error=error.message)
