"""Streams the results of exact search, in batches of bounded size, as they are found.

Files are listed first; from then on, no snapshot is needed, so a reader may take any time. A batch is searched for when
the one before it has been taken. So memory is bounded by the number of files, whatever the pattern.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Final, TypeAlias

import anyio
import anyio.from_thread
import anyio.to_thread
from msgspec.structs import replace

from codeindexd.search.grep import (
    FileCount,
    FileToSearch,
    GrepRequest,
    GrepTotals,
    MatchedLine,
    files_to_search,
    grep_files,
)
from codeindexd.search.pinning import SearchedParts, parts_of, pinned_part
from codeindexd.search.searchable_root import PinnedRoot, SearchableRoot
from codeindexd.types import RootState
from codeindexd.waiting import run_all

Found: TypeAlias = MatchedLine | FileCount

BATCH_BYTES: Final = 1 << 16
_BATCH_S: Final = 0.02
_ENTRY_BYTES: Final = 200  # of an entry without its texts, as JSON


class GrepStream:
    """A search whose results are sent while it runs.

    Each request has its root. With ``counted``, files with their counts are sent instead of lines. ``limit`` bounds the
    lines that are sent (None: no bound), ``budget_s`` the time. ``totals`` are those so far; ``state``, ``clock`` and
    ``took_ms`` belong to what was searched.
    """

    def __init__(
        self,
        requests: Sequence[tuple[SearchableRoot, GrepRequest]],
        *,
        counted: bool,
        limit: int | None,
        budget_s: float,
        mask_secrets: bool,
    ) -> None:
        self.totals = GrepTotals()
        self.returned = 0
        self._requests = requests
        self._counted = counted
        self._limit = 0 if counted else limit
        self._budget_s = budget_s
        self._mask_secrets = mask_secrets
        self._searched = SearchedParts()
        self._began = time.monotonic()

    @property
    def state(self) -> RootState:
        """The worst state of any root that was searched."""
        return self._searched.state

    @property
    def clock(self) -> str:
        """The clocks of the roots that were searched."""
        return self._searched.clock

    @property
    def took_ms(self) -> float:
        """The time since the search began."""
        return (time.monotonic() - self._began) * 1000

    async def run(self, encode: Callable[[Sequence[Found]], bytes], send: Callable[[bytes], Awaitable[None]]) -> None:
        """Search, and ``send`` what was found, in the order of roots, paths and lines, until all of it is sent.

        A batch has about 64 KiB of text at most, or a single line with its context; it is sent once it is full or some
        milliseconds old. ``encode`` is called in threads. When this is cancelled, no further file is read. Raises
        FailedError when nothing can be read.
        """
        wanted = {id(root): request.for_root(root) for root, request in self._requests}

        def list_files(pinned: PinnedRoot) -> list[FileToSearch]:
            return files_to_search(pinned.root, pinned.snapshot, wanted[id(pinned.root)])

        for some in parts_of([root for root, _ in self._requests]):
            async with pinned_part(some) as part:
                files = await run_all(partial(anyio.to_thread.run_sync, list_files, pinned) for pinned in part.pinned)
                self._searched.add(part)
            for pinned, listed in zip(part.pinned, files, strict=True):
                found = self._search(pinned.root, listed, wanted[id(pinned.root)])
                while batch := await anyio.to_thread.run_sync(self._next_batch, found, encode):
                    await send(batch)

    def _search(
        self, root: SearchableRoot, files: Sequence[FileToSearch], request: GrepRequest
    ) -> Iterator[MatchedLine | FileCount | None]:
        limit = None if self._limit is None else self._limit - self.returned
        budget_s = self._budget_s - (time.monotonic() - self._began)
        request = replace(request, limit=limit, budget_s=budget_s)
        return grep_files(root, files, request, self.totals, mask_secrets=self._mask_secrets)

    def _next_batch(
        self, results: Iterator[MatchedLine | FileCount | None], encode: Callable[[Sequence[Found]], bytes]
    ) -> bytes:
        """Return the next results, encoded; b"" if there are no more. Blocking."""
        batch: list[Found] = []
        size = 0
        due = time.monotonic() + _BATCH_S
        for found in results:
            anyio.from_thread.check_cancelled()
            if isinstance(found, FileCount if self._counted else MatchedLine):
                batch.append(found)
                size += _size(found)
            if batch and (size >= BATCH_BYTES or time.monotonic() >= due):
                break
        self.returned += len(batch)
        return encode(batch) if batch else b""


def _size(found: Found) -> int:
    """Return roughly the size of an entry as JSON."""
    if isinstance(found, FileCount):
        return _ENTRY_BYTES
    texts = (found.text, *found.before, *found.after)
    return _ENTRY_BYTES + sum(map(len, texts))
