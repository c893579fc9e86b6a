"""The scan loop of a root: every scan and every reason for one is here."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import anyio.to_thread
import structlog

from codeindexd.errors import EXHAUSTED, EXHAUSTED_HINT, CodeindexError, PathRefusedError, StoreFullError
from codeindexd.indexing.ingest import Ingest
from codeindexd.indexing.problems import ProblemKey, RootProblem, RootProblems
from codeindexd.roots.busy import BusyFiles
from codeindexd.roots.events import RootEventKind
from codeindexd.roots.hardlinks import LinkedFiles
from codeindexd.roots.hints import Hints
from codeindexd.roots.presence import Presence, PresenceCheck
from codeindexd.roots.reconcile import Reconciliation, reconcile
from codeindexd.roots.root_config import ROOT_CONFIG, RootConfigFile
from codeindexd.roots.unreadable import UnreadablePaths
from codeindexd.scan.relpath import ROOT, is_covered
from codeindexd.scan.scanner import Scan
from codeindexd.scan.tracked import RepositoryPaths
from codeindexd.storage.catalog import Catalog
from codeindexd.types import FileStat
from codeindexd.watch import Watcher

log = structlog.get_logger(__name__)
_RETRY_EVERY_S = 3.0
_FIRST_LOOK = 2_000  # files: they keep workers busy while the rest of a large tree is hashed
_NOTHING: Sequence[bytes] = ()


class ScanLoop:
    """Scans one root at its hints, one batch at a time, and submits the differences from the catalog to the ingest.

    A scan has one of these reasons:

    - hints that have settled: file system events, outdated hits of a query, a ``sync``, a user's reindex;
    - delayed hints: files that changed while they were read or were modified too recently to trust their stat, busy
      files, unreadable paths, and a root that is missing or could not be scanned, which is tried every few seconds;
    - ``reconcile_s`` seconds have passed since the last walk of the whole root;
    - the previous scan found a change of the root's own configuration or a new hard link (scan the whole root), or
      files that were being processed, whose state in the catalog is not known (scan these), or more of a new root than
      its first look covers, which is submitted before the rest is read.

    ``report`` sends an event to subscribers; ``report_state_change`` does so if the state differs from the last one
    reported.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        hints: Hints,
        busy: BusyFiles,
        ingest: Ingest,
        watcher: Watcher,
        problems: RootProblems,
        presence: Presence,
        config_file: RootConfigFile,
        unreadable: UnreadablePaths,
        reconcile_s: float,
        report: Callable[[RootEventKind], None],
        report_state_change: Callable[[], None],
    ) -> None:
        self._catalog = catalog
        self._hints = hints
        self._busy = busy
        self._ingest = ingest
        self._watcher = watcher
        self._problems = problems
        self._presence = presence
        self._config_file = config_file
        self._unreadable = unreadable
        self._reconcile_s = reconcile_s
        self._report = report
        self._report_state_change = report_state_change
        self._linked = LinkedFiles()
        self._decided_by_git: dict[bytes, RepositoryPaths] = {}
        self._applied_rules: dict[bytes, FileStat] = {}
        self._directories: set[bytes] = set()
        self._last_walk = 0.0
        self._next_retry = 0.0
        self._is_new = False
        self.has_walked = False
        self.is_walking = False
        self.failed_scans = 0

    @property
    def paths_without_events(self) -> set[bytes]:
        """Paths that may change without an event: files with several names, and unreadable paths."""
        return {*self._linked.paths, *self._unreadable.paths}

    @property
    def is_first_walk(self) -> bool:
        """True for a new root until it was walked as a whole."""
        return self._is_new and not self.has_walked

    async def prepare(self) -> None:
        """Watch the catalogued directories until a walk finds the present ones."""
        self._is_new = self._catalog.generation == 0
        self._directories = set(await anyio.to_thread.run_sync(self._catalog.tree().directories))
        self._watcher.set_directories(self._directories)

    async def run(self) -> None:
        """Scan whenever there is a reason to; runs until cancelled."""
        while True:
            taken = await self._hints.next_batch(self._seconds_until_walk())
            if taken is None:
                self._hints.add([ROOT])
                continue
            number, batch = taken
            below: Sequence[bytes] = self._linked.widen(batch)
            while below:
                below = await self._scan(below)
            self._hints.mark_done(number)
            self._report_state_change()

    def _seconds_until_walk(self) -> float:
        return max(1.0, self._last_walk + self._reconcile_s - time.monotonic())

    async def _scan(self, below: Sequence[bytes]) -> Sequence[bytes]:
        """Scan the paths ``below``, and return the paths that have to be scanned next because of the result."""
        if not await self._is_present():
            return _NOTHING
        found = await self._reconcile(below)
        if found is None:
            return _NOTHING
        if found.scan.is_cut:
            self._ingest.submit(found.transactions, found.files)
            return below
        if await self._reload_config(found.scan) or self._linked.update(found.scan):
            return (ROOT,)
        self._accept(found, whole=ROOT in below)
        if found.overtaken:
            await self._ingest.wait_for_commit()
        return sorted(found.overtaken)

    async def _is_present(self) -> bool:
        """Return True if the root exists; otherwise schedule another check."""
        try:
            found = await anyio.to_thread.run_sync(self._presence.check)
        except OSError as error:
            self._record_failed_scan(error)
            return False
        if found is PresenceCheck.MISSING:
            self._retry_later()
        elif found is not PresenceCheck.SAME:
            self._hints.add([ROOT])
        if found is PresenceCheck.REPLACED:
            self._report(RootEventKind.IDENTITY)
        self._report_state_change()
        return found is not PresenceCheck.MISSING

    async def _reconcile(self, below: Sequence[bytes]) -> Reconciliation | None:
        """Compare the disk with the catalog; return None if either cannot be read now."""
        whole = ROOT in below
        self.is_walking = whole
        in_flight = await self._ingest.wait_for_transactions()
        compare = partial(
            reconcile,
            self._config_file.scanner,
            self._catalog,
            below,
            in_flight,
            self._decided_by_git,
            self._applied_rules,
            most_leaves=_FIRST_LOOK if self._catalog.generation == 0 and self._ingest.is_idle else None,
        )
        began = time.monotonic()
        try:
            found = await anyio.to_thread.run_sync(compare)
        except (OSError, PathRefusedError, StoreFullError) as error:
            self._record_failed_scan(error)
            return None
        finally:
            self.is_walking = False
        if whole and not found.scan.is_cut:  # only a walk covers everything that could not be scanned before
            self._problems.clear(ProblemKey.SCAN)
        log.debug(
            "scanned",
            root=str(self._presence.spec.path),
            below=len(below),
            files=len(found.files),
            seconds=round(time.monotonic() - began, 3),
        )
        return found

    def _record_failed_scan(self, error: Exception) -> None:
        if isinstance(error, CodeindexError):  # names the directory
            problem = RootProblem.from_error(error)
        else:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            path = self._presence.spec.path
            exhausted = isinstance(error, OSError) and error.errno in EXHAUSTED
            hint = EXHAUSTED_HINT if exhausted else "check the directory's permissions"
            problem = RootProblem(f"{path} cannot be read: {reason}", hint)
        self._problems.set(ProblemKey.SCAN, problem)
        self.failed_scans += 1
        self._retry_later()

    async def _reload_config(self, scan: Scan) -> bool:
        """Reload the root's own configuration if it was scanned; return True if it changed the scanner."""
        if not is_covered(ROOT_CONFIG, scan.below):
            return False
        changed = await anyio.to_thread.run_sync(self._config_file.reload)
        self._problems.replace(ProblemKey.CONFIG, self._config_file.problem)
        return changed

    def _accept(self, found: Reconciliation, *, whole: bool) -> None:
        """Pass the result of a scan to the watcher and the ingest; ``whole`` says that it covered the whole root."""
        scan = found.scan
        if whole:
            self._directories = set(scan.directories)
            self._decided_by_git = dict(scan.decided_by_git)
            self._applied_rules = dict(scan.applied_rules)
        else:
            self._applied_rules.update(scan.applied_rules)
            for top, paths in scan.decided_by_git.items():
                self._decided_by_git.setdefault(top, RepositoryPaths()).add(paths)
            self._directories.difference_update(found.gone)
            self._directories.update(scan.directories)
        self._watcher.set_directories(self._directories, scan.rule_files, whole=whole)
        self._unreadable.update(scan.below, scan.errors)
        self._problems.replace(ProblemKey.UNREADABLE, self._unreadable.problem)
        self._ingest.submit(found.transactions, found.files, found.gone)
        self._busy.record_scan(scan.below, found.changed_sizes)
        if scan.unsettled:
            self._busy.add_later(scan.unsettled)
        if scan.young:
            self._busy.check_later(scan.young)
        if whole:
            self.has_walked = True
            self._last_walk = time.monotonic()
            self._watcher.mark_walked()
            self._report(RootEventKind.STATE)

    def _retry_later(self) -> None:
        """Scan the whole root in a few seconds; once, even if called several times before."""
        now = time.monotonic()
        if now >= self._next_retry:
            self._next_retry = now + _RETRY_EVERY_S
            self._hints.add_later([ROOT], _RETRY_EVERY_S)
