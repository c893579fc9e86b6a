"""Brings what a tool is about to search up to date, and tells the model when that was not possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from codeindexd.errors import CodeindexError
from codeindexd.quantities import quantity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codeindexd.client.aio import AsyncClient

SYNC_TIMEOUT_S = 2.0  # a quiet root is in sync after 20 ms; while one is first indexed, there is no point in waiting
_MOST_ROOTS = 16


async def sync_roots(client: AsyncClient, roots: Sequence[str] | None) -> list[str]:
    """Wait until earlier changes in ``roots`` (None: all) are indexed, at most 2 seconds; else return notes."""
    late: list[str] = []

    async def sync(root: str | None) -> None:
        try:
            await client.sync(root, timeout_s=SYNC_TIMEOUT_S)
        except CodeindexError:  # the search itself says what is wrong
            late.append(root or "some projects")

    wanted: Sequence[str | None] = [None] if roots is None or len(roots) > _MOST_ROOTS else roots
    with anyio.move_on_after(SYNC_TIMEOUT_S + 0.5) as waiting:
        async with anyio.create_task_group() as tasks:
            for root in wanted:
                tasks.start_soon(sync, root)
    if waiting.cancelled_caught or late:
        return ["changes of the last seconds may be missing: they were not indexed within 2 seconds"]
    return []


async def state_notes(client: AsyncClient, state: str, roots: Sequence[str] | None) -> list[str]:
    """Return notes on a state of the searched roots that is not ``fresh``, while indexing with its progress."""
    if state == "fresh":
        return []
    if state in {"indexing", "reconciling"}:
        searched = [root for root in (await client.status())["roots"] if roots is None or root["path"] in roots]
        done = sum(root["progress"]["files_done"] for root in searched)
        total = sum(root["progress"]["files_total"] for root in searched)
        at_least = "at least " if any(root["progress"].get("scanning") for root in searched) else ""
        share = f" ({done:,} of {at_least}{quantity(total, 'file')} so far)" if total else ""
        return [f"the index is being built{share}: an absence means nothing yet. Repeat the call later"]
    if state == "missing":
        return ["a directory that was searched is missing, so nothing in it can be found. Call status to see which"]
    return [f"the index is {state}: some code may be missing from it. Call status to see why"]
