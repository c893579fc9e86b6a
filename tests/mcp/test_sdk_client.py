"""The server with the client of the official SDK, over both transports and in both eras of the protocol."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from client.fake_daemon import FakeDaemon
from codeindexd.client import AsyncClient
from codeindexd.mcp import Server, http_server
from support.places import DAEMON

pytestmark = [pytest.mark.processes, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
MODES = ["legacy", "2026-07-28"]


@pytest.fixture
def mcp() -> Any:
    """Return the SDK, which takes a second to load, so that only these tests do."""
    return pytest.importorskip("mcp", reason="needs the extra [dev]")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    for name in ("alpha", "beta"):
        (tmp_path / name).mkdir()
    roots = {str(tmp_path / name): "fresh" for name in ("alpha", "beta")}
    with FakeDaemon(tmp_path / "s", roots=roots) as running:
        yield running


def stdio(daemon: FakeDaemon) -> Any:
    from mcp.client.stdio import StdioServerParameters, stdio_client

    environ = {**os.environ, "CODEINDEXD_SOCKET": str(daemon.socket_path), "PYTHONPATH": str(DAEMON)}
    arguments = ["-m", "codeindexd.cli.codeindex", "mcp", "--no-start", "--root", next(iter(daemon.roots))]
    return stdio_client(StdioServerParameters(command=sys.executable, args=arguments, env=environ))


async def in_full(client: Any, daemon: FakeDaemon) -> None:
    """Use everything that the server offers."""
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) >= {"search", "grep", "symbol", "related", "status", "add_root"}
    result = await client.call_tool("search", {"query": "check password"})  # the client validates the output schema
    assert not result.is_error
    assert result.content[0].text.startswith("src/auth.py:14  check_password")
    assert result.structured_content["hits"][0]["place"].startswith("src/auth.py:14  check_password")
    assert (await client.call_tool("grep", {"pattern": "locked"})).structured_content["total"] == 1
    assert (await client.call_tool("symbol", {"name": "check_password", "of": "references"})).structured_content[
        "total"
    ] == 1
    assert (await client.call_tool("search", {})).is_error
    assert {prompt.name for prompt in (await client.list_prompts()).prompts} == {
        "explore_code_base",
        "find_where_to_change",
    }
    prompt = await client.get_prompt("find_where_to_change", {"change": "log every login"})
    assert "log every login" in prompt.messages[0].content.text
    for resource in (await client.list_resources()).resources:
        assert (await client.read_resource(resource.uri)).contents[0].text
    outline = await client.read_resource("codeindex://file/src/auth.py")
    assert "class Auth" in outline.contents[0].text
    for tool, arguments in {"outline": {"path": "src/a.py"}, "map": {}, "impact": {"name": "check_password"}}.items():
        assert (await client.call_tool(tool, arguments)).structured_content
    assert (await client.call_tool("symbol", {"name": "check_password", "of": "callers"})).structured_content["callers"]
    assert (await client.list_resource_templates()).resource_templates[0].uri_template.startswith("codeindex://file/")


@pytest.mark.parametrize("mode", MODES)
def test_all_of_it_on_standard_input_and_output(mcp: Any, daemon: FakeDaemon, mode: str) -> None:
    async def main() -> None:
        async with mcp.Client(stdio(daemon), mode=mode) as client:
            await in_full(client, daemon)

    anyio.run(main)


@pytest.mark.parametrize("mode", MODES)
def test_all_of_it_on_http(mcp: Any, daemon: FakeDaemon, mode: str) -> None:
    from mcp.client.streamable_http import streamable_http_client

    async def main() -> None:
        server = Server(
            lambda: AsyncClient(daemon.socket_path, start=False), given=[next(iter(daemon.roots))], note=print
        )
        async with anyio.create_task_group() as tasks:
            port = await tasks.start(listening, server)
            async with mcp.Client(streamable_http_client(f"http://127.0.0.1:{port}/mcp"), mode=mode) as client:
                await in_full(client, daemon)
            tasks.cancel_scope.cancel()

    async def listening(server: Server, *, task_status: Any) -> None:
        await http_server.serve(server, ("127.0.0.1", 0), None, task_status.started)

    anyio.run(main)


@pytest.mark.parametrize("mode", MODES)
def test_the_project_is_the_one_that_the_host_names(mcp: Any, daemon: FakeDaemon, mode: str) -> None:
    from mcp_types import ListRootsResult, Root

    _, beta = daemon.roots

    async def list_roots(context: Any) -> ListRootsResult:
        return ListRootsResult(roots=[Root(uri=f"file://{beta}")])

    async def main() -> None:
        async with mcp.Client(stdio(daemon), mode=mode, list_roots_callback=list_roots) as client:
            assert not (await client.call_tool("search", {"query": "x"})).is_error

    anyio.run(main)
    (params,) = [params for method, params in daemon.seen if method == "search"]
    assert params["roots"] == [beta]


@pytest.mark.parametrize("mode", MODES)
def test_indexing_reports_progress(mcp: Any, daemon: FakeDaemon, tmp_path: Path, mode: str) -> None:
    (tmp_path / "new").mkdir()
    seen: list[float] = []

    async def report(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    async def main() -> None:
        async with mcp.Client(stdio(daemon), mode=mode) as client:
            result = await client.call_tool("add_root", {"path": str(tmp_path / "new")}, progress_callback=report)
            assert not result.is_error

    anyio.run(main)
    assert seen == [60, 120]
