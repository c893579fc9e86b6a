"""The server for agents on HTTP, in a thread of the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from anyio.from_thread import start_blocking_portal

from codeindexd.mcp import Server, http_server


@contextmanager
def listening(server: Server, token: str | None) -> Iterator[int]:
    """Serve in a thread; yield the port."""
    ports: list[int] = []
    started = threading.Event()

    def ready(port: int) -> None:
        ports.append(port)
        started.set()

    with start_blocking_portal() as portal:
        task = portal.start_task_soon(http_server.serve, server, ("127.0.0.1", 0), token, ready)
        assert started.wait(20)
        yield ports[0]
        task.cancel()
