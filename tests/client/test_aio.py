"""The asynchronous client: errors that leave ``async with``, cancellation, and pending calls."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from client.fake_daemon import FakeDaemon
from codeindexd.client import AsyncClient
from codeindexd.daemon.server import Connection
from codeindexd.errors import NoDaemonError, NotIndexedError


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path / "s", roots={"/p": "fresh"}) as running:
        yield running


async def _never_answer(params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
    await anyio.sleep_forever()
    return {}


@contextlib.contextmanager
def silent_listener(path: Path) -> Iterator[Callable[[], None]]:
    """Listen at ``path`` and read nothing; yield a function that hangs up."""
    leave = threading.Event()

    def listen() -> None:
        with listener.accept()[0]:
            leave.wait(30)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=listen)
        thread.start()
        yield leave.set
        leave.set()
        thread.join()


class TestLeaving:
    """``async with`` raises the error of its body."""

    def test_an_error_leaves_the_block_unwrapped(self, daemon: FakeDaemon) -> None:
        async def run() -> None:
            async with AsyncClient(daemon.socket_path, start=False) as client:
                await client.search("x", roots=["/elsewhere"])

        with pytest.raises(NotIndexedError):
            anyio.run(run)

    def test_a_group_of_errors_leaves_the_block_unchanged(self, daemon: FakeDaemon) -> None:
        group = ExceptionGroup("several", [ValueError("a"), KeyError("b")])

        async def run() -> None:
            async with AsyncClient(daemon.socket_path, start=False):
                raise group

        with pytest.raises(ExceptionGroup) as caught:
            anyio.run(run)
        assert caught.value is group

    def test_an_error_survives_a_concurrent_cancellation(self, daemon: FakeDaemon) -> None:
        async def run() -> None:
            with anyio.CancelScope() as scope:
                async with AsyncClient(daemon.socket_path, start=False):
                    scope.cancel()
                    raise ValueError("first")

        with pytest.raises(ValueError, match="first"):
            anyio.run(run)

    def test_cancellation_reaches_the_end_of_the_scope(self, daemon: FakeDaemon) -> None:
        daemon.answers["search"] = _never_answer
        after: list[str] = []

        async def run() -> bool:
            with anyio.CancelScope() as scope:
                async with AsyncClient(daemon.socket_path, start=False) as client, anyio.create_task_group() as tasks:
                    tasks.start_soon(client.search, "x")
                    await anyio.wait_all_tasks_blocked()
                    scope.cancel()
                after.append("not cancelled")
            return scope.cancelled_caught

        assert anyio.run(run)
        assert after == []

    def test_an_asyncio_task_can_be_cancelled(self, daemon: FakeDaemon) -> None:
        daemon.answers["search"] = _never_answer
        started = asyncio.Event()

        async def ask() -> None:
            async with AsyncClient(daemon.socket_path, start=False) as client:
                started.set()
                await client.search("x")

        async def run() -> bool:
            task = asyncio.create_task(ask())
            await started.wait()
            task.cancel()
            await asyncio.wait([task])
            return task.cancelled()

        assert asyncio.run(run())

    def test_a_closed_client_refuses_calls_and_can_be_entered_again(self, daemon: FakeDaemon) -> None:
        client = AsyncClient(daemon.socket_path, start=False)

        async def run() -> None:
            for _ in range(2):
                async with client:
                    assert (await client.info())["pid"] == 4242
                with pytest.raises(NoDaemonError, match="closed"):
                    await client.info()

        anyio.run(run)


def test_an_error_in_the_callback_is_raised_by_add_and_keeps_the_connection(daemon: FakeDaemon, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()

    def refuse(_: object) -> None:
        raise ValueError("enough")

    async def run() -> None:
        async with AsyncClient(daemon.socket_path, start=False) as client:
            with pytest.raises(ValueError, match="enough"):
                await client.add(tmp_path / "more", on_progress=refuse)
            assert (await client.info())["pid"] == 4242

    anyio.run(run)


def test_the_end_of_the_connection_fails_every_pending_call(tmp_path: Path) -> None:
    """One request is half sent, 16 are queued, and the other callers wait to queue theirs."""
    errors: list[type[BaseException]] = []

    async def ask(client: AsyncClient, number: int) -> None:
        with pytest.raises(NoDaemonError) as caught:
            await client.search("x" * 30_000 + str(number))
        errors.append(caught.type)

    async def run(hang_up: Callable[[], None]) -> None:
        async with AsyncClient(tmp_path / "s", start=False) as client, anyio.create_task_group() as tasks:
            for number in range(60):
                tasks.start_soon(ask, client, number)
            await anyio.wait_all_tasks_blocked()
            hang_up()

    with silent_listener(tmp_path / "s") as hang_up:
        anyio.run(run, hang_up)
    assert errors == [NoDaemonError] * 60
