"""The work of a root in quiet times: retry failed files, rescan unreadable paths, maintain the stores."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

import anyio
import anyio.to_thread
import structlog

from codeindexd.errors import FailedError, StoreFullError
from codeindexd.indexing.ingest import Ingest
from codeindexd.indexing.problems import ProblemKey, RootProblem, RootProblems
from codeindexd.roots.unreadable import UnreadablePaths
from codeindexd.scan.relpath import Batch
from codeindexd.storage.catalog import Catalog
from codeindexd.storage.index_writer import IndexWriter
from codeindexd.types import Entry, NodeKind
from codeindexd.waiting import Backoff, Broadcast

log = structlog.get_logger(__name__)
_EVERY_S = 10.0
_FIRST_RESCAN_S = 2.0
_LONGEST_RESCAN_S = 30.0
_ANY_TIME_NS = (1 << 63) - 1
_ATTEMPTS = 6  # at work that other processes may block for long; the next commit starts over


def files_of(catalog: Catalog, paths: Collection[bytes] | None = None) -> list[Entry]:
    """Return the entries of all catalogued files, or of those among ``paths``. Blocking; raises StoreFullError."""
    with catalog.snapshot() as snapshot:
        files = snapshot.files() if paths is None else filter(None, map(snapshot.file, paths))
        return [file.entry for file in files if file.entry.kind is NodeKind.FILE]


def stale_files(catalog: Catalog, fingerprints: Callable[[str, str], bytes]) -> list[Entry]:
    """Return the files that this daemon should process: new ones, outdated ones, and failed ones. Blocking.

    Outdated chunks were made by another version of what makes them. A file that failed is tried again without waiting,
    since the cause may have ended with the daemon before: one whose installation was removed fails at every file.
    """
    failed = files_of(catalog, [failure.path for failure in catalog.failures_due(_ANY_TIME_NS)])
    return [*catalog.unprocessed(), *catalog.files_with_other_fingerprint(fingerprints), *failed]


async def retry_failures(
    catalog: Catalog, ingest: Ingest, *, is_paused: Callable[[], bool], committed: Broadcast
) -> None:
    """Submit failed files again when their retries are due; runs until cancelled.

    Every failure is committed, so nothing wakes this while there is none.
    """
    while True:
        while not catalog.counts().failed:
            await committed.wait()
        await anyio.sleep(_EVERY_S)
        try:
            due = await anyio.to_thread.run_sync(_failures_due, catalog)
        except StoreFullError as error:
            log.info("failures_not_retried", store=str(catalog.path), error=error.message)
            continue
        due = [entry for entry in due if entry.path not in ingest.queue]
        if due and not is_paused():
            ingest.submit([], due, force=True)


def _failures_due(catalog: Catalog) -> list[Entry]:
    failures = catalog.failures_due(time.time_ns())
    if not failures:
        return []
    with catalog.snapshot() as snapshot:
        files = [snapshot.file(failure.path) for failure in failures]
    return [file.entry for file in files if file]


async def rescan_unreadable(
    unreadable: UnreadablePaths, *, on_hint: Callable[[Batch], None], is_paused: Callable[[], bool]
) -> None:
    """Hint the unreadable paths after growing pauses; runs until cancelled."""
    backoff = Backoff(_FIRST_RESCAN_S, _LONGEST_RESCAN_S)
    while True:
        await unreadable.wait()
        await anyio.sleep(backoff.next_s())
        if unreadable.paths and not is_paused():
            on_hint(unreadable.paths)
        else:
            backoff.reset()


async def keep_stores_tidy(
    index: IndexWriter,
    problems: RootProblems,
    *,
    is_caught_up: Callable[[], bool],
    should_stop: Callable[[], bool],
    trim_memory: Callable[[], object],
    committed: Broadcast,
) -> None:
    """Maintain the stores and release memory once after each change, when the root is idle; runs until cancelled.

    ``should_stop`` interrupts maintenance; it and ``trim_memory`` are called in threads. ``committed`` reports every
    commit. A failure is one of ``problems`` until maintenance succeeds.
    """
    maintained = seen = -1
    attempts = 0
    while True:
        if maintained == index.current.generation:
            await committed.wait()
        await anyio.sleep(_EVERY_S)
        generation = index.current.generation
        if not is_caught_up() or generation == maintained:
            continue
        attempts = attempts + 1 if generation == seen else 1
        seen = generation
        try:
            done = await index.maintain(should_stop)
            await anyio.to_thread.run_sync(trim_memory)
        except (StoreFullError, FailedError) as error:
            problems.set(ProblemKey.MAINTENANCE, RootProblem.from_error(error))
        else:
            problems.clear(ProblemKey.MAINTENANCE)
            if done or attempts >= _ATTEMPTS:
                maintained = generation
