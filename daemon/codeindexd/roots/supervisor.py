"""All roots of the user: which run, how one is added, absorbed, rebuilt and forgotten."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import structlog

from codeindexd.errors import CodeindexError, FailedError, NotIndexedError, StoreDamagedError
from codeindexd.indexing.problems import RootProblem
from codeindexd.roots import Root
from codeindexd.roots.registry import Admission, Registry, RootSpec, admit, covering, inside
from codeindexd.storage.recovery import mark_possible_damage
from codeindexd.types import RootState

log = structlog.get_logger(__name__)
_MISSING_KEPT_S = 30 * 24 * 3600
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0
_STEADY_S = 60.0  # a root that lived so long starts again without a pause that has grown
_REPAIR = "it is tried again every few seconds; `codeindex verify --repair PATH` begins its index anew"


@dataclass(frozen=True, slots=True)
class FailedRoot:
    """A root whose stores cannot be opened now, and why. It stays registered and is tried again."""

    spec: RootSpec
    problem: RootProblem

    @property
    def error(self) -> FailedError:
        """What a question about it is answered with."""
        return FailedError(
            f"the index of {self.spec.path} cannot be opened: {self.problem.message}", hint=self.problem.hint
        )


class _Life:
    """A root over its crashes and restarts: it either runs or is stranded, and is remembered in both cases."""

    def __init__(self, spec: RootSpec) -> None:
        self.scope = anyio.CancelScope()
        self.ended = anyio.Event()
        self.root: Root | None = None
        self.problem = RootProblem("it has not been started", "")
        self._spec = spec

    @property
    def spec(self) -> RootSpec:
        """The root as it is to be remembered: its directory may have been replaced since it was registered."""
        return self.root.spec if self.root else self._spec

    def strand(self, error: Exception) -> None:
        """The root ended by ``error``."""
        self._spec = self.spec
        self.root = None
        self.problem = _problem(error)


class RootSupervisor:
    """Runs one :class:`Root` per registered directory. One that crashes is started again and never takes another along.

    ``make`` builds a root that has not been started; ``directory`` is the parent of all roots' stores.
    """

    def __init__(self, registry: Registry, directory: Path, make: Callable[[RootSpec, Path], Root]) -> None:
        self._registry = registry
        self._directory = directory
        self._make = make
        self._lives: dict[str, _Life] = {}
        self._changing = anyio.Lock()
        self._tasks: anyio.abc.TaskGroup

    # looking

    def all(self) -> list[Root]:
        """Every running root, in the order of their paths."""
        return self.around(None)[0]

    def around(self, path: Path | None) -> tuple[list[Root], list[FailedRoot]]:
        """The root that ``path`` lies in, without it all of them: those that run and those that are stranded.

        Each list is in the order of paths. Raises NotIndexedError.
        """
        lives = self._lives.values() if path is None else [self._lives[self.registered(path).id]]
        ordered = sorted(lives, key=lambda life: life.spec.path)
        stranded = [FailedRoot(life.spec, life.problem) for life in ordered if life.root is None]
        return [life.root for life in ordered if life.root], stranded

    def registered(self, path: Path) -> RootSpec:
        """The root that ``path`` lies in, stranded or not. Raises NotIndexedError."""
        spec = covering(path, self._specs())
        if spec is None:
            raise NotIndexedError(f"{path} is not indexed", hint=f"index it: codeindex add {path}")
        return spec

    def covering(self, path: Path) -> Root:
        """The root that ``path`` lies in. Raises NotIndexedError, and FailedError when it is stranded."""
        return self._running(self.registered(path))

    def _running(self, spec: RootSpec) -> Root:
        life = self._lives[spec.id]
        if life.root is None:
            raise FailedRoot(spec, life.problem).error
        return life.root

    def chosen(self, paths: Sequence[Path] | None) -> list[Root]:
        """The roots around ``paths``, each once; all that run when no path is given."""
        if not paths:
            return self.all()
        return list({root.spec.id: root for root in map(self.covering, paths)}.values())

    def _specs(self) -> list[RootSpec]:
        return [life.spec for life in self._lives.values()]

    # life

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Start what is registered; ``started`` once every root answers from what was committed, or is stranded."""
        async with anyio.create_task_group() as self._tasks:
            specs = await anyio.to_thread.run_sync(self._registry.load)
            async with anyio.create_task_group() as starting:
                for spec in specs:
                    starting.start_soon(partial(self._start, spec, patient=True))
            await anyio.to_thread.run_sync(self._sweep)
            task_status.started()
            await anyio.sleep_forever()

    async def _start(self, spec: RootSpec, *, patient: bool) -> None:
        """Begin a root's life. With ``patient`` one that cannot be opened is stranded, otherwise it raises."""
        await self._tasks.start(partial(self._keep_running, spec, patient=patient))

    async def _keep_running(
        self, spec: RootSpec, *, patient: bool, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        life = self._lives[spec.id] = _Life(spec)
        reported = False

        def report() -> None:
            nonlocal reported
            if not reported:
                reported = True
                task_status.started()

        pause = _FIRST_PAUSE_S
        try:
            with life.scope:
                while True:
                    began = time.monotonic()
                    try:
                        await self._live(life, report)
                    except Exception as error:
                        if not (reported or patient):
                            del self._lives[spec.id]
                            raise _told(error) from error
                        life.strand(error)
                        if _may_be_damage(error):
                            mark_possible_damage(self._directory / spec.id)
                        log.exception("root stopped; it is started again", root=str(life.spec.path))
                        report()
                        pause = _FIRST_PAUSE_S if time.monotonic() - began > _STEADY_S else pause
                        await anyio.sleep(pause)
                        pause = min(2 * pause, _LONGEST_PAUSE_S)
        finally:
            life.ended.set()

    async def _live(self, life: _Life, report: Callable[[], None]) -> None:
        root = self._make(life.spec, self._directory / life.spec.id)
        async with anyio.create_task_group() as tasks:
            await tasks.start(root.serve)
            life.root = root
            report()

    def _known(self, identity: str) -> None:
        if identity not in self._lives:
            raise NotIndexedError("the root was removed in the meantime", hint="see `codeindex roots`")

    async def _stop(self, identity: str) -> None:
        life = self._lives.pop(identity)
        life.scope.cancel()
        await life.ended.wait()

    def _sweep(self) -> None:
        """Remove stores of roots that are not registered (a kill while removing one); none when the list is lost."""
        if self._directory.is_dir() and not self._registry.lost:
            for place in self._directory.iterdir():
                if place.name not in self._lives and len(place.name) == len("00000000-0000-0000-0000-000000000000"):
                    shutil.rmtree(place, ignore_errors=True)

    # changing

    @contextlib.asynccontextmanager
    async def _change(self) -> AsyncIterator[None]:
        """One change at a time, and whole: a client that goes away in the middle must not leave half a root."""
        async with self._changing:
            with anyio.CancelScope(shield=True):
                yield

    async def add(self, path: Path, *, force: bool) -> tuple[Root, Admission]:
        """Make ``path`` a root and start it; a path inside a root gives that root.

        Raises PathRefusedError, and FailedError for a root that is stranded.
        """
        async with self._change():
            specs = self._specs()
            admission = await anyio.to_thread.run_sync(lambda: admit(path, specs, force=force, home=Path.home()))
            if admission.covered:
                return self._running(admission.spec), admission
            await self._start(admission.spec, patient=False)
            try:
                await self._save()
            except CodeindexError:
                await self._stop(admission.spec.id)
                await anyio.to_thread.run_sync(self._sweep)
                raise
            return self._running(admission.spec), admission

    async def absorb(self, root_id: str) -> None:
        """Remove the roots inside a root, if that is fresh: their code is found through it from now on."""
        life = self._lives.get(root_id)
        if life is None or life.root is None or life.root.state is not RootState.FRESH:
            return
        for spec in inside(life.spec, self._specs()):
            with contextlib.suppress(NotIndexedError):  # removed by somebody else meanwhile
                await self.remove(spec.id)

    async def remove(self, identity: str) -> None:
        """Forget a root and delete its index; vectors stay in the shared store until it needs the room.

        Raises NotIndexedError when it is no root any more, StoreFullError when the list cannot be written.
        """
        async with self._change():
            self._known(identity)
            await self._save(without=identity)  # first: when that cannot be written the root stays as it is
            await self._stop(identity)
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(self._directory / identity, ignore_errors=True))

    async def rebuild(self, spec: RootSpec) -> Root:
        """Start a root over with an empty index.

        Raises FailedError when even that cannot be opened, NotIndexedError when it is no root any more.
        """
        async with self._change():
            self._known(spec.id)
            await self._stop(spec.id)
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(self._directory / spec.id, ignore_errors=True))
            await self._start(spec, patient=True)
            root = self._running(spec)
            root.add_note("the whole index was damaged and was rebuilt from the disk")
            return root

    async def save(self) -> None:
        """Save the list of roots, after a root's directory was replaced. Raises StoreFullError."""
        async with self._change():
            await self._save()

    async def forget_missing(self) -> None:
        """Drop roots whose directory has been gone for 30 days."""
        for root in self.all():
            if root.missing_since and time.time() - root.missing_since > _MISSING_KEPT_S:
                log.warning("root forgotten, it was missing for 30 days", root=str(root.spec.path))
                await self.remove(root.spec.id)

    async def _save(self, *, without: str = "") -> None:
        specs = sorted((spec for spec in self._specs() if spec.id != without), key=lambda spec: spec.path)
        await anyio.to_thread.run_sync(self._registry.save, specs)


def _told(error: Exception) -> Exception:
    """What a group of exceptions is about: the first error of ours in it, otherwise the first of all."""
    if not isinstance(error, ExceptionGroup):
        return error
    ours = error.subgroup(CodeindexError)
    return _told((ours or error).exceptions[0])


def _may_be_damage(error: BaseException) -> bool:
    """Whether stores that raised this are to be looked at closely: also what nobody foresaw comes from broken rows."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(_may_be_damage, error.exceptions))
    return isinstance(error, StoreDamagedError) or not isinstance(error, CodeindexError)


def _problem(error: Exception) -> RootProblem:
    told = _told(error)
    if isinstance(told, CodeindexError):
        return RootProblem(told.message, told.hint or _REPAIR)
    return RootProblem(f"{type(told).__name__}: {told}", _REPAIR)
