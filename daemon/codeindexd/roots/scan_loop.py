"""The one loop of a root that scans, and every reason it has to."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import anyio.to_thread
import structlog

from codeindexd.errors import PathRefusedError, StoreFullError
from codeindexd.indexing.ingest import Ingest
from codeindexd.indexing.problems import ProblemKey, RootProblem, RootProblems
from codeindexd.roots.busy import BusyFiles
from codeindexd.roots.events import RootEventKind
from codeindexd.roots.hardlinks import LinkedFiles
from codeindexd.roots.hints import Hints
from codeindexd.roots.presence import Found, Presence
from codeindexd.roots.reconcile import Reconciled, reconcile
from codeindexd.roots.root_config import ROOT_CONFIG, RootConfigFile
from codeindexd.roots.unreadable import Unreadable
from codeindexd.scan.relpath import ROOT, is_covered
from codeindexd.scan.scanner import Scan
from codeindexd.scan.tracked import RepositoryPaths
from codeindexd.storage.catalog import Catalog
from codeindexd.watch import Watcher

log = structlog.get_logger(__name__)
_SEARCH_EVERY_S = 3.0
_NOTHING: Sequence[bytes] = ()


class ScanLoop:
    """Scans one root below its hints, one batch at a time, and hands what differs from the catalog to the ingest.

    A scan has one of these reasons:

    - hints that settled: file system events, hits of a query that were not up to date, a ``sync``, a user's reindex;
    - hints that were put off: files that are too young to trust or changed while they were read, unreadable paths,
      a root that is missing or could not be scanned, which is searched for every few seconds;
    - ``reconcile_s`` seconds without a walk of the whole root, whatever the events said;
    - the scan before: the root's own configuration changed or a new hard link was found (then the whole root), or
      files were in flight whose state in the catalog is not known (then these).

    ``report`` tells subscribers of an event.
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
        unreadable: Unreadable,
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
        self._directories: set[bytes] = set()
        self._last_walk = 0.0
        self._next_search = 0.0
        self.has_walked = False
        self.is_walking = False
        self.failed_scans = 0

    @property
    def paths_without_events(self) -> set[bytes]:
        """Paths whose changes no event may tell: other names of hard links, and what could not be read."""
        return {*self._linked.paths, *self._unreadable.paths}

    async def prepare(self) -> None:
        """Have the watcher watch the directories of the catalog, until a walk says which there are."""
        self._directories = set(await anyio.to_thread.run_sync(self._catalog.tree().directories))
        self._watcher.set_directories(self._directories)

    async def run(self) -> None:
        """Scan whenever there is a reason to; runs until cancelled."""
        while True:
            taken = await self._hints.batch(self._seconds_until_walk())
            if taken is None:
                self._hints.add([ROOT])
                continue
            number, batch = taken
            below: Sequence[bytes] = self._linked.widen(batch)
            while below:
                below = await self._scan(below)
            self._hints.done(number)
            self._report_state_change()

    def _seconds_until_walk(self) -> float:
        return max(1.0, self._last_walk + self._reconcile_s - time.monotonic())

    async def _scan(self, below: Sequence[bytes]) -> Sequence[bytes]:
        """Scan ``below``, and return what has to be scanned because of what was found."""
        if not await self._is_present():
            return _NOTHING
        found = await self._reconcile(below)
        if found is None:
            return _NOTHING
        if await self._config_changed(found.scan) or self._linked.update(found.scan):
            return (ROOT,)
        self._accept(found, whole=ROOT in below)
        if found.overtaken:
            await self._ingest.commit_finished()
        return sorted(found.overtaken)

    async def _is_present(self) -> bool:
        """Return True if there is something to scan; a missing root is searched for again soon."""
        try:
            found = await anyio.to_thread.run_sync(self._presence.look)
        except OSError as error:
            self._note_failed_scan(error)
            return False
        if found is Found.MISSING:
            self._search_later()
        elif found is not Found.SAME:
            self._hints.add([ROOT])
        if found is Found.REPLACED:
            self._report(RootEventKind.IDENTITY)
        self._report_state_change()
        return found is not Found.MISSING

    async def _reconcile(self, below: Sequence[bytes]) -> Reconciled | None:
        """Compare the disk with the catalog; None when the disk cannot be read now."""
        whole = ROOT in below
        self.is_walking = whole
        in_flight = await self._ingest.wait_for_transactions()
        scanner = self._config_file.scanner
        began = time.monotonic()
        try:
            found = await anyio.to_thread.run_sync(
                reconcile, scanner, self._catalog, below, in_flight, self._decided_by_git
            )
        except (OSError, PathRefusedError, StoreFullError) as error:
            self._note_failed_scan(error)
            return None
        finally:
            self.is_walking = False
        if whole:  # only a walk covers all that could not be scanned before
            self._problems.clear(ProblemKey.SCAN)
        log.debug(
            "scanned",
            root=str(self._presence.spec.path),
            below=len(below),
            files=len(found.files),
            seconds=round(time.monotonic() - began, 3),
        )
        return found

    def _note_failed_scan(self, error: Exception) -> None:
        hint = getattr(error, "hint", "check the directory's permissions")
        problem = RootProblem(f"cannot read {self._presence.spec.path}: {error}", hint)
        self._problems.set(ProblemKey.SCAN, problem)
        self.failed_scans += 1
        self._search_later()

    async def _config_changed(self, scan: Scan) -> bool:
        """Return True if the root's own configuration changed, and with it the scanner."""
        if not is_covered(ROOT_CONFIG, scan.below):
            return False
        changed = await anyio.to_thread.run_sync(self._config_file.reload)
        self._problems.replace(ProblemKey.CONFIG, self._config_file.problem)
        return changed

    def _accept(self, found: Reconciled, *, whole: bool) -> None:
        """Hand over what a scan found to the watcher and to the ingest."""
        scan = found.scan
        if whole:
            self._directories = set(scan.directories)
            self._decided_by_git = dict(scan.decided_by_git)
        else:
            for top, paths in scan.decided_by_git.items():
                self._decided_by_git.setdefault(top, RepositoryPaths()).add(paths)
            self._directories.difference_update(found.gone)
            self._directories.update(scan.directories)
        self._watcher.set_directories(self._directories, scan.rule_files, whole=whole)
        self._unreadable.update(scan.below, scan.errors)
        self._problems.replace(ProblemKey.UNREADABLE, self._unreadable.problem)
        self._ingest.submit(found.transactions, found.files, found.gone)
        self._busy.scanned(scan.below, found.changed_sizes)
        if scan.unsettled:
            self._busy.add_later(scan.unsettled)
        if scan.young:
            self._busy.check_later(scan.young)
        if whole:
            self.has_walked = True
            self._last_walk = time.monotonic()
            self._watcher.mark_walked()
            self._report(RootEventKind.STATE)

    def _search_later(self) -> None:
        """Scan the whole root in a few seconds, once, however many hints lead here."""
        now = time.monotonic()
        if now >= self._next_search:
            self._next_search = now + _SEARCH_EVERY_S
            self._hints.add_later([ROOT], _SEARCH_EVERY_S)
