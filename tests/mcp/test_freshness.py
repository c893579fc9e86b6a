"""What a model is told about an index that is not up to date."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from codeindexd.client.aio import AsyncClient
from codeindexd.mcp.freshness import state_notes

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("progress", "share"),
    [
        ({"files_done": 120, "files_total": 2_000}, " (120 of 2,000 files so far)"),
        ({"files_done": 120, "files_total": 2_000, "scanning": True}, " (120 of at least 2,000 files so far)"),
        ({"files_done": 0, "files_total": 0, "scanning": True}, ""),
    ],
)
async def test_an_absence_means_nothing_while_files_are_indexed(progress: dict[str, Any], share: str) -> None:
    async def status() -> dict[str, Any]:
        other = {"path": "/other", "progress": {"files_done": 1, "files_total": 1}}
        return {"roots": [{"path": "/code", "progress": progress}, other]}

    client = cast("AsyncClient", SimpleNamespace(status=status))
    (note,) = await state_notes(client, "indexing", ["/code"])
    assert note == f"the index is being built{share}: an absence means nothing yet. Repeat the call later"
