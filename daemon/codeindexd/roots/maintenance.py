"""What a root does in quiet times: failed files get another try, stores are kept in shape."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import structlog

from codeindexd.daemon import memory
from codeindexd.errors import FailedError, StoreFullError, WorkerError
from codeindexd.indexing.catch_up import replay
from codeindexd.storage.catalog import Catalog
from codeindexd.types import Entry, NodeKind
from codeindexd.workers.pool import WorkerPool

if TYPE_CHECKING:
    from codeindexd.roots.root import Root

log = structlog.get_logger(__name__)
_EVERY_S = 10.0
_FIRST_LOOK_S = 2.0
_LONGEST_LOOK_S = 30.0
_REPLAY_PAUSE_S = 10.0
_ATTEMPTS = 6  # to be done with what others may hold up for long; the next commit begins anew


async def bring_up(root: Root, pool: WorkerPool) -> None:
    """Bring projections that lack commits up to the catalog, trying again until they are."""
    while root.indexer.behind.lexical or root.indexer.behind.dense:
        root.set_problem("replay", "an index is being brought up to the catalog", "answers may lack some code")
        try:
            await replay(
                root.spec.raw,
                root.indexer,
                pool,
                on_hint=root.look_again,
                on_again=lambda files: root.work.submit([], files),
            )
        except (FailedError, StoreFullError, WorkerError) as error:
            root.set_problem("replay", error.message, error.hint)
            await anyio.sleep(_REPLAY_PAUSE_S)
    root.set_problem("replay", "", "")


def files_of(catalog: Catalog, paths: Collection[bytes] | None = None) -> list[Entry]:
    """The catalogued files, or those among ``paths``."""
    with catalog.snapshot() as snapshot:
        files = snapshot.files() if paths is None else filter(None, map(snapshot.file, paths))
        return [file.entry for file in files if file.entry.kind is NodeKind.FILE]


def stale_files(catalog: Catalog, fingerprints: Callable[[str], bytes]) -> list[Entry]:
    """Files whose bytes are the same and whose chunks would now be cut, masked or tokenised differently."""
    return [*catalog.unprocessed(), *catalog.files_with_other_fingerprint(fingerprints)]


async def retry_failures(root: Root) -> None:
    """Submit files again whose time to be retried has come; runs until cancelled."""
    while True:
        await anyio.sleep(_EVERY_S)
        try:
            due = await anyio.to_thread.run_sync(_due, root)
        except StoreFullError as error:
            log.info("failures cannot be looked up now", root=str(root.spec.path), error=error.message)
            continue
        if due and not root.paused:
            root.work.submit([], due, again=True)


def _due(root: Root) -> list[Entry]:
    failures = root.indexer.catalog.failures_due(time.time_ns())
    if not failures:
        return []
    with root.indexer.catalog.snapshot() as snapshot:
        files = [snapshot.file(failure.path) for failure in failures]
    return [file.entry for file in files if file and file.entry.path not in root.work.pending]


async def retry_unreadable(root: Root) -> None:
    """Look again at what could not be read, in growing intervals; runs until cancelled."""
    pause = _FIRST_LOOK_S
    while True:
        await root.unreadable.wait()
        await anyio.sleep(pause)
        if root.unreadable.paths and not root.paused:
            root.hint(root.unreadable.paths)
            pause = min(2 * pause, _LONGEST_LOOK_S)
        else:
            pause = _FIRST_LOOK_S


async def keep_tidy(root: Root) -> None:
    """Keep the stores in shape once there was a commit and nothing is left to do, and give back memory; for ever."""
    tidied = seen = -1
    attempts = 0
    while True:
        await anyio.sleep(_EVERY_S)
        generation = root.indexer.current.generation
        if root.caught_up and generation != tidied:
            attempts = attempts + 1 if generation == seen else 1
            seen = generation
            try:
                done = await root.indexer.maintain(lambda: root.stopping or not root.work.idle)
                await anyio.to_thread.run_sync(memory.give_back)
            except (StoreFullError, FailedError) as error:
                root.set_problem("upkeep", error.message, error.hint)
            else:
                root.set_problem("upkeep", "", "")
                if done or attempts >= _ATTEMPTS:
                    tidied = generation
