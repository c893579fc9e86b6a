"""What becomes of the list of roots when those who change it do not wait, or change it at the same time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import pytest

from codeindexd.errors import NotIndexedError
from codeindexd.roots import Root
from codeindexd.roots.registry import Registry, RootSpec
from codeindexd.roots.supervisor import RootSupervisor
from codeindexd.types import RootState

pytestmark = pytest.mark.anyio


class Gate:
    """What everybody passes while it is open, and waits at while it is not."""

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


class Slow:
    """Stands for a root whose stores open and close when the gate is open."""

    state = RootState.FRESH
    missing_since = None

    def __init__(self, spec: RootSpec, directory: Path, gate: Gate) -> None:
        self.spec = spec
        self._directory = directory
        self._gate = gate

    def add_note(self, note: str) -> None: ...

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        await self._gate.passed()
        self._directory.mkdir(exist_ok=True)
        task_status.started()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await self._gate.passed()


class Place:
    """A list of roots and their stores below ``base``, which outlast a daemon."""

    def __init__(self, base: Path) -> None:
        self.gate = Gate()
        self.made: list[str] = []
        self._base = base
        self._registry = Registry(base / "roots.json")
        self._stores = base / "stores"
        self._stores.mkdir()

    def directory(self, name: str) -> Path:
        path = self._base / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    @asynccontextmanager
    async def served(self) -> AsyncIterator[RootSupervisor]:
        roots = RootSupervisor(self._registry, self._stores, self._make)
        async with anyio.create_task_group() as tasks:
            await tasks.start(roots.serve)
            yield roots
            tasks.cancel_scope.cancel()

    def _make(self, spec: RootSpec, directory: Path) -> Root:
        self.made.append(spec.path.name)
        return Slow(spec, directory, self.gate)  # type: ignore[return-value]

    async def abandoned(self, change: Callable[[], Awaitable[object]]) -> None:
        """Begin ``change`` and cancel it once it waits at the gate, which opens after that."""
        self.gate.shut()
        async with anyio.create_task_group() as tasks:

            async def client() -> None:
                await change()

            tasks.start_soon(client)
            await self.gate.reached.wait()
            tasks.cancel_scope.cancel()
            self.gate.open()

    async def names(self, roots: RootSupervisor) -> list[str]:
        """The roots that run, after the change that goes on, which are those that are listed and have stores."""
        async with roots._changing:
            specs = [root.spec for root in roots.all()]
        assert sorted(self._registry.load(), key=lambda spec: spec.path) == specs
        assert {place.name for place in self._stores.iterdir()} == {spec.id for spec in specs}
        return [spec.path.name for spec in specs]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_an_addition_that_nobody_waits_for_any_more_is_carried_out_whole(place: Place) -> None:
    async with place.served() as roots:
        await place.abandoned(lambda: roots.add(place.directory("one"), force=False))
        assert await place.names(roots) == ["one"]


async def test_a_removal_that_nobody_waits_for_any_more_is_carried_out_whole(place: Place) -> None:
    async with place.served() as roots:
        root, _ = await roots.add(place.directory("one"), force=False)
        await place.abandoned(lambda: roots.remove(root.spec.id))
        assert await place.names(roots) == []


async def test_a_root_that_is_begun_anew_stays_a_root_when_nobody_waits_for_it(place: Place) -> None:
    async with place.served() as roots:
        root, _ = await roots.add(place.directory("one"), force=False)
        await place.abandoned(lambda: roots.rebuild(root.spec))
        await roots.add(place.directory("two"), force=False)
        assert await place.names(roots) == ["one", "two"]
        assert place.made == ["one", "one", "two"]


async def test_roots_inside_a_fresh_root_are_absorbed_also_after_a_restart(place: Place) -> None:
    async with place.served() as roots:
        for name in ("outer/inner", "outermost", "outer"):
            await roots.add(place.directory(name), force=False)
    async with place.served() as roots:
        outer = roots.covering(place.directory("outer"))
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(roots.absorb, outer.spec.id)
        assert await place.names(roots) == ["outer", "outermost"]


async def test_a_root_that_was_removed_meanwhile_is_said_to_be_none(place: Place) -> None:
    async with place.served() as roots:
        root, _ = await roots.add(place.directory("one"), force=False)
        await roots.remove(root.spec.id)
        with pytest.raises(NotIndexedError, match="removed in the meantime"):
            await roots.remove(root.spec.id)
        with pytest.raises(NotIndexedError):
            await roots.rebuild(root.spec)
