"""The list of roots when clients leave in the middle of a change, or make changes at the same time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import anyio.abc
import pytest

from codeindexd.errors import NotIndexedError, StoreFullError
from codeindexd.roots import Root
from codeindexd.roots.adoption import UNFINISHED
from codeindexd.roots.registry import Registry, RootSpec
from codeindexd.roots.supervisor import RootSupervisor
from codeindexd.scan.ignore import Verdict
from codeindexd.storage.history.stores import HistoryStores
from codeindexd.types import RootState

pytestmark = pytest.mark.anyio


class Gate:
    """A gate that says when a task reached it."""

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
    """A root whose stores open and close while the gate is open."""

    state = RootState.FRESH
    missing_since = None

    def __init__(self, spec: RootSpec, directory: Path, gate: Gate) -> None:
        self.spec = spec
        self._directory = directory
        self._gate = gate

        self.notes: list[str] = []
        self.offered: list[str] = []
        self.place_now: Path | None = None

    def was_moved_to(self, path: Path) -> bool:
        return path == self.place_now

    async def adopt(self, others: Sequence[Root]) -> None:
        self.offered = [root.spec.path.name for root in others]
        await self._gate.passed()

    def add_note(self, note: str) -> None:
        self.notes.append(note)

    def indexes(self, path: bytes) -> bool:
        return self.exclusion_of(path) is None

    def exclusion_of(self, path: bytes) -> Verdict | None:
        return Verdict(True, "ignored", ".gitignore:1: left-out/") if b"left-out" in path.split(b"/") else None

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
    """A list of roots and their stores below ``base``, which survive a daemon."""

    def __init__(self, base: Path) -> None:
        self.gate = Gate()
        self.made: list[str] = []
        self._base = base
        self._registry = Registry(base / "roots.json")
        self.stores = base / "stores"
        self.stores.mkdir()

    def directory(self, name: str) -> Path:
        path = self._base / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    @asynccontextmanager
    async def served(self) -> AsyncIterator[RootSupervisor]:
        histories = HistoryStores(self._base / "history", fingerprint="test", dimensions=1)
        roots = RootSupervisor(self._registry, self.stores, histories, self._make)
        async with anyio.create_task_group() as tasks:
            await tasks.start(roots.serve)
            yield roots
            tasks.cancel_scope.cancel()

    def _make(self, spec: RootSpec, directory: Path) -> Root:
        self.made.append(spec.path.name)
        return Slow(spec, directory, self.gate)  # type: ignore[return-value]

    async def abandoned(self, change: Callable[[], Awaitable[object]]) -> None:
        """Start ``change``, cancel it once it waits at the gate, and open the gate then."""
        self.gate.shut()
        async with anyio.create_task_group() as tasks:

            async def client() -> None:
                await change()

            tasks.start_soon(client)
            await self.gate.reached.wait()
            tasks.cancel_scope.cancel()
            self.gate.open()

    async def names(self, roots: RootSupervisor) -> list[str]:
        """Return the names of the running roots after the present change, and assert that list and stores agree."""
        async with roots._change_lock:
            specs = [root.spec for root in roots.running_roots()]
        assert sorted(self._registry.load(), key=lambda spec: spec.path) == specs
        assert {place.name for place in self.stores.iterdir()} == {spec.id for spec in specs}
        return [spec.path.name for spec in specs]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_an_addition_whose_client_left_is_completed(place: Place) -> None:
    async with place.served() as roots:
        await place.abandoned(lambda: roots.add(place.directory("one"), force=False))
        assert await place.names(roots) == ["one"]


async def test_a_removal_whose_client_left_is_completed(place: Place) -> None:
    async with place.served() as roots:
        root, _ = await roots.add(place.directory("one"), force=False)
        await place.abandoned(lambda: roots.remove(root.spec.id))
        assert await place.names(roots) == []


async def test_a_rebuild_whose_client_left_is_completed(place: Place) -> None:
    async with place.served() as roots:
        root, _ = await roots.add(place.directory("one"), force=False)
        await place.abandoned(lambda: roots.rebuild(root.spec))
        await roots.add(place.directory("two"), force=False)
        assert await place.names(roots) == ["one", "two"]
        assert place.made == ["one", "one", "two"]


async def test_only_a_new_root_may_take_over_the_index_of_another(place: Place) -> None:
    async with place.served() as roots:
        one, _ = await roots.add(place.directory("one"), force=False)
        two, _ = await roots.add(place.directory("two"), force=False)
        assert (one.offered, two.offered) == ([], ["one"])  # type: ignore[attr-defined]
        assert (await roots.rebuild(two.spec)).offered == []  # type: ignore[attr-defined]
    async with place.served() as roots:
        assert [root.offered for root in roots.running_roots()] == [[], []]  # type: ignore[attr-defined]


async def test_a_root_that_was_moved_goes_on_at_its_new_place(place: Place) -> None:
    async with place.served() as roots:
        one, _ = await roots.add(place.directory("one"), force=False)
        now = place.directory("elsewhere/one now")
        one.place_now = now  # type: ignore[attr-defined]
        with pytest.raises(NotIndexedError, match=f"{now} was {one.spec.path}$") as raised:
            await roots.root_indexing(now / "src")
        assert raised.value.hint == f"take its index along: codeindex add '{now}'"
        moved, admission = await roots.add(now, force=False)
        assert (moved.spec.id, moved.spec.path, admission.covered) == (one.spec.id, now, False)
        assert moved.offered == [], "it has an index"  # type: ignore[attr-defined]
        assert await place.names(roots) == ["one now"]
    async with place.served() as roots:
        assert await place.names(roots) == ["one now"]


async def test_a_move_that_cannot_be_saved_did_not_happen(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async with place.served() as roots:
        one, _ = await roots.add(place.directory("one"), force=False)
        now = place.directory("now")
        one.place_now = now  # type: ignore[attr-defined]
        with monkeypatch.context() as full:

            def save(_registry: Registry, _specs: object) -> None:
                raise StoreFullError("no space")

            full.setattr(Registry, "save", save)
            with pytest.raises(StoreFullError):
                await roots.add(now, force=False)
        assert await place.names(roots) == ["one"]


async def test_a_root_is_not_listed_while_it_takes_over_an_index(place: Place) -> None:
    async with place.served() as roots:
        one, _ = await roots.add(place.directory("one"), force=False)
        place.gate.shut()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(roots.add, place.directory("two"), force=False))
            await place.gate.reached.wait()
            assert roots.all_roots() == ([one], [])
            place.gate.open()
        assert await place.names(roots) == ["one", "two"]


async def test_what_a_kill_left_of_an_adoption_is_removed_at_the_next_start(place: Place) -> None:
    async with place.served() as roots:
        one, _ = await roots.add(place.directory("one"), force=False)
    for name in (one.spec.id, one.spec.id.replace("-", "0")[:32] + "-abc"):
        (place.stores / f"{name}{UNFINISHED}" / "lexical").mkdir(parents=True)
    (place.stores / f"not ours{UNFINISHED}").mkdir()
    async with place.served() as roots:
        assert {kept.name for kept in place.stores.iterdir()} == {one.spec.id, f"not ours{UNFINISHED}"}


async def test_roots_inside_a_fresh_root_are_absorbed_after_a_restart_too(place: Place) -> None:
    async with place.served() as roots:
        for name in ("outer/inner", "outermost", "outer"):
            await roots.add(place.directory(name), force=False)
    async with place.served() as roots:
        outer = await roots.root_indexing(place.directory("outer"))
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(roots.absorb, outer.spec.id)
        assert await place.names(roots) == ["outer", "outermost"]


async def test_a_root_that_was_removed_meanwhile_is_not_indexed(place: Place) -> None:
    async with place.served() as roots:
        root, _ = await roots.add(place.directory("one"), force=False)
        await roots.remove(root.spec.id)
        with pytest.raises(NotIndexedError, match="removed in the meantime"):
            await roots.remove(root.spec.id)
        with pytest.raises(NotIndexedError):
            await roots.rebuild(root.spec)


async def test_a_root_in_a_directory_that_the_outer_root_leaves_out_stays(place: Place) -> None:
    async with place.served() as roots:
        for name in ("outer/left-out/lib", "outer/kept", "outer"):
            await roots.add(place.directory(name), force=False)
        outer = await roots.root_indexing(place.directory("outer"))
        await roots.absorb(outer.spec.id)
        assert await place.names(roots) == ["outer", "lib"]
        assert outer.notes == [  # type: ignore[attr-defined]
            f"{place.directory('outer/kept')} was a root of its own, and is found through this one now"
        ]
        _, again = await roots.add(place.directory("outer/left-out/lib/deep"), force=False)
        assert again.spec.path.name == "lib"


async def test_a_left_out_directory_is_not_indexed_until_it_is_added(place: Place) -> None:
    inside = place.directory("outer/left-out")
    async with place.served() as roots:
        await roots.add(place.directory("outer"), force=False)
        for path in (inside, inside / "gone"):
            with pytest.raises(NotIndexedError, match=r"leaves it out \(\.gitignore:1: left-out/\)") as raised:
                await roots.root_indexing(path)
            assert raised.value.hint == f"index it: codeindex add {inside}"
        assert (await roots.root_to_explain(inside)).spec.path.name == "outer", "its rule explains it"
        _, admission = await roots.add(inside, force=False)
        assert not admission.covered
        assert (await roots.root_indexing(inside / "gone")).spec.path == inside
        assert [root.spec.path.name for root in await roots.roots_indexing([inside, inside / "a", inside.parent])] == [
            "left-out",
            "outer",
        ]


async def test_a_file_belongs_to_the_root_of_its_directory_whatever_its_name(place: Place) -> None:
    directory = place.directory("outer")
    (directory / "left-out").write_text("a file that the rules leave out")
    async with place.served() as roots:
        await roots.add(directory, force=False)
        with pytest.raises(NotIndexedError):  # the fake judges by name alone; Root.indexes looks at the directory
            await roots.root_indexing(directory / "left-out")
        assert (await roots.root_to_explain(directory / "left-out")).spec.path == directory
