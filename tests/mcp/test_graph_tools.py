"""The tools about the code graph: how their answers are ordered."""

from __future__ import annotations

from typing import Any, cast

from codeindexd.client.results import ImpactResult
from codeindexd.mcp.graph_tools import _affected
from codeindexd.mcp.scope import Scope


class AnyScope:
    def shown(self, _root: str, path: str) -> str:
        return path


def affected(path: str, line: int, distance: int) -> dict[str, Any]:
    return {
        "root": "/r", "path": path, "line": line, "symbol": f"f{line}", "kind": "function", "reason": "calls",
        "via": "g", "distance": distance, "confidence": "exact",
    }  # fmt: skip


def test_the_files_with_the_nearest_places_come_first() -> None:
    places = [affected("z.py", 3, 1), affected("m.py", 1, 1), affected("a.py", 2, 2), affected("z.py", 1, 2)]
    result = cast(ImpactResult, {"affected": places, "importers": []})
    shown = _affected(result, cast(Scope, AnyScope()))
    assert [f"{one.path}:{one.text.partition(':')[0]}" for one in shown] == ["z.py:3", "z.py:1", "m.py:1", "a.py:2"]
