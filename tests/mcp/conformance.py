"""Runs the official conformance suite and the official inspector against the server.

``python tests/mcp/conformance.py NPM``: NPM is a directory into which npm has installed ``node``,
``@modelcontextprotocol/conformance`` and ``@modelcontextprotocol/inspector``. The other scenarios of the suite need
tools and resources of its own (``test_simple_text`` and the like), or capabilities that this server does not offer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "daemon")]

from client.fake_daemon import FakeDaemon  # noqa: E402
from codeindexd.client import AsyncClient  # noqa: E402
from codeindexd.mcp import Server  # noqa: E402
from support.mcp_http import listening  # noqa: E402

SCENARIOS = (
    "server-initialize",
    "ping",
    "tools-list",
    "resources-list",
    "prompts-list",
    "server-sse-multiple-streams",
    "dns-rebinding-protection",
)
METHODS = (
    ("tools/list",),
    ("resources/list",),
    ("prompts/list",),
    ("tools/call", "--tool-name", "search", "--tool-arg", "query=check password"),
)


def main() -> int:
    modules = Path(sys.argv[1]) / "node_modules"
    node = modules / "node/bin/node"
    if not node.exists():
        print("skipped: npm has not installed node")
        return 0
    failed = []
    with tempfile.TemporaryDirectory() as directory, FakeDaemon(Path(directory) / "s", roots={"/p": "fresh"}) as daemon:
        server = Server(lambda: AsyncClient(daemon.socket_path, start=False), given=["/p"], note=print)
        suite = modules / "@modelcontextprotocol/conformance/dist/index.js"
        with listening(server, None) as port:
            for scenario in SCENARIOS:
                url = f"http://127.0.0.1:{port}/mcp"
                command = [node, suite, "server", "--url", url, "--scenario", scenario]
                failed += [] if succeeds(scenario, command, dict(os.environ)) else [scenario]
        environ = {**os.environ, "MCP_INSPECTOR_SECRET_STORE": "memory"}
        socket = f"CODEINDEXD_SOCKET={daemon.socket_path}"  # the inspector passes on few variables of its own
        started = ["env", socket, "codeindex", "mcp", "--no-start", "--root", "/p"]
        for method, *more in METHODS:
            command = [node, modules / ".bin/mcp-inspector", "--cli", *started, "--method", method, *more]
            failed += [] if succeeds(f"inspector {method}", command, environ) else [method]
    print(json.dumps({"failed": failed}))
    return 1 if failed else 0


def succeeds(name: str, command: list[str | Path], environ: dict[str, str]) -> bool:
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    print(f"{name}: {'passed' if done.returncode == 0 else f'FAILED ({done.returncode})'}", flush=True)
    if done.returncode:
        print(done.stdout[-3000:], done.stderr[-3000:])
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
