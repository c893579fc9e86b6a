"""When the centrality of a root's files is computed."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from codeindexd.roots import Root, central_files
from codeindexd.storage.catalog.centrality import Centrality
from codeindexd.types import RootState
from codeindexd.workers.jobs import CentralityJob, CentralityResult
from codeindexd.workers.pool import WorkerPool
from roots.real_root import harness
from support.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.processes]

CORE = "def build_engine():\n    pass\n"
USER = "from core import build_engine\n\n\ndef user_%d():\n    build_engine()\n"


def centrality(root: Root) -> Centrality | None:
    with root.pin_snapshot() as snapshot:
        return snapshot.centrality if snapshot is not None else None


def most_central(root: Root) -> bytes:
    found = centrality(root)
    assert found is not None
    with root.catalog_snapshot() as catalog:
        (file,) = catalog.files_by_id([int(found.file_ids[found.ranks.argmax()])]).values()
    return file.entry.path


def fill(path: Path) -> None:
    (path / "core.py").write_text(CORE)
    for number in range(3):
        (path / f"user_{number}.py").write_text(USER % number)


async def test_a_root_is_fresh_only_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(central_files, "_QUIET_S", 3600)
    async with harness(tmp_path) as made:
        fill(made.path)
        root = made.make()
        async with anyio.create_task_group() as tasks:
            await tasks.start(root.serve)
            await eventually(lambda: root.state is RootState.FRESH)  # nobody asked for a sync
            assert most_central(root) == b"core.py"
            tasks.cancel_scope.cancel()


async def test_the_first_file_of_an_empty_root_makes_it_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(central_files, "_QUIET_S", 3600)
    async with harness(tmp_path) as made, made.running() as root:
        (made.path / "directory").mkdir()
        await root.sync(30)
        assert centrality(root) is None
        fill(made.path)
        await eventually(lambda: centrality(root) is not None)  # nobody asked for a sync
        await eventually(lambda: root.state is RootState.FRESH)


async def test_sync_waits_for_the_first_time(tmp_path: Path) -> None:
    async with harness(tmp_path) as made:
        fill(made.path)
        async with made.running() as root:
            assert most_central(root) == b"core.py"


async def test_it_follows_changes_in_quiet_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(central_files, "_QUIET_S", 0.02)
    monkeypatch.setattr(central_files, "_MOST_OF_TIME", 1.0)
    async with harness(tmp_path) as made:
        fill(made.path)
        async with made.running() as root:
            for number in range(3, 9):
                (made.path / f"user_{number}.py").write_text("def stop_engine():\n    other_name()\n" + USER % number)
            (made.path / "other.py").write_text("def other_name():\n    pass\n")
            (made.path / "core.py").write_text("")
            await root.sync(30)
            await eventually(lambda: most_central(root) == b"other.py")


async def test_it_is_kept_over_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with harness(tmp_path) as made:
        fill(made.path)
        async with made.running() as root:
            before = centrality(root)

        def refuse(self: WorkerPool, jobs: list[CentralityJob]) -> None:
            raise AssertionError("it was computed again")

        monkeypatch.setattr(WorkerPool, "centrality", refuse)
        async with made.running() as root:
            after = centrality(root)
            assert before is not None
            assert after is not None
            assert (before.generation, before.ranks.tolist()) == (after.generation, after.ranks.tolist())
            assert root.state is RootState.FRESH


async def test_a_failure_holds_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = 0

    async def fail(self: WorkerPool, jobs: list[CentralityJob]):
        nonlocal answered
        answered += 1
        yield CentralityResult(0, jobs[0].path, error="no memory")

    with monkeypatch.context() as broken:
        broken.setattr(WorkerPool, "centrality", fail)
        async with harness(tmp_path) as made:
            fill(made.path)
            async with made.running() as root:
                assert centrality(root) is None
                await eventually(lambda: root.state is RootState.FRESH)
                assert answered == 1
                broken.undo()
                (made.path / "more.py").write_text(USER % 7)
                await root.sync(30)  # the next change tries again
                assert most_central(root) == b"core.py"


async def test_a_root_without_files_needs_none(tmp_path: Path) -> None:
    async with harness(tmp_path) as made, made.running() as root:
        assert centrality(root) is None
        assert root.state is RootState.FRESH
