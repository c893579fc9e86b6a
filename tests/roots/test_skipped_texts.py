"""When the texts of skipped files are read, and that no answer depends on it."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from codeindexd.analysis.long_runs import long_runs_of
from codeindexd.analysis.trigrams import trigrams_of
from codeindexd.roots import Root, skipped_texts
from codeindexd.roots.registry import RootSpec
from codeindexd.roots.verify.audit import audit
from codeindexd.roots.verify.verify import verify
from codeindexd.scan.safe_read import current_stat
from codeindexd.search.grep import GrepRequest, GrepResult, grep_root
from codeindexd.search.line_matcher import LineMatcher
from codeindexd.storage.catalog.skipped_texts import ReadText
from codeindexd.storage.text import Document
from codeindexd.workers.jobs import FileJob, FileResult
from codeindexd.workers.pool import WorkerPool
from roots.real_root import Harness, harness
from support.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.processes]


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skipped_texts, "_QUIET_S", 0.05)
    monkeypatch.setattr(skipped_texts, "_MOST_OF_TIME", 1.0)


@asynccontextmanager
async def with_lock_files(base: Path) -> AsyncIterator[Harness]:
    async with harness(base) as made:
        (made.path / "a.py").write_text("x = 1\n")
        for number in range(3):
            (made.path / str(number)).mkdir()
            save(made.path / str(number) / "yarn.lock", f"needle {number}\n")
        yield made


def save(path: Path, text: str) -> None:
    """Write a file whose stat shows every later change at once."""
    path.write_text(text)
    os.utime(path, (1e9, 1e9))


def known(root: Root) -> dict[bytes, bool]:
    """The skipped files that may be text, and whether their present content is in the text index."""
    with root.pin_snapshot() as snapshot:
        assert snapshot is not None
        contents = snapshot.text.contents()
        return {
            text.path: text.content in contents and text.stat == current_stat(root.spec.raw, text.path)
            for text in snapshot.catalog.skipped_texts(snapshot.read_round)
        }


async def grep(root: Root, pattern: str) -> GrepResult:
    def run() -> GrepResult:
        with root.pin_snapshot() as snapshot:
            assert snapshot is not None
            return grep_root(root, snapshot, GrepRequest(LineMatcher(pattern)), mask_secrets=True)

    return await anyio.to_thread.run_sync(run)


async def test_skipped_files_are_read_in_quiet_times_and_again_once_a_search_sees_a_change(
    tmp_path: Path,
) -> None:
    async with with_lock_files(tmp_path) as made, made.running() as root:
        await eventually(lambda: all(known(root).values()))
        assert len(known(root)) == 3
        assert (await grep(root, "needle 1")).searched == 1
        save(made.path / "1/yarn.lock", "another\n")
        assert (await grep(root, "another")).total == 1
        assert (await grep(root, "needle 1")).total == 0
        await eventually(lambda: all(known(root).values()))
        assert (await grep(root, "needle")).searched == 2


async def test_what_was_read_is_known_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with with_lock_files(tmp_path) as made:
        async with made.running() as root:
            await eventually(lambda: all(known(root).values()))
        monkeypatch.setattr(skipped_texts, "_QUIET_S", 3600)
        async with made.running() as root:
            assert list(known(root).values()) == [True] * 3


async def test_files_that_a_later_change_may_not_show_are_read_by_every_search(tmp_path: Path) -> None:
    async with with_lock_files(tmp_path) as made:
        os.utime(made.path / "2/yarn.lock", (4e9, 4e9))  # a stat in the future
        async with made.running() as root:
            await eventually(lambda: sum(known(root).values()) == 2)
            assert await root._skipped_texts.read() == 0
            assert (await grep(root, "nowhere")).searched == 1
            assert (await grep(root, "needle 2")).total == 1


async def test_removing_and_moving_files_leaves_nothing_behind(tmp_path: Path) -> None:
    async with with_lock_files(tmp_path) as made, made.running() as root:
        await eventually(lambda: all(known(root).values()))
        (made.path / "0/yarn.lock").unlink()
        (made.path / "1").rename(made.path / "moved")
        await root.sync(30)
        assert set(known(root)) == {b"2/yarn.lock", b"moved/yarn.lock"}
        await eventually(lambda: all(known(root).values()))
        assert root._parts.index.catalog.check() == []


async def test_an_audit_gives_large_files_as_much_time_as_their_first_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with with_lock_files(tmp_path) as made, made.running() as root:
        await eventually(lambda: all(known(root).values()))
        sizes: dict[bytes, int] = {}
        submit = WorkerPool.process

        def process(pool: WorkerPool, jobs: Iterable[FileJob]) -> AsyncGenerator[FileResult, None]:
            jobs = list(jobs)
            sizes.update((job.path, job.size) for job in jobs if job.text_only)
            return submit(pool, jobs)

        monkeypatch.setattr(WorkerPool, "process", process)
        await audit(root.audit_target)
        assert sizes == {b"%d/yarn.lock" % number: len("needle 0\n") for number in range(3)}


async def test_an_audit_finds_wrong_trigrams_and_repairs_them(tmp_path: Path) -> None:
    async with with_lock_files(tmp_path) as made, made.running() as root:
        right = await read_text_of(root, b"1/yarn.lock")
        index = root._parts.index
        await index.write(index.text.forget, [right.content])
        await index.write(index.add_read_texts, [right], [Document(right.content, trigrams_of(b"something else"))])
        await assert_found_and_repaired(root)


async def test_an_audit_finds_a_wrong_filter_of_runs_and_repairs_it(tmp_path: Path) -> None:
    async with with_lock_files(tmp_path) as made, made.running() as root:
        right = await read_text_of(root, b"1/yarn.lock")
        index = root._parts.index
        wrong = replace(right, long_runs=long_runs_of(b"something else"))
        await index.write(index.add_read_texts, [wrong], [])
        await assert_found_and_repaired(root)


async def read_text_of(root: Root, path: bytes) -> ReadText:
    """Wait until all skipped files are read, and return what is known of the one at ``path``."""
    await eventually(lambda: all(known(root).values()))
    with root.pin_snapshot() as snapshot:
        assert snapshot is not None
        text = next(text for text in snapshot.catalog.skipped_texts(snapshot.read_round) if text.path == path)
    assert text.stat is not None
    return ReadText(text.file_id, text.content, text.stat)


async def assert_found_and_repaired(root: Root) -> None:
    """Assert that a search misses a line of ``1/yarn.lock``, and that ``verify`` says so and repairs the index."""
    assert (await grep(root, "needle 1")).total == 0

    async def rebuild(spec: RootSpec) -> Root:
        raise AssertionError(spec)

    found = await verify(root, repair=True, rebuild=rebuild)
    assert [(one["path"], one["what"]) for one in found["differences"]] == [("1/yarn.lock", "text index")]
    assert found["repaired"]
    assert (await grep(root, "needle 1")).total == 1


async def test_files_that_change_all_the_time_are_read_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skipped_texts, "_MOST_OF_TIME", 1e-9)
    async with with_lock_files(tmp_path) as made, made.running() as root:
        await eventually(lambda: all(known(root).values()))
        save(made.path / "1/yarn.lock", "another\n")
        assert (await grep(root, "another")).total == 1
        await anyio.sleep(0.5)  # ten times as long as a quiet time
        assert known(root)[b"1/yarn.lock"] is False
        assert (await grep(root, "another")).total == 1
