"""What becomes of the list of roots when those who change it do not wait for the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import anyio
import anyio.abc
import pytest

from codeindexd.model import RootState
from codeindexd.registry import Registry, RootSpec
from codeindexd.root import Root
from codeindexd.roots import Roots

pytestmark = pytest.mark.anyio


class Slow:
    """Stands for a root whose stores open and close when the test says so."""

    state = RootState.FRESH
    missing_since = 0.0

    def __init__(self, spec: RootSpec, directory: Path, gate: Gate) -> None:
        self.spec = spec
        self.indexer = SimpleNamespace(behind=SimpleNamespace(notes=[]))
        self._directory = directory
        self._gate = gate

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        await self._gate.passed()
        self._directory.mkdir()
        task_status.started()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await self._gate.passed()


class Gate:
    def __init__(self) -> None:
        self.reached = anyio.Event()
        self._open = anyio.Event()
        self._open.set()

    def shut(self) -> None:
        self.reached, self._open = anyio.Event(), anyio.Event()

    def open(self) -> None:
        self._open.set()

    async def passed(self) -> None:
        self.reached.set()
        await self._open.wait()


async def abandoned(change: Callable[[], Awaitable[object]], gate: Gate) -> None:
    """Begin ``change`` and cancel it once it waits at the gate, which opens after that."""
    gate.shut()
    async with anyio.create_task_group() as tasks:

        async def client() -> None:
            await change()

        tasks.start_soon(client)
        await gate.reached.wait()
        tasks.cancel_scope.cancel()
        gate.open()


async def running(roots: Roots) -> list[Path]:
    """Directories of the roots that run; waits for the change that goes on."""
    async with roots._changing:
        return [root.spec.path for root in roots.all()]


@pytest.mark.parametrize("what", ["add", "remove"])
async def test_a_change_that_nobody_waits_for_any_more_is_carried_out_whole(tmp_path: Path, what: str) -> None:
    registry, gate = Registry(tmp_path / "roots.json"), Gate()
    (tmp_path / "stores").mkdir()
    code = [tmp_path / name for name in ("one", "two")]
    for directory in code:
        directory.mkdir()

    def make(spec: RootSpec, directory: Path) -> Root:
        return Slow(spec, directory, gate)  # type: ignore[return-value]

    roots = Roots(registry, tmp_path / "stores", make)
    async with anyio.create_task_group() as tasks:
        await tasks.start(roots.serve)
        first, _ = await roots.add(code[0], force=False)
        if what == "add":
            await abandoned(lambda: roots.add(code[1], force=False), gate)
        else:
            await abandoned(lambda: roots.remove(first.spec.id), gate)
        left = code if what == "add" else []
        assert await running(roots) == left
        assert [spec.path for spec in registry.load()] == left
        assert len(list((tmp_path / "stores").iterdir())) == len(left)
        tasks.cancel_scope.cancel()


async def test_a_root_that_is_begun_anew_stays_a_root_when_nobody_waits_for_it(tmp_path: Path) -> None:
    registry, gate, made = Registry(tmp_path / "roots.json"), Gate(), []
    for name in ("stores", "one", "two"):
        (tmp_path / name).mkdir()

    def make(spec: RootSpec, directory: Path) -> Root:
        made.append(spec.path.name)
        return Slow(spec, directory, gate)  # type: ignore[return-value]

    roots = Roots(registry, tmp_path / "stores", make)
    async with anyio.create_task_group() as tasks:
        await tasks.start(roots.serve)
        root, _ = await roots.add(tmp_path / "one", force=False)
        await abandoned(lambda: roots.rebuild(root.spec), gate)
        await roots.add(tmp_path / "two", force=False)
        assert await running(roots) == [tmp_path / "one", tmp_path / "two"]
        assert [spec.path for spec in registry.load()] == [tmp_path / "one", tmp_path / "two"]
        assert made == ["one", "one", "two"]
        tasks.cancel_scope.cancel()
