"""All roots of the user: which run, and how one is added, absorbed, rebuilt and removed."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import structlog

from codeindexd.errors import (
    CodeindexError,
    FailedError,
    NotIndexedError,
    PathRefusedError,
    StoreDamagedError,
    first_error,
    leaf_errors,
)
from codeindexd.indexing.problems import RootProblem
from codeindexd.roots import Root
from codeindexd.roots.registry import Admission, Registry, RootSpec, admit, containing, inside
from codeindexd.storage.recovery import mark_possible_damage
from codeindexd.types import RootState
from codeindexd.waiting import Backoff

log = structlog.get_logger(__name__)
_MISSING_KEPT_S = 30 * 24 * 3600
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0
_STEADY_S = 60.0  # a root that ran for so long restarts after the first pause again
_RESTART_HINT = "it restarts every few seconds; rebuild its index: codeindex verify --repair PATH"


@dataclass(frozen=True, slots=True)
class FailedRoot:
    """A registered root that does not run now, since its stores cannot be opened, and why. It is restarted."""

    spec: RootSpec
    problem: RootProblem

    @property
    def error(self) -> FailedError:
        """The answer to a request for this root."""
        return FailedError(
            f"the index of {self.spec.path} cannot be opened: {self.problem.message}", hint=self.problem.hint
        )


class _SupervisedRoot:
    """A registered root over its restarts: ``root`` while it runs, and ``problem`` while it does not."""

    def __init__(self, spec: RootSpec) -> None:
        self.scope = anyio.CancelScope()
        self.stopped = anyio.Event()
        self.root: Root | None = None
        self.problem = RootProblem("it has not been started", "")
        self._spec = spec

    @property
    def spec(self) -> RootSpec:
        """What is to be registered: the directory may have been replaced since it was."""
        return self.root.spec if self.root else self._spec

    def fail(self, error: Exception) -> None:
        """Note that the root stopped with ``error``."""
        self._spec = self.spec
        self.root = None
        self.problem = _problem_of(error)


class RootSupervisor:
    """Runs one :class:`Root` per registered directory, and restarts one that fails without disturbing the others.

    ``create`` builds a root that has not been started; ``directory`` is the parent of all roots' stores.
    """

    def __init__(self, registry: Registry, directory: Path, create: Callable[[RootSpec, Path], Root]) -> None:
        self._registry = registry
        self._directory = directory
        self._create = create
        self._supervised: dict[str, _SupervisedRoot] = {}
        self._change_lock = anyio.Lock()
        self._tasks: anyio.abc.TaskGroup

    # finding roots

    def running(self) -> list[Root]:
        """Return every running root, in the order of their paths."""
        return self.every()[0]

    def every(self) -> tuple[list[Root], list[FailedRoot]]:
        """Return all roots: those that run, and those that failed, each list in the order of paths."""
        return self._by_state(self._supervised.values())

    async def around(self, path: Path | None) -> tuple[list[Root], list[FailedRoot]]:
        """Return the root that indexes ``path``, or all without a path, as :meth:`every` does.

        Raises NotIndexedError.
        """
        if path is None:
            return self.every()
        return self._by_state([self._supervised[(await self.indexing(path)).id]])

    @staticmethod
    def _by_state(chosen: Iterable[_SupervisedRoot]) -> tuple[list[Root], list[FailedRoot]]:
        ordered = sorted(chosen, key=lambda one: one.spec.path)
        failed = [FailedRoot(one.spec, one.problem) for one in ordered if one.root is None]
        return [one.root for one in ordered if one.root], failed

    def containing(self, path: Path) -> RootSpec:
        """Return the root at ``path``, else the innermost around it, also if its rules leave the path out.

        Raises NotIndexedError.
        """
        places = containing(path, self._specs())
        if not places:
            raise _not_indexed(path)
        return next((spec for spec, below in places if not below), places[0][0])

    async def indexing(self, path: Path) -> RootSpec:
        """Return the innermost root whose rules index the directory ``path``, or the one around the file ``path``.

        A root that does not run now counts by its path alone. Raises NotIndexedError.
        """
        places = containing(path, self._specs())
        for spec, below in places:
            indexed = not below or await anyio.to_thread.run_sync(self._indexes, spec, below)
            if indexed and spec.id in self._supervised:  # it may have been removed meanwhile
                return spec
        raise await anyio.to_thread.run_sync(self._not_indexed_error, path, places)

    def _indexes(self, spec: RootSpec, below: bytes) -> bool:
        """Return True if the rules of a root index the directory at ``below``. Blocking."""
        supervised = self._supervised.get(spec.id)
        return supervised is None or supervised.root is None or supervised.root.indexes(below)

    def _not_indexed_error(self, path: Path, places: Sequence[tuple[RootSpec, bytes]]) -> NotIndexedError:
        """Return the error for a path that no root indexes, with the rule of the first of ``places``. Blocking."""
        for spec, below in places:
            supervised = self._supervised.get(spec.id)
            if supervised is not None and supervised.root is not None:
                with contextlib.suppress(PathRefusedError, OSError):
                    if verdict := supervised.root.exclusion_of(below):
                        return _not_indexed(path, f": the root {spec.path} leaves it out ({verdict.rule})")
        return _not_indexed(path)

    async def covering(self, path: Path) -> Root:
        """Return the running root that indexes ``path``. Raises NotIndexedError, and FailedError when it failed."""
        return self._running(await self.indexing(path))

    def _running(self, spec: RootSpec) -> Root:
        supervised = self._supervised[spec.id]
        if supervised.root is None:
            raise FailedRoot(spec, supervised.problem).error
        return supervised.root

    async def chosen(self, paths: Sequence[Path] | None) -> list[Root]:
        """Return the roots that index ``paths``, each once; all that run when no path is given."""
        if not paths:
            return self.running()
        return list({root.spec.id: root for root in [await self.covering(path) for path in paths]}.values())

    async def explaining(self, path: Path) -> Root:
        """Return the running root that can tell about ``path``: the one that indexes it, else the innermost around it.

        Raises as :meth:`covering`.
        """
        around = [spec for spec in self._specs() if path == spec.path or spec.path in path.parents]
        for spec, below in containing(path, around):
            if await anyio.to_thread.run_sync(self._indexes, spec, below):
                return self._running(spec)
        if not around:
            return await self.covering(path)
        return self._running(max(around, key=lambda spec: len(spec.path.parts)))

    def _specs(self) -> list[RootSpec]:
        return [supervised.spec for supervised in self._supervised.values()]

    # running roots

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run the registered roots until cancelled; started once each answers from what was committed, or failed.

        Raises FailedError when their list cannot be read.
        """
        async with anyio.create_task_group() as self._tasks:
            specs = await anyio.to_thread.run_sync(self._registry.load)
            async with anyio.create_task_group() as starting:
                for spec in specs:
                    starting.start_soon(partial(self._start, spec, may_fail=True))
            await anyio.to_thread.run_sync(self._remove_orphaned_stores)
            task_status.started()
            await anyio.sleep_forever()

    async def _start(self, spec: RootSpec, *, may_fail: bool) -> None:
        """Start a root. One that cannot be opened is kept and restarted if it ``may_fail``, otherwise this raises."""
        await self._tasks.start(partial(self._keep_running, spec, may_fail=may_fail))

    async def _keep_running(
        self, spec: RootSpec, *, may_fail: bool, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        supervised = self._supervised[spec.id] = _SupervisedRoot(spec)
        started = False

        def report_started() -> None:
            nonlocal started
            if not started:
                started = True
                task_status.started()

        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        try:
            with supervised.scope:
                while True:
                    began = time.monotonic()
                    try:
                        await self._run_once(supervised, report_started)
                    except Exception as error:
                        if not (started or may_fail):
                            del self._supervised[spec.id]
                            raise first_error(error) from error
                        supervised.fail(error)
                        if _may_be_damage(error):
                            mark_possible_damage(self._directory / spec.id)
                        log.exception("root_failed", root=str(supervised.spec.path))
                        report_started()
                        if time.monotonic() - began > _STEADY_S:
                            backoff.reset()
                        await anyio.sleep(backoff.next_s())
        finally:
            supervised.stopped.set()

    async def _run_once(self, supervised: _SupervisedRoot, report_started: Callable[[], None]) -> None:
        root = self._create(supervised.spec, self._directory / supervised.spec.id)
        async with anyio.create_task_group() as tasks:
            await tasks.start(root.serve)
            supervised.root = root
            report_started()

    async def _stop(self, root_id: str) -> None:
        supervised = self._supervised.pop(root_id)
        supervised.scope.cancel()
        await supervised.stopped.wait()

    def _remove_stores(self, root_id: str) -> None:
        shutil.rmtree(self._directory / root_id, ignore_errors=True)

    def _remove_orphaned_stores(self) -> None:
        """Remove stores that a kill during a removal left behind; none when the list of roots is lost."""
        if self._directory.is_dir() and not self._registry.lost:
            for place in self._directory.iterdir():
                if place.name not in self._supervised and len(place.name) == len(
                    "00000000-0000-0000-0000-000000000000"
                ):
                    self._remove_stores(place.name)

    # changing the list of roots

    @contextlib.asynccontextmanager
    async def _change(self) -> AsyncIterator[None]:
        """Make one change at a time, and all of it: a client that goes away meanwhile must not leave half a root."""
        async with self._change_lock:
            with anyio.CancelScope(shield=True):
                yield

    async def add(self, path: Path, *, force: bool) -> tuple[Root, Admission]:
        """Make ``path`` a root and start it, or return the root that covers it.

        Raises PathRefusedError, StoreFullError when the list cannot be written, and FailedError for a root that failed.
        """
        async with self._change():
            specs = self._specs()
            admission = await anyio.to_thread.run_sync(
                lambda: admit(path, specs, force=force, home=Path.home(), indexes=self._indexes)
            )
            if admission.covered:
                return self._running(admission.spec), admission
            await self._start(admission.spec, may_fail=False)
            try:
                await self._save()
            except CodeindexError:
                await self._stop(admission.spec.id)
                await anyio.to_thread.run_sync(self._remove_orphaned_stores)
                raise
            return self._running(admission.spec), admission

    async def absorb(self, root_id: str) -> None:
        """Remove the roots inside a fresh root that it indexes as well: their code is found through it from now on.

        A root in a directory that the outer one leaves out stays.
        """
        outer = self._supervised.get(root_id)
        if outer is None or outer.root is None or outer.root.state is not RootState.FRESH:
            return
        for spec in inside(outer.spec, self._specs()):
            below = os.fsencode(spec.path.relative_to(outer.spec.path))
            if not await anyio.to_thread.run_sync(self._indexes, outer.spec, below) or outer.root is None:
                continue
            with contextlib.suppress(NotIndexedError):  # removed by somebody else meanwhile
                await self.remove(spec.id)
                log.info("root_absorbed", root=str(outer.spec.path), absorbed=str(spec.path))
                outer.root.add_note(f"{spec.path} was a root of its own, and is found through this one now")

    async def remove(self, root_id: str) -> None:
        """Stop a root and delete its index; its vectors stay in the shared store until that needs the room.

        Raises NotIndexedError when it was removed already, StoreFullError when the list cannot be written.
        """
        async with self._change():
            self._check_registered(root_id)
            await self._save(without=root_id)  # first: if the list cannot be written, the root stays as it is
            await self._stop(root_id)
            await anyio.to_thread.run_sync(self._remove_stores, root_id)

    async def rebuild(self, spec: RootSpec) -> Root:
        """Restart a root with an empty index.

        Raises FailedError when even that cannot be opened, NotIndexedError when the root was removed.
        """
        async with self._change():
            self._check_registered(spec.id)
            await self._stop(spec.id)
            await anyio.to_thread.run_sync(self._remove_stores, spec.id)
            await self._start(spec, may_fail=True)
            root = self._running(spec)
            root.add_note("the whole index was damaged and was rebuilt from the disk")
            return root

    async def save(self) -> None:
        """Save the list of roots, after a root's directory was replaced. Raises StoreFullError."""
        async with self._change():
            await self._save()

    async def remove_missing(self) -> None:
        """Remove roots whose directory has been missing for 30 days. Raises StoreFullError."""
        for root in self.running():
            if root.missing_since and time.time() - root.missing_since > _MISSING_KEPT_S:
                log.warning("missing_root_removed", root=str(root.spec.path), missing_days=_MISSING_KEPT_S // 86_400)
                await self.remove(root.spec.id)

    def _check_registered(self, root_id: str) -> None:
        if root_id not in self._supervised:
            raise NotIndexedError("the root was removed in the meantime", hint="list the roots: codeindex roots")

    async def _save(self, *, without: str = "") -> None:
        specs = sorted((spec for spec in self._specs() if spec.id != without), key=lambda spec: spec.path)
        await anyio.to_thread.run_sync(self._registry.save, specs)


def _not_indexed(path: Path, why: str = "") -> NotIndexedError:
    directory = path if os.path.isdir(path) else path.parent  # noqa: PTH112 - is_dir() raises for a very long name
    return NotIndexedError(f"{path} is not indexed{why}", hint=f"index it: codeindex add {shlex.quote(str(directory))}")


def _may_be_damage(error: Exception) -> bool:
    """Return True if damaged stores may have raised this: broken rows also cause errors that nobody foresaw."""
    return any(
        isinstance(leaf, StoreDamagedError) or not isinstance(leaf, CodeindexError) for leaf in leaf_errors(error)
    )


def _problem_of(error: Exception) -> RootProblem:
    first = first_error(error)
    if isinstance(first, CodeindexError):
        return RootProblem(first.message, first.hint or _RESTART_HINT)
    return RootProblem(f"{type(first).__name__}: {first}", _RESTART_HINT)
