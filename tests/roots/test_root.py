"""A root while something fails for a moment."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest

from codeindexd.errors import FailedError, PathRefusedError, StoreFullError, TimedOutError
from codeindexd.roots import Root, maintenance, scan_loop
from codeindexd.roots.registry import RootSpec
from codeindexd.roots.verify import verify
from codeindexd.scan.scanner import Scanner
from codeindexd.storage.catalog import Catalog
from codeindexd.storage.dense import Dense
from codeindexd.types import RootState
from roots.real_root import found, harness
from support.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.processes]


def failing(function: Any, times: int, error: Exception) -> Any:
    """Return ``function`` with an error in the first ``times`` calls."""
    left = [error] * times

    def one(*arguments: Any, **more: Any) -> Any:
        if left:
            raise left.pop()
        return function(*arguments, **more)

    return one


NO_FILES = OSError(errno.EMFILE, os.strerror(errno.EMFILE))


async def test_a_root_that_failed_to_start_closes_its_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with harness(tmp_path) as made:
        (made.path / "a.py").write_text("def alpha(): pass\n")
        monkeypatch.setattr(Catalog, "failures", failing(Catalog.failures, 1, StoreFullError("no open files left")))
        with pytest.raises(ExceptionGroup):
            async with anyio.create_task_group() as tasks:
                await tasks.start(made.make().serve)
        async with made.running() as root:
            assert found(root, "alpha") == [b"a.py"]


async def test_sync_fails_when_a_scan_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_loop, "_RETRY_EVERY_S", 0.2)
    async with harness(tmp_path) as made, made.running() as root:
        (made.path / "a.py").write_text("def alpha(): pass\n")
        with monkeypatch.context() as broken:
            broken.setattr(Scanner, "scan", failing(Scanner.scan, 1, NO_FILES))
            with pytest.raises(FailedError, match="Too many open files"):
                await root.sync(30)
        await eventually(lambda: root.state is RootState.FRESH)
        assert found(root, "alpha") == [b"a.py"]


async def test_a_sync_that_times_out_says_what_it_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = StoreFullError("the lexical index cannot be written: no space", hint="free disk space")
    async with harness(tmp_path) as made, made.running() as root:
        (made.path / "a.py").write_text("def alpha(): pass\n")
        await root.sync(30)
        with monkeypatch.context() as broken:
            broken.setattr(Catalog, "commit", failing(Catalog.commit, 1_000, full))
            (made.path / "b.py").write_text("def beta(): pass\n")
            with pytest.raises(TimedOutError) as raised:
                await root.sync(1)
        assert raised.value.message == f"{made.path} was not in sync after 1 s: {full.message}"
        assert raised.value.hint == "free disk space"
        await root.sync(30)
        assert found(root, "beta") == [b"b.py"]


@pytest.mark.parametrize(
    ("error", "says", "hint"),
    [
        (PathRefusedError("/code cannot be scanned: Permission denied", hint="x"), "^/code cannot be scanned: P", "x"),
        (PermissionError(errno.EACCES, "Permission denied", "/code/a"), "/code cannot be read: P.*denied$", "permis"),
        (NO_FILES, "/code cannot be read: Too many open files$", "raise the limit of open files"),
    ],
)
async def test_a_root_that_cannot_be_scanned_is_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str, hint: str
) -> None:
    async with harness(tmp_path) as made, made.running() as root:
        with monkeypatch.context() as broken:
            broken.setattr(Scanner, "scan", failing(Scanner.scan, 1_000, error))
            (made.path / "a.py").write_text("def alpha(): pass\n")
            with pytest.raises(FailedError, match=says) as raised:
                await root.sync(30)
            assert hint in raised.value.hint


async def test_only_the_directory_of_a_missing_root_is_its_new_place(tmp_path: Path) -> None:
    async with harness(tmp_path) as made, made.running() as root:
        for name in ("a.py", "b.py"):
            (made.path / name).write_text(f"def alpha_in_{name[0]}(): pass\n")
        await root.sync(30)
        assert not root.was_moved_to(made.path), "it is not missing"
        now = tmp_path / "now"
        made.path.rename(now)
        shutil.copytree(now, tmp_path / "copy")
        await eventually(lambda: root.state is RootState.MISSING)
        assert root.was_moved_to(now)
        assert not root.was_moved_to(tmp_path / "copy")
        assert not root.was_moved_to(tmp_path / "nowhere")
        (now / "a.py").write_text("def another_project_with_the_same_inode(): pass\n")
        (now / "b.py").unlink()
        assert not root.was_moved_to(now)


async def test_a_failed_scan_is_remembered_until_a_walk_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with harness(tmp_path) as made, made.running() as root:
        (made.path / "a.py").write_text("def alpha(): pass\n")
        with monkeypatch.context() as broken:
            broken.setattr(Scanner, "scan", failing(Scanner.scan, 1, NO_FILES))
            await eventually(lambda: root.status().problems)
        (made.path / "b.py").write_text("def beta(): pass\n")
        root.hint([b"b.py"])
        await eventually(lambda: found(root, "beta"))
        assert root.state is RootState.DEGRADED
        synced = await root.sync(30)
        assert synced.how == "walk"
        assert found(root, "alpha") == [b"a.py"]
        await eventually(lambda: root.state is RootState.FRESH)


async def test_many_hints_on_a_missing_root_cause_one_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with harness(tmp_path) as made, made.running() as root:
        made.path.rename(tmp_path / "elsewhere")
        await eventually(lambda: root.state is RootState.MISSING)
        for number in range(20):
            root.hint([b"x%d" % number])
            await root._hints.wait_until_flushed()
        assert len(root._hints._later) <= 1
        (tmp_path / "elsewhere").rename(made.path)
        await eventually(lambda: root.state is RootState.FRESH)


async def test_the_root_configuration_is_followed_although_git_ignores_it(tmp_path: Path) -> None:
    async with harness(tmp_path) as made:
        (made.path / ".gitignore").write_text(".codeindex.toml\n")
        for name in ("a.py", "b.py"):
            (made.path / name).write_text("def alpha(): pass\n")
        own = made.path / ".codeindex.toml"
        own.write_text('exclude = ["a.py"]\n')
        async with made.running() as root:
            assert found(root, "alpha") == [b"b.py"]
            own.write_text('exclude = ["b.py"]\n')
            await root.sync(30)
            assert found(root, "alpha") == [b"a.py"]
            own.write_text("exclude = nonsense\n")
            await root.sync(30)
            assert "codeindex.toml" in root.status().problems[0].message
            own.unlink()
            await root.sync(30)
            assert found(root, "alpha") == [b"a.py", b"b.py"]
            await eventually(lambda: root.state is RootState.FRESH)


async def test_shutdown_does_not_wait_for_a_segment_being_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    building = threading.Event()

    def maintain(self: Dense, should_stop: Any, thresholds: Any = None) -> bool:
        building.set()
        while not should_stop():
            threading.Event().wait(0.005)
        return False

    monkeypatch.setattr(Dense, "maintain", maintain)
    monkeypatch.setattr(maintenance, "_EVERY_S", 0.01)
    async with harness(tmp_path) as made:
        with anyio.fail_after(60):
            async with made.running():
                await eventually(building.is_set)


async def test_a_paused_root_stays_paused_until_it_is_resumed(tmp_path: Path) -> None:
    async with harness(tmp_path) as made:
        code = made.path / "a.py"
        code.write_text("def alpha(): pass\n")
        async with made.running() as root:
            await root.pause()
        code.write_text("def beta(): pass\n")
        paused = made.make()
        async with anyio.create_task_group() as tasks:
            await tasks.start(paused.serve)
            assert paused.state is RootState.PAUSED
            with pytest.raises(FailedError, match="is paused"):
                await paused.sync(60)
            await eventually(lambda: paused._hints.are_outstanding)
            assert (found(paused, "alpha"), found(paused, "beta")) == ([b"a.py"], [])
            await paused.resume()
            await paused.sync(60)
            assert (found(paused, "alpha"), found(paused, "beta")) == ([], [b"a.py"])
            tasks.cancel_scope.cancel()
        async with made.running() as root:
            assert root.state is RootState.FRESH


async def test_an_unreadable_directory_is_scanned_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "_FIRST_RESCAN_S", 0.01)
    looked: list[list[bytes]] = []
    async with harness(tmp_path) as made:

        def remember(root: Root) -> None:
            hint = root.hint
            monkeypatch.setattr(root, "hint", lambda paths: (looked.append(sorted(paths)), hint(paths)))

        async with made.running(remember) as root:
            looked.clear()
            root._unreadable.update([b""], [(b"sub", "Input/output error")])
            await eventually(lambda: [b"sub"] in looked)


async def test_sync_fails_when_the_root_stops_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    async with harness(tmp_path) as made, anyio.create_task_group() as tasks:
        root = made.make()

        async def live(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            with pytest.raises(ExceptionGroup) as raised:
                await root.serve(task_status=task_status)
            assert raised.group_contains(ZeroDivisionError)

        await tasks.start(live)
        await root.sync(60)
        monkeypatch.setattr(scan_loop, "reconcile", look)
        (made.path / "a.py").write_text("def alpha(): pass\n")
        with anyio.fail_after(20), pytest.raises(FailedError, match="stopped before the request finished"):
            await root.sync(600)


async def test_after_an_unclean_shutdown_a_verification_by_hand_is_enough(tmp_path: Path) -> None:
    async def rebuild(_: RootSpec) -> Root:
        raise AssertionError("there is nothing to rebuild")

    async with harness(tmp_path) as made:
        (made.path / "a.py").write_text("def alpha(): pass\n")
        async with made.running() as root:
            root._parts.index.recovery.mark_unclean()
            assert root.needs_verify
            assert (await verify.verify(root, repair=False, rebuild=rebuild))["differences"] == []
            assert not root.needs_verify


async def test_workers_have_the_first_files_of_a_new_root_before_the_rest_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_loop, "_FIRST_LOOK", 3)
    compare = scan_loop.reconcile
    limits: list[int | None] = []
    reading, answered = threading.Event(), threading.Event()

    def observed(*arguments: Any, most_leaves: int | None) -> Any:
        limits.append(most_leaves)
        if most_leaves is None and not reading.is_set():
            reading.set()
            assert answered.wait(60)
        return compare(*arguments, most_leaves=most_leaves)

    monkeypatch.setattr(scan_loop, "reconcile", observed)
    async with harness(tmp_path) as made:
        for number in range(6):
            (made.path / f"d{number}").mkdir()
            (made.path / f"d{number}" / "a.py").write_text("def alpha(): pass\n")
        root = made.make()
        async with anyio.create_task_group() as tasks:
            await tasks.start(root.serve)
            await eventually(lambda: reading.is_set() and len(found(root, "alpha")) == 3)
            assert (root.state, root.progress.is_scanning) == (RootState.INDEXING, True)
            answered.set()
            await root.sync(60)
            assert found(root, "alpha") == [b"d%d/a.py" % number for number in range(6)]
            assert not root.progress.is_scanning
            tasks.cancel_scope.cancel()
        assert limits[:2] == [3, None]
        limits.clear()
        async with made.running() as root:
            assert set(limits) == {None}  # what a limit leaves out would seem to be deleted
            assert len(found(root, "alpha")) == 6
