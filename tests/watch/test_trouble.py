"""Trouble: the root vanishes, names are not UTF-8, watches run out, events overflow. Every change is still found."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import watchfiles

from codeindexd.watch import filesystem, portable, watcher
from codeindexd.watch.pacer import PollPacer
from codeindexd.watch.stream import Changes
from support.trees import tree
from support.waiting import eventually
from watch.watching import watching

pytestmark = [pytest.mark.anyio, pytest.mark.processes]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
linux = pytest.mark.skipif(sys.platform != "linux", reason="speaks of inotify")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tree(tmp_path / "root", {"src/a.py": "a", "docs/c.md": "c"})


async def test_a_deleted_and_recreated_root_is_watched_again(root: Path, cookies: Path) -> None:
    async with watching(root, cookies) as owner:
        await owner.settled()
        shutil.rmtree(root)
        await eventually(lambda: owner.root_changes == 1)
        assert owner.watcher.needs_walk
        assert not await owner.watcher.wait_for_events(0.1)
        tree(root, {"src/b.py": "bb"})
        await eventually(lambda: owner.root_changes == 2)
        await owner.caught_up()
        await owner.settled()
        (root / "src/b.py").write_text("longer")
        await owner.hinted(b"src/b.py")


async def test_a_root_replaced_at_once_is_noticed(root: Path, cookies: Path) -> None:
    async with watching(root, cookies) as owner:
        await owner.settled()
        shutil.rmtree(root)
        tree(root, {"src/b.py": "bb"})
        await eventually(lambda: owner.root_changes)
        await owner.caught_up()
        await owner.settled()
        (root / "src/b.py").write_text("longer")
        await owner.hinted(b"src/b.py")


def _rename(source: Path, target: Path) -> None:
    source.rename(target)


async def test_a_renamed_root_is_gone(root: Path, cookies: Path) -> None:
    async with watching(root, cookies) as owner:
        await owner.settled()
        _rename(root, root.with_name("moved"))
        await eventually(lambda: owner.root_changes)
        owner.hints.clear()
        _rename(root.with_name("moved"), root)
        await eventually(lambda: owner.root_changes == 2)
        await owner.hinted(b"")


@needs_root
@linux
async def test_a_file_system_mounted_over_the_root_is_noticed(root: Path, cookies: Path) -> None:
    async with watching(root, cookies) as owner:
        await owner.settled()
        mounted = await anyio.run_process(["mount", "-t", "tmpfs", "none", str(root)], check=False)
        if mounted.returncode:
            pytest.skip("may not mount here")
        try:
            await eventually(lambda: owner.root_changes == 1)
            await owner.settled()
            (root / "inside").write_text("x")
            await owner.hinted(b"inside")
        finally:
            await anyio.run_process(["umount", "--lazy", str(root)])
        await eventually(lambda: owner.root_changes == 2)
        await owner.caught_up()


def _odd(path: Path) -> Path:
    return path / os.fsdecode(b"caf\xe9")


@linux
async def test_directories_with_a_name_that_is_not_utf8_are_polled(root: Path, cookies: Path) -> None:
    """Even opening such a file ends a stream of watchfiles, so its directory is not watched."""
    async with watching(root, cookies, source=portable.watch) as owner:
        await owner.settled()
        (root / "src/before.py").write_text("x")
        _odd(root / "src").write_text("x")
        await owner.hinted(b"")
        await owner.caught_up()
        await eventually(lambda: owner.watcher.reason_to_walk == "some directories are polled")
        (root / "src/a.py").write_text("changed")
        _odd(root / "src").write_text("changed")
        await owner.caught_up()
        (root / "docs/c.md").write_text("other directories have events")
        await owner.hinted(b"docs/c.md")
        _odd(root / "src").unlink()
        await eventually(lambda: not owner.watcher.needs_walk)
        await owner.settled()
        (root / "src/a.py").write_text("events again")
        await owner.hinted(b"src/a.py")
        assert not owner.degraded


@linux
async def test_a_directory_whose_name_is_not_utf8_is_polled(root: Path, cookies: Path) -> None:
    _odd(root / "src").mkdir()
    async with watching(root, cookies) as owner:
        await eventually(lambda: owner.watcher.reason_to_walk == "some directories are polled")
        (_odd(root / "src") / "f").write_text("x")
        await owner.caught_up()
        shutil.rmtree(_odd(root / "src"))
        await eventually(lambda: not owner.watcher.needs_walk)
        await owner.caught_up()


@linux
async def test_a_root_whose_name_is_not_utf8_is_polled(tmp_path: Path, cookies: Path) -> None:
    async with watching(tree(_odd(tmp_path), {"a.py": "a"}), cookies) as owner:
        await eventually(lambda: owner.degraded)
        message = owner.degraded[0][0].encode("utf-8").decode()
        assert "is not UTF-8 and cannot be watched" in message
        (owner.root / "a.py").write_text("found by polling")
        await owner.caught_up()


@linux
async def test_a_root_whose_stream_breaks_repeatedly_is_polled_for_a_while(root: Path, cookies: Path) -> None:
    async with watching(root, cookies, source=portable.watch) as owner:
        while not owner.degraded:
            await eventually(lambda: owner.watcher._streams.live)
            _odd(root).write_text("x")
            _odd(root).unlink()
            owner.hints.clear()
            await owner.hinted(b"")
        assert "breaks repeatedly" in owner.degraded[0][0]
        await eventually(lambda: owner.recovered)
        await owner.settled()
        assert not owner.watcher.needs_walk


class Limited:
    """A source with at most ``limit`` watches, whose errors are those of watchfiles."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def __call__(self, paths: Collection[str], pace: PollPacer, *, recursive: bool) -> Iterator[Changes]:
        if self.used + len(paths) > self.limit:
            raise OSError("OS file watch limit reached. (Error { kind: MaxFilesWatch, paths: [] })")
        self.used += len(paths)
        try:
            yield from portable.watch(paths, pace, recursive=recursive)
        finally:
            self.used -= len(paths)


class Racing:
    """watchfiles in a race with somebody who removes the newest directory just before it is watched."""

    def __init__(self, races: int) -> None:
        self.races = races

    def __call__(self, paths: Collection[str], pace: PollPacer, *, recursive: bool) -> Iterator[Changes]:
        doomed = [path for path in paths if Path(path).name.startswith("doomed")]
        if doomed:
            self.races -= 1
            Path(doomed[0]).rmdir()
        yield from portable.watch(paths, pace, recursive=recursive)


async def test_directories_that_come_and_go_do_not_count_as_a_broken_stream(root: Path, cookies: Path) -> None:
    source = Racing(8)
    async with watching(root, cookies, source=source) as owner:
        await owner.settled()
        for number in range(8):
            (root / f"doomed{number}").mkdir()
            await eventually(lambda number=number: source.races < 8 - number)  # type: ignore[misc]
        assert owner.degraded == []
        (root / "stays").mkdir()
        await owner.settled()
        (root / "stays/a.py").write_text("a")
        await owner.hinted(b"stays/a.py")


async def test_without_free_watches_the_root_is_polled(root: Path, cookies: Path) -> None:
    kernel = Limited(0)
    async with watching(root, cookies, source=kernel) as owner:
        [(message, hint)] = owner.degraded
        assert "file watches of this user are in use" in message
        assert "sysctl fs.inotify.max_user_watches=" in hint
        assert owner.watcher.needs_walk
        assert not await owner.watcher.wait_for_events(0.1)
        (root / "src/a.py").write_text("found by polling")
        await owner.caught_up()
        kernel.limit = 100
        await eventually(lambda: owner.recovered)
        await owner.settled()
        (root / "src/a.py").write_text("and again by events")
        await owner.hinted(b"src/a.py")
        assert not owner.watcher.needs_walk


async def test_directories_beyond_the_limit_are_polled(root: Path, cookies: Path) -> None:
    kernel = Limited(20)
    async with watching(root, cookies, source=kernel) as owner:
        await owner.settled()
        tree(root, {f"more/{number}/f": "x" for number in range(30)})
        await eventually(lambda: owner.degraded)
        (root / "more/29/f").write_text("found by polling")
        await owner.caught_up()
        owner.hints.clear()
        (root / "src/a.py").write_text("the others have events still")
        await owner.hinted(b"src/a.py")
        shutil.rmtree(root / "more")
        await eventually(lambda: owner.recovered)
        await owner.settled()
        assert not owner.watcher.needs_walk


async def test_a_fold_needs_no_more_watches_than_the_limit(
    tmp_path: Path, cookies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "_MERGE_NOW", 10)
    root = tree(tmp_path / "root", {f"{number}/f": "x" for number in range(20)})
    async with watching(root, cookies, source=Limited(60)) as owner:
        await owner.settled()
        tree(root, {f"more/{number}/f": "x" for number in range(25)})
        await eventually(lambda: len(owner.watcher._coverage.covered) == 47)
        await owner.settled()
        assert owner.degraded == []
        (root / "more/24/f").write_text("x")
        await owner.hinted(b"more/24/f")


@contextmanager
def _limited(name: str, value: int) -> Iterator[None]:
    setting = Path("/proc/sys/fs/inotify") / name
    before = setting.read_text()
    try:
        setting.write_text(str(value))
        yield
    finally:
        setting.write_text(before)


@needs_root
@linux
@pytest.mark.changes_limits
async def test_the_kernels_own_limit_is_reached_and_left(tmp_path: Path, cookies: Path) -> None:
    root = tree(tmp_path / "root", {f"d{number}/f": "x" for number in range(200)})
    try:
        limited = _limited("max_user_watches", 100)
        limited.__enter__()
    except OSError:
        pytest.skip("may not change the limit here")
    async with watching(root, cookies) as owner:
        try:
            await eventually(lambda: owner.degraded)
            assert "watches of this user are in use" in owner.degraded[0][0]
            (root / "d150/f").write_text("found by polling")
            await owner.caught_up()
        finally:
            limited.__exit__(None, None, None)
        await eventually(lambda: owner.recovered)
        await owner.settled()
        (root / "d150/f").write_text("x")
        await owner.hinted(b"d150/f")


@needs_root
@linux
@pytest.mark.changes_limits
async def test_a_raised_limit_is_used_at_once(tmp_path: Path, cookies: Path) -> None:
    root = tree(tmp_path / "root", {f"d{number}/f": "x" for number in range(200)})
    limited = _limited("max_user_watches", 100)
    try:
        limited.__enter__()
    except OSError:
        pytest.skip("may not change the limit here")
    async with watching(root, cookies, poll_interval_s=3600) as owner:
        try:
            await eventually(lambda: owner.degraded)
        finally:
            limited.__exit__(None, None, None)
        await eventually(lambda: owner.recovered)
        await owner.settled()
        (root / "d150/f").write_text("x")
        await owner.hinted(b"d150/f")


async def test_a_root_configured_to_be_polled_is_polled(root: Path, cookies: Path) -> None:
    async with watching(root, cookies, poll=True) as owner:
        await owner.hinted(b"")
        assert owner.watcher.needs_walk
        assert owner.degraded == []
        assert not await owner.watcher.wait_for_events(1.0)


async def test_a_burst_as_large_as_the_kernels_queue_requires_a_walk(root: Path, cookies: Path) -> None:
    burst = threading.Event()

    def source(paths: Collection[str], pace: PollPacer, *, recursive: bool) -> Iterator[Changes]:
        for changes in portable.watch(paths, pace, recursive=recursive):
            yield changes
            if burst.is_set():
                yield {(watchfiles.Change.added, f"{root}/src/{number}") for number in range(10_000)}

    async with watching(root, cookies, source=source) as owner:
        await owner.settled()
        owner.walking = False
        burst.set()
        (root / "src/a.py").write_text("x")
        await owner.hinted(b"")
        assert "events at once" in owner.watcher.reason_to_walk
        assert len(owner.hints) < 10
        owner.walk()
        assert not owner.watcher.needs_walk


@linux
@pytest.mark.parametrize(("source", "reason"), [("watchfiles", "events were not read"), ("inotify", "overflowed")])
async def test_a_stopped_process_reports_lost_events(root: Path, cookies: Path, source: str, reason: str) -> None:
    """watchfiles does not report an overflow, so a long time without reading counts as one."""
    helper = Path(__file__).with_name("watch_and_print.py")
    async with await anyio.open_process([sys.executable, str(helper), str(root), str(cookies), source]) as process:
        lines = _lines(process)
        while await anext(lines) != "watching":
            pass
        process.send_signal(signal.SIGSTOP)
        await eventually(lambda: _is_stopped(process.pid))  # on a busy machine it continues reading for a while
        started = anyio.current_time()
        for number in range(filesystem.inotify_limit("max_queued_events", 16_384) + 100):
            os.utime(root / ("src" if number % 2 else "docs"))
        await eventually(lambda: source == "inotify" or anyio.current_time() - started > 2.5)
        process.send_signal(signal.SIGCONT)
        async for line in lines:
            if reason in line:
                break
        else:
            pytest.fail("that events were lost was not noticed")
        process.terminate()


def _is_stopped(pid: int) -> bool:
    threads = Path(f"/proc/{pid}/task").iterdir()
    return all((thread / "stat").read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)


async def _lines(process: anyio.abc.Process) -> Any:
    assert process.stdout is not None
    text = ""
    async for data in process.stdout:
        text += data.decode()
        *lines, text = text.split("\n")
        for line in lines:
            yield line


async def test_a_vanished_cookie_directory_is_created_again(root: Path, cookies: Path) -> None:
    async with watching(root, cookies) as owner:
        await owner.settled()
        shutil.rmtree(cookies)
        assert not await owner.watcher.wait_for_events(0.1)
        await eventually(lambda: "cookie directory" in owner.watcher.reason_to_walk or owner.hints)
        await owner.settled()
        (root / "src/a.py").write_text("changed")
        await owner.hinted(b"src/a.py")
