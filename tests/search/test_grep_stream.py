"""Streams of matching lines: complete, in order, in small parts, and no faster than they are taken."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import pytest
from msgspec.structs import replace

from codeindexd.search.grep import FileCount, GrepRequest, MatchedLine, grep_root, read_text
from codeindexd.search.grep_stream import BATCH_BYTES, Found, GrepStream
from codeindexd.search.line_matcher import LineMatcher
from codeindexd.types import RootState
from search.indexed_root import Indexed

pytestmark = pytest.mark.anyio

FILES = 40


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Indexed]:
    made = Indexed(tmp_path)
    for number in range(FILES):
        made.save(f"f{number:02}.py", "".join(f"needle_{number} = {line}  # {'x' * 50}\n" for line in range(200)))
    yield made
    made.close()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The paths of the files that are read."""
    paths: list[bytes] = []

    def counting(directory: bytes, file: Any, rules_out: Any) -> Any:
        paths.append(file.entry.path)
        return read_text(directory, file, rules_out)

    monkeypatch.setattr("codeindexd.search.grep.read_text", counting)
    return paths


def stream(
    root: Indexed, pattern: str, *, counted: bool = False, limit: int | None = None, **options: Any
) -> GrepStream:
    request = GrepRequest(LineMatcher(pattern), **options)
    return GrepStream([(root, request)], counted=counted, limit=limit, budget_s=math.inf, mask_secrets=True)


def encoded(batches: list[list[Found]]) -> Any:
    """Return an encoder that appends to ``batches``, and makes bytes of the same size."""

    def encode(found: Sequence[Found]) -> bytes:
        batches.append(list(found))
        return b"".join(one.text.encode() if isinstance(one, MatchedLine) else one.path for one in found)

    return encode


async def test_lines_come_in_small_parts_and_are_those_of_a_whole_answer(root: Indexed) -> None:
    batches: list[list[Found]] = []
    sizes: list[int] = []

    async def send(data: bytes) -> None:
        sizes.append(len(data))

    running = stream(root, "needle")
    await running.run(encoded(batches), send)
    with root.pin_snapshot() as snapshot:
        assert snapshot is not None
        request = GrepRequest(LineMatcher("needle"), limit=None)
        whole = grep_root(root, snapshot, request, mask_secrets=True)
    assert [line for batch in batches for line in batch] == whole.lines
    assert len(whole.lines) == running.returned == running.totals.total == FILES * 200
    assert (running.totals.files, running.totals.searched) == (FILES, FILES)
    assert len(sizes) > 5
    assert max(sizes) <= BATCH_BYTES
    assert (running.state, running.clock) == (RootState.FRESH, root.clock)


async def test_counts_are_streamed_without_lines(root: Indexed) -> None:
    batches: list[list[Found]] = []

    async def send(_: bytes) -> None:
        pass

    running = stream(root, "needle_1", counted=True)
    await running.run(encoded(batches), send)
    counts = [(one.path, one.count) for batch in batches for one in batch if isinstance(one, FileCount)]
    assert counts == [(f"f{number:02}.py".encode(), 200) for number in (1, *range(10, 20))]


async def test_a_limit_cuts_the_lines_but_not_their_count(root: Indexed) -> None:
    batches: list[list[Found]] = []

    async def send(_: bytes) -> None:
        pass

    running = stream(root, "needle", limit=250)
    await running.run(encoded(batches), send)
    assert sum(map(len, batches)) == running.returned == 250
    assert running.totals.total == FILES * 200


async def test_no_file_is_read_ahead_of_a_slow_reader(root: Indexed, read: list[bytes]) -> None:
    sent = anyio.Event()
    may_go_on = anyio.Event()
    batches: list[list[Found]] = []

    async def send(_: bytes) -> None:
        sent.set()
        await may_go_on.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream(root, "needle").run, encoded(batches), send)
        await sent.wait()
        await anyio.wait_all_tasks_blocked()
        assert len(batches) == 1
        assert len(read) <= 1 + sum(map(len, batches)) // 200 < FILES
        may_go_on.set()
    assert len(read) == FILES


async def test_no_file_is_read_once_nobody_wants_the_rest(root: Indexed, read: list[bytes]) -> None:
    batches: list[list[Found]] = []
    with anyio.CancelScope() as scope:

        async def send(_: bytes) -> None:
            scope.cancel()
            await anyio.lowlevel.checkpoint()

        await stream(root, "needle").run(encoded(batches), send)
    assert scope.cancelled_caught
    assert 0 < len(read) < FILES / 2


async def test_a_search_without_matches_is_stopped_between_two_files(
    root: Indexed, read: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent, so only the thread itself can notice."""
    third = anyio.Event()

    def reading(directory: bytes, file: Any, rules_out: Any) -> Any:
        found = read_text(directory, file, rules_out)
        read.append(file.entry.path)
        if len(read) == 3:
            anyio.from_thread.run_sync(third.set)
            cancelled.wait(20)
        return replace(found, text=None)

    cancelled = threading.Event()
    monkeypatch.setattr("codeindexd.search.grep.read_text", reading)

    async def send(_: bytes) -> None:
        raise AssertionError("nothing matches")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream(root, "needle").run, encoded([]), send)
        await third.wait()
        tasks.cancel_scope.cancel()
        cancelled.set()
    assert len(read) == 3


async def test_the_snapshot_is_not_kept_while_lines_are_sent(root: Indexed) -> None:
    """A pager that is left open must not keep old generations on the disk."""
    generations: list[bool] = []
    pinned = 0
    pin = root.pin_snapshot

    class Counting:
        def __enter__(self) -> Any:
            nonlocal pinned
            pinned += 1
            self._pin = pin()
            return self._pin.__enter__()

        def __exit__(self, *error: Any) -> None:
            nonlocal pinned
            pinned -= 1
            self._pin.__exit__(*error)

    root.pin_snapshot = Counting  # type: ignore[method-assign,assignment]

    async def send(_: bytes) -> None:
        generations.append(pinned == 0)

    await stream(root, "needle").run(encoded([]), send)
    assert generations
    assert all(generations)
