"""``sync``: wait until every change made before the call can be searched."""

from __future__ import annotations

import enum

from msgspec import Struct

from codeindexd.errors import FailedError, TimedOutError
from codeindexd.indexing.catch_up import CatchUp
from codeindexd.indexing.ingest import Ingest
from codeindexd.indexing.problems import ProblemKey, RootProblem, RootProblems
from codeindexd.quantities import quantity
from codeindexd.roots.busy import BusyFiles
from codeindexd.roots.hints import Hints
from codeindexd.roots.presence import Presence
from codeindexd.roots.scan_loop import ScanLoop
from codeindexd.roots.shutdown import Shutdown
from codeindexd.scan.relpath import ROOT
from codeindexd.watch import Watcher

_COOKIE_TIMEOUT_S = 2.0
_OBSTACLES = (ProblemKey.STORE, ProblemKey.CATCH_UP, ProblemKey.WORKERS)
"""The problems that keep changes from being indexed, the most likely cause of a timeout first."""


class SyncMethod(enum.StrEnum):
    """How a sync made sure that it saw every change."""

    COOKIE = "cookie"  # the event of a cookie arrived, and so all earlier events
    WALK = "walk"  # the whole root was scanned


class SyncResult(Struct, frozen=True):
    """The result of a sync: ``generation`` contains every change made before the call."""

    generation: int
    took_ms: float
    how: SyncMethod


class Sync:
    """Carries out ``sync`` for one root."""

    def __init__(
        self,
        *,
        hints: Hints,
        busy: BusyFiles,
        scans: ScanLoop,
        watcher: Watcher,
        ingest: Ingest,
        catch_up: CatchUp,
        presence: Presence,
        problems: RootProblems,
        shutdown: Shutdown,
    ) -> None:
        self._hints = hints
        self._busy = busy
        self._scans = scans
        self._watcher = watcher
        self._ingest = ingest
        self._catch_up = catch_up
        self._presence = presence
        self._problems = problems
        self._shutdown = shutdown

    async def run(self, timeout_s: float) -> SyncMethod:
        """Wait until every change made before the call can be searched; return how that was made sure.

        Raises TimedOutError, and FailedError if the root is missing, cannot be read, or stops meanwhile.
        """
        path = self._presence.spec.path
        failed_before = self._scans.failed_scans
        how = SyncMethod.WALK
        with self._shutdown.limit(timeout_s, str(path)) as scope:
            how = await self._hint_changes()
            self._busy.scan_delayed()
            self._ingest.retry_now()
            await self._hints.wait_until_flushed()
            if silent := self._scans.paths_without_events:  # complete only after that scan
                self._hints.add(silent)
                await self._hints.wait_until_flushed()
            await self._ingest.wait_until_drained()
            await self._catch_up.wait_for_lexical()
        if missing := self._presence.problem:
            raise FailedError(missing.message, hint=missing.hint)
        if self._scans.failed_scans > failed_before or ProblemKey.SCAN in self._problems:
            passed = RootProblem(f"{path} could not be read for a moment", "try again")
            problem = self._problems.get(ProblemKey.SCAN) or passed
            raise FailedError(problem.message, hint=problem.hint)
        if scope.cancelled_caught:
            raise self._timed_out(f"{path} was not in sync after {timeout_s:g} s")
        return how

    def _timed_out(self, message: str) -> TimedOutError:
        """Return the error that begins with ``message`` and says what the sync waited for."""
        for key in _OBSTACLES:
            if problem := self._problems.get(key):
                return TimedOutError(f"{message}: {problem.message}", hint=problem.hint)
        left = len(self._ingest.queue)
        return TimedOutError(
            f"{message} ({quantity(left, 'file')} to go)",
            hint="use a longer timeout; to see the progress: codeindex status",
        )

    async def _hint_changes(self) -> SyncMethod:
        """Get a hint for every earlier change: by its event if no event can be lost, otherwise by a walk."""
        is_sound = self._scans.has_walked and not self._presence.is_missing and ProblemKey.SCAN not in self._problems
        if is_sound and not self._watcher.needs_walk and await self._watcher.wait_for_events(_COOKIE_TIMEOUT_S):
            return SyncMethod.COOKIE
        self._hints.add([ROOT])
        return SyncMethod.WALK
