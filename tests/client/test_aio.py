"""What only the async client has to get right: errors on their way out of ``async with``, and callers that wait."""

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


async def _forever(params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
    await anyio.sleep_forever()
    return {}


@contextlib.contextmanager
def deaf(path: Path) -> Iterator[Callable[[], None]]:
    """Somebody who listens at ``path`` and reads nothing; what is given hangs up."""
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
    """``async with`` ends with what its body raised."""

    def test_an_error_reaches_the_handler_around_it(self, daemon: FakeDaemon) -> None:
        async def run() -> None:
            async with AsyncClient(daemon.socket_path, start=False) as client:
                await client.search("x", roots=["/elsewhere"])

        with pytest.raises(NotIndexedError):
            anyio.run(run)

    def test_a_group_of_errors_stays_the_group_it_was(self, daemon: FakeDaemon) -> None:
        group = ExceptionGroup("several", [ValueError("a"), KeyError("b")])

        async def run() -> None:
            async with AsyncClient(daemon.socket_path, start=False):
                raise group

        with pytest.raises(ExceptionGroup) as caught:
            anyio.run(run)
        assert caught.value is group

    def test_an_error_goes_on_though_somebody_cancels_meanwhile(self, daemon: FakeDaemon) -> None:
        async def run() -> None:
            with anyio.CancelScope() as scope:
                async with AsyncClient(daemon.socket_path, start=False):
                    scope.cancel()
                    raise ValueError("first")

        with pytest.raises(ValueError, match="first"):
            anyio.run(run)

    def test_a_cancelled_body_is_cancelled_to_the_end_of_the_scope(self, daemon: FakeDaemon) -> None:
        daemon.answers["search"] = _forever
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

    def test_a_cancelled_task_of_asyncio_is_cancelled(self, daemon: FakeDaemon) -> None:
        daemon.answers["search"] = _forever
        asked = asyncio.Event()

        async def ask() -> None:
            async with AsyncClient(daemon.socket_path, start=False) as client:
                asked.set()
                await client.search("x")

        async def run() -> bool:
            task = asyncio.create_task(ask())
            await asked.wait()
            task.cancel()
            await asyncio.wait([task])
            return task.cancelled()

        assert asyncio.run(run())

    def test_a_client_that_was_left_answers_nobody_and_may_be_entered_again(self, daemon: FakeDaemon) -> None:
        client = AsyncClient(daemon.socket_path, start=False)

        async def run() -> None:
            for _ in range(2):
                async with client:
                    assert (await client.info())["pid"] == 4242
                with pytest.raises(NoDaemonError, match="closed"):
                    await client.info()

        anyio.run(run)


def test_an_error_of_the_callback_is_raised_by_add_and_the_connection_goes_on(
    daemon: FakeDaemon, tmp_path: Path
) -> None:
    (tmp_path / "more").mkdir()

    def refuse(_: object) -> None:
        raise ValueError("enough")

    async def run() -> None:
        async with AsyncClient(daemon.socket_path, start=False) as client:
            with pytest.raises(ValueError, match="enough"):
                await client.add(tmp_path / "more", on_progress=refuse)
            assert (await client.info())["pid"] == 4242

    anyio.run(run)


def test_all_callers_hear_of_the_end_also_those_whose_request_was_never_sent(tmp_path: Path) -> None:
    """One of the requests is half sent, 16 are queued, and the other callers wait for room."""
    heard: list[type[BaseException]] = []

    async def ask(client: AsyncClient, number: int) -> None:
        with pytest.raises(NoDaemonError) as caught:
            await client.search("x" * 30_000 + str(number))
        heard.append(caught.type)

    async def run(hang_up: Callable[[], None]) -> None:
        async with AsyncClient(tmp_path / "s", start=False) as client, anyio.create_task_group() as tasks:
            for number in range(60):
                tasks.start_soon(ask, client, number)
            await anyio.wait_all_tasks_blocked()
            hang_up()

    with deaf(tmp_path / "s") as hang_up:
        anyio.run(run, hang_up)
    assert heard == [NoDaemonError] * 60
