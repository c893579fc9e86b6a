"""What a root does in quiet times: failed files get another try, stores are kept in shape."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from codeindexd import allocator
from codeindexd.errors import StoreFullError
from codeindexd.model import Entry

if TYPE_CHECKING:
    from codeindexd.root.root import Root

_EVERY_S = 10.0


async def retry_failures(root: Root) -> None:
    """Submit files again whose time to be retried has come; runs until cancelled."""
    while True:
        await anyio.sleep(_EVERY_S)
        due = await anyio.to_thread.run_sync(_due, root)
        if due and not root.paused:
            root.work.submit([], due, again=True)


def _due(root: Root) -> list[Entry]:
    failures = root.indexer.catalog.failures_due(time.time_ns())
    if not failures:
        return []
    with root.indexer.catalog.snapshot() as snapshot:
        files = [snapshot.file(failure.path) for failure in failures]
    return [file.entry for file in files if file and file.entry.path not in root.work.pending]


async def keep_tidy(root: Root) -> None:
    """Fold logs, build dense segments, give back memory once there was a commit and nothing is left to do, for ever."""
    tidied = -1
    while True:
        await anyio.sleep(_EVERY_S)
        if root.caught_up and root.indexer.current.generation != tidied:
            tidied = root.indexer.current.generation
            try:
                await root.indexer.maintain(lambda: root.stopping or not root.work.idle)
                await anyio.to_thread.run_sync(allocator.give_back)
            except StoreFullError as error:
                root.set_problem("store", error.message, error.hint)
