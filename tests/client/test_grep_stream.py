"""Streams of matching lines, with both clients: their ends, their errors, and leaving them early."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from client.fake_daemon import FakeDaemon
from codeindexd.client import AsyncClient, Client
from codeindexd.client.grep_stream import StreamedAnswer
from codeindexd.daemon import encoding
from codeindexd.daemon.server import Connection
from codeindexd.errors import CodeindexError, InvalidQueryError, NoDaemonError, NotIndexedError, TimedOutError

Grep = Callable[..., tuple[list[Any], Any]]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    with FakeDaemon(tmp_path / "s", roots={"/p": "fresh", "/q": "fresh"}) as running:
        yield running


def blocking(daemon: FakeDaemon, pattern: str, *, most: int = 100, **options: Any) -> tuple[list[Any], Any]:
    """Return at most ``most`` items of a stream of the blocking client, and its result if that was read to the end."""
    timeout_s = options.pop("timeout_s", None)
    with (
        Client(daemon.socket_path, start=False, timeout_s=timeout_s) as client,
        client.grep_stream(pattern, **options) as found,
    ):
        items = []
        for item in found:
            items.append(item)
            assert client.roots()["roots"], "other calls can be made meanwhile"
            if len(items) == most:
                return items, None
        return items, found.result


def awaited(daemon: FakeDaemon, pattern: str, *, most: int = 100, **options: Any) -> tuple[list[Any], Any]:
    """Return the same with the asynchronous client."""
    timeout_s = options.pop("timeout_s", None)

    async def run() -> Any:
        async with AsyncClient(daemon.socket_path, start=False, timeout_s=timeout_s) as client:
            try:
                async with client.grep_stream(pattern, **options) as found:
                    items = []
                    async for item in found:
                        items.append(item)
                        assert (await client.roots())["roots"], "other calls can be made meanwhile"
                        if len(items) == most:
                            return items, None
                    return items, found.result
            except CodeindexError as error:
                return error

    outcome = anyio.run(run)
    if isinstance(outcome, CodeindexError):
        raise outcome
    items, result = outcome
    return items, result


@pytest.fixture(params=[blocking, awaited], ids=["blocking", "async"])
def grep(request: pytest.FixtureRequest) -> Grep:
    chosen: Grep = request.param
    return chosen


def test_items_come_one_by_one_and_then_the_result(daemon: FakeDaemon, grep: Grep) -> None:
    lines, result = grep(daemon, "locked")
    assert [(line["root"], line["line"]) for line in lines] == [("/p", 14), ("/q", 14)]
    assert (result["total"], result["matches"]) == (2, [])
    counts, result = grep(daemon, "locked", count=True)
    assert [count["count"] for count in counts] == [1, 1]
    assert (result["total"], result["counts"]) == (2, [])
    assert grep(daemon, "nothing")[0] == []
    assert daemon.seen[-1][1]["limit"] is None


def test_a_daemon_that_cannot_stream_answers_at_once(daemon: FakeDaemon, grep: Grep) -> None:
    daemon.answers["grep"] = {"pattern": "x", "matches": [{"line": 1}, {"line": 2}], "total": 2}
    lines, result = grep(daemon, "x")
    assert [line["line"] for line in lines] == [1, 2]
    assert result == {"pattern": "x", "matches": [], "total": 2}


@pytest.mark.parametrize("error", [InvalidQueryError("the pattern is empty"), NotIndexedError("/p is not indexed")])
def test_errors_have_their_own_classes(daemon: FakeDaemon, grep: Grep, error: CodeindexError) -> None:
    async def stream(params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        await connection.send_part(encoding.notification("grep", {"request": 1, "matches": [{"line": 1}]}))
        raise error

    daemon.answers["grep"] = stream
    with pytest.raises(type(error), match=error.message):
        grep(daemon, "x")


def test_a_connection_that_ends_early_is_no_end_of_the_answer(daemon: FakeDaemon, grep: Grep) -> None:
    async def stream(params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        await connection.send_part(encoding.notification("grep", {"request": 1, "matches": [{"line": 1}]}))
        connection.drop("test")
        return {}

    daemon.answers["grep"] = stream
    with pytest.raises(NoDaemonError):
        grep(daemon, "x")


def test_a_silent_daemon_times_out(daemon: FakeDaemon, grep: Grep) -> None:
    async def stream(params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        await anyio.sleep_forever()
        return {}

    daemon.answers["grep"] = stream
    with pytest.raises(TimedOutError):
        grep(daemon, "x", timeout_s=0.2)


def test_leaving_early_ends_the_search_in_the_daemon(daemon: FakeDaemon, grep: Grep) -> None:
    cancelled = threading.Event()

    async def stream(params: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        try:
            for number in range(3):
                await connection.send_part(encoding.notification("grep", {"request": 1, "matches": [{"line": number}]}))
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        return {}

    daemon.answers["grep"] = stream
    assert grep(daemon, "x", most=2) == ([{"line": 0}, {"line": 1}], None)
    assert cancelled.wait(20)


def test_the_result_is_known_only_at_the_end(daemon: FakeDaemon) -> None:
    with Client(daemon.socket_path, start=False) as client, client.grep_stream("x") as found:
        next(iter(found))
        with pytest.raises(ValueError, match="not been read to the end"):
            _ = found.result


def test_parts_may_be_cut_anywhere() -> None:
    answer = StreamedAnswer({"pattern": "x"})
    messages = [
        encoding.notification("grep", {"request": 1, "matches": [{"line": 1}, {"line": 2}]}),
        encoding.result(1, {"pattern": "x", "matches": [], "total": 2}),
    ]
    batches = [batch for byte in b"".join(messages) for batch in answer.feed(bytes([byte]))]
    assert batches == [[{"line": 1}, {"line": 2}]]
    assert answer.result is not None
    assert answer.result["total"] == 2
