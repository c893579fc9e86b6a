"""Every answer fits its budget, in both of its forms, whatever the daemon returns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from client.fake_daemon import FakeDaemon, place
from codeindexd.client import AsyncClient
from codeindexd.mcp import tokens
from codeindexd.mcp.answers import Answer, as_json
from codeindexd.mcp.scope import Project
from codeindexd.mcp.tool import Call
from codeindexd.mcp.toolset import TOOLS

FIELDS = {"query": "x", "took_ms": 1.0, "clock": "id:7", "state": "fresh", "dense_coverage": 1.0, "notes": ["n" * 2000]}
ONE_LINE = place("/p", path="a.json", start_line=1, end_line=1, best_line=1, snippet=f'{"[1]," * 400_000}"needle"')
LONG = place("/p", path="d/" * 2000, symbol="S" * 3000, snippet="\n".join(f"line {n} needle" for n in range(5000)))
ODD = place("/p", path='"\\\n"/é' * 50, symbol="a\nb", snippet='"\\\t"\n' * 400)
MANY = [place("/p", path=f"src/module_{number}.py", symbol=f"handler_{number}") for number in range(700)]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path_factory.mktemp("s") / "s", roots={"/p": "fresh"}) as running:
        yield running


def ask(daemon: FakeDaemon, tool: str, **arguments: Any) -> Answer:
    async def main() -> Answer:
        async with AsyncClient(daemon.socket_path, start=False) as client:
            return await TOOLS[tool].call(Call(client, Project(("/p",)), lambda *_: None), arguments)

    return anyio.run(main)


def fits(answer: Answer, budget: int) -> None:
    assert tokens.count(answer.text) <= budget
    assert tokens.count(as_json(answer.structured)) <= budget
    assert answer.text


@pytest.mark.parametrize("budget", [200, 500, 2000, 10_000])
@pytest.mark.parametrize("hits", [[ONE_LINE], [LONG], [ODD], [LONG] * 20, [ODD] * 60, MANY, [*MANY, ONE_LINE, LONG]])
def test_hits_fit(daemon: FakeDaemon, budget: int, hits: list[Any]) -> None:
    daemon.answers["search"] = daemon.answers["related"] = {**FIELDS, "hits": hits}
    for page in (1, 2):
        fits(ask(daemon, "search", query="needle", limit=50, page=page, max_tokens=budget), budget)
        fits(ask(daemon, "related", path="/p/a", line=1, page=page, max_tokens=budget), budget)


@pytest.mark.parametrize("budget", [200, 500, 2000, 10_000])
@pytest.mark.parametrize("hits", [[ONE_LINE], [LONG] * 20, [ODD] * 60, MANY])
def test_symbols_fit(daemon: FakeDaemon, budget: int, hits: list[Any]) -> None:
    daemon.answers["symbol"] = {"symbol": "x", "definitions": hits, "references": [], "notes": ["n" * 900] * 9}
    fits(ask(daemon, "symbol", name="needle", max_tokens=budget), budget)
    uses = [
        {**hit, "line": 7, "text": hit["snippet"][:4000], "confidence": "name", "reference": "call"} for hit in hits
    ]
    nodes = [{**use, "calls": [use], "call_count": 7, "callers": uses_below(use)} for use in uses]
    graph = {
        **FIELDS, "targets": uses, "total": 5000, "files": 900, "references": uses, "callers": nodes, "affected": [
            {**use, "distance": 2, "reason": "calls", "via": "v" * 900} for use in uses
        ], "importers": uses, "tests": uses, "stopped": "s" * 900,
    }  # fmt: skip
    daemon.answers |= {"refs": graph, "callers": graph, "impact": graph}
    for page in (1, 2):
        for of in ("references", "callers"):
            fits(ask(daemon, "symbol", name="needle", of=of, page=page, max_tokens=budget), budget)
        fits(ask(daemon, "impact", name="n" * 900, page=page, max_tokens=budget), budget)
    entry = {"line": 7, "kind": "method", "name": "x", "signature": "s" * 3000}
    daemon.answers["outline"] = {
        **FIELDS, "root": "/p", "path": "p" * 3000, "total": 900, "partial": True, "definitions": [entry] * 900
    }  # fmt: skip
    fits(ask(daemon, "outline", path="a", max_tokens=budget), budget)
    text = "\n".join("m" * 500 for _ in range(900))
    daemon.answers["map"] = {**FIELDS, "root": "/p", "text": text, "total": 900}
    fits(ask(daemon, "map", max_tokens=budget), budget)


@pytest.mark.parametrize("budget", [200, 500, 2000, 10_000])
def test_histories_fit(daemon: FakeDaemon, budget: int) -> None:
    commit = {
        "id": "a" * 40, "short_id": "a" * 10, "author": {"name": "n" * 300}, "date": "2020-09-13T12:00:00+02:00",
        "subject": "s" * 5000, "body": "b\n" * 5000, "references": list(range(900)), "lines": [[1, 2]], "changes": [],
    }  # fmt: skip
    lines = [{"line": 2 * number, "count": 2, "commit": "a" * 40} for number in range(1, 900)]
    daemon.answers["history.why"] = {
        "root": "/p", "path": "p" * 3000, "start_line": 1, "end_line": 2000, "text": [], "lines": lines,
        "commits": [commit] * 50, "definition": {"symbol": "d" * 900}, "earlier": [commit] * 5, "more_earlier": True,
        "notes": ["n" * 900] * 9,
    }  # fmt: skip
    change = {"path": "p" * 3000, "kind": "M", "added": 1, "removed": 1, "definitions": ["d" * 300]}
    logged = {**commit, "root": "/p", "lines": ["l" * 3000] * 3, "files": 900, "changes": [change] * 20}
    daemon.answers["history.log"] = {
        "commits": [logged] * 50, "searched": 10_000, "ranked": True, "notes": ["n" * 900] * 9
    }  # fmt: skip
    for page in (1, 2):
        fits(ask(daemon, "log", query="q" * 900, page=page, limit=20, max_tokens=budget), budget)
    daemon.answers["history.log"]["commits"] = []
    fits(ask(daemon, "log", query="q" * 900, max_tokens=budget), budget)
    daemon.answers["history.of"] = {"path": "p" * 3000, "commits": [commit] * 200, "total": 5000, "truncated": True}
    entry = {"path": "p" * 3000, "symbol": "s" * 900, "count": 3, "total": 5, "confidence": 0.75}
    daemon.answers["history.together"] = {
        "commits": 4, "definitions": [entry] * 100, "files": [entry] * 100, "tests": [entry] * 100, "total": 300
    }  # fmt: skip
    for page in (1, 2):
        fits(ask(daemon, "why", path="a:1", page=page, max_tokens=budget), budget)
        fits(ask(daemon, "history", name="a", page=page, max_tokens=budget), budget)
        fits(ask(daemon, "together", name="a", page=page, max_tokens=budget), budget)


def uses_below(use: Any) -> list[Any]:
    return [{**use, "calls": [use], "call_count": 1, "repeated": True}] * 3


@pytest.mark.parametrize("budget", [200, 500, 2000, 10_000])
def test_lines_fit_and_are_counted_completely(daemon: FakeDaemon, budget: int) -> None:
    line = {"root": "/p", "line": 14, "column": 8, "text": "x" * 4000 + "needle", "spans": [[4000, 4006]]}
    matches = [
        {**line, "path": f"src/{number}.py", "before": ["b" * 4000] * 50, "after": ["é"] * 50} for number in range(300)
    ]
    daemon.answers["grep"] = {
        **FIELDS, "pattern": "x", "matches": matches, "files": 900, "total": 12_345, "searched": 1, "truncated": True
    }  # fmt: skip
    answer = ask(daemon, "grep", pattern="needle", max_tokens=budget)
    fits(answer, budget)
    assert answer.text.startswith("12,345 matching lines in 900 files; lines 1 to ")
    assert answer.structured["total"] == 12_345
    assert "page=2" in answer.text


@pytest.mark.parametrize("budget", [200, 2000])
def test_a_status_fits(daemon: FakeDaemon, tmp_path: Path, budget: int) -> None:
    root = anyio.run(lambda: daemon._status({"path": None}, None))["roots"][0]  # type: ignore[arg-type]
    failures = [{"path": "p" * 3000, "stage": "parse", "error": "e" * 3000, "attempts": 1, "next_retry": None}] * 500
    daemon.answers["status"] = {"roots": [{**root, "failed_files": 500, "failures": failures, "notes": ["n" * 5000]}]}
    fits(ask(daemon, "status", max_tokens=budget), budget)
    del daemon.answers["status"]


def test_pages_of_hits_follow_each_other(daemon: FakeDaemon) -> None:
    daemon.answers["search"] = {**FIELDS, "hits": MANY}
    seen: list[str] = []
    for page in (1, 2, 3):
        answer = ask(daemon, "search", query="x", limit=50, page=page, max_tokens=500)
        seen += [hit["place"].partition(":")[0] for hit in answer.structured["hits"]]
    assert seen == [hit["path"] for hit in MANY[: len(seen)]]
    assert len(seen) > 20
