"""The scope of a tool's call, with indexing on first use where the user permits it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from codeindexd.mcp import scope
from codeindexd.mcp.tool import Call
from codeindexd.quantities import quantity

if TYPE_CHECKING:
    from codeindexd.client.results import Progress, RootsResult

ADD_TIMEOUT_S = 30.0  # hosts abort a tool call after a minute; a part of the index can be searched by then


async def scope_of(call: Call, requested: list[str] | str | None) -> scope.Scope:
    """Return what to search; see :func:`codeindexd.mcp.scope.resolve`."""

    async def add(path: str) -> None:
        await add_root(call, path)

    return await scope.resolve(call.client, call.project, requested, add)


async def add_root(call: Call, path: str, *, wait: bool = True) -> RootsResult:
    """Index ``path``; with ``wait``, wait until all of it can be searched, at most 30 seconds, and report progress."""

    def report(progress: Progress) -> None:
        call.progress(*_progress(progress))

    result: Any = None
    if wait:
        with anyio.move_on_after(ADD_TIMEOUT_S):
            result = await call.client.add(path, on_progress=report)
    return result if result is not None else await call.client.add(path, wait=False)


def _progress(progress: Progress) -> tuple[float, float | None, str]:
    done, total = progress["files_done"], progress["files_total"]
    files = f"{done:,} of {quantity(total, 'file')}" if total else quantity(done, "file")
    return done, total or None, f"{files} indexed"
