"""All roots of the user: which run, how one is added, absorbed, rebuilt and forgotten."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import structlog

from codeindexd.errors import CodeindexError, NotIndexedError
from codeindexd.model import RootState
from codeindexd.registry import Admission, Registry, RootSpec, admit, covering
from codeindexd.root import Root

log = structlog.get_logger(__name__)
_MISSING_KEPT_S = 30 * 24 * 3600
_RESTART_PAUSE_S = 5.0


@dataclass
class _Running:
    root: Root
    scope: anyio.CancelScope
    ended: anyio.Event


class Roots:
    """Runs one :class:`Root` per registered directory. One that crashes is started again and never takes another along.

    ``make`` builds a root that has not been started; ``directory`` is the parent of all roots' stores.
    """

    def __init__(self, registry: Registry, directory: Path, make: Callable[[RootSpec, Path], Root]) -> None:
        self._registry = registry
        self._directory = directory
        self._make = make
        self._running: dict[str, _Running] = {}
        self._absorbed: dict[str, list[str]] = {}
        self._changing = anyio.Lock()
        self._tasks: anyio.abc.TaskGroup

    # looking

    def all(self) -> list[Root]:
        """Every running root, in the order of their paths."""
        return sorted((running.root for running in self._running.values()), key=lambda root: root.spec.path)

    def covering(self, path: Path) -> Root:
        """The root that ``path`` lies in. Raises NotIndexedError."""
        spec = covering(path, [root.spec for root in self.all()])
        if spec is None:
            raise NotIndexedError(f"{path} is not indexed", hint=f"index it: codeindex add {path}")
        return self._running[spec.id].root

    def chosen(self, paths: Sequence[Path] | None) -> list[Root]:
        """The roots around ``paths``, each once; all of them when no path is given."""
        if not paths:
            return self.all()
        return list({root.spec.id: root for root in map(self.covering, paths)}.values())

    # life

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Start what is registered; ``started`` once every root can answer from what was committed."""
        async with anyio.create_task_group() as self._tasks:
            async with anyio.create_task_group() as starting:
                for spec in await anyio.to_thread.run_sync(self._registry.load):
                    starting.start_soon(self._start_or_report, spec)
            await anyio.to_thread.run_sync(self._sweep)
            task_status.started()
            await anyio.sleep_forever()

    async def _start_or_report(self, spec: RootSpec) -> None:
        try:
            await self._start(spec)
        except (CodeindexError, OSError) as error:
            log.error("root cannot start", root=str(spec.path), error=str(error))  # noqa: TRY400

    async def _start(self, spec: RootSpec) -> Root:
        running: _Running = await self._tasks.start(self._keep_running, spec)
        self._running[spec.id] = running
        return running.root

    async def _keep_running(
        self, spec: RootSpec, *, task_status: anyio.abc.TaskStatus[_Running] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        reported = False
        ended = anyio.Event()

        async def life(running: _Running) -> None:
            nonlocal reported
            with running.scope:
                async with anyio.create_task_group() as tasks:
                    await tasks.start(running.root.serve)
                    if reported:
                        self._running[spec.id] = running
                    else:
                        reported = True
                        task_status.started(running)

        try:
            while True:
                running = _Running(self._make(spec, self._directory / spec.id), anyio.CancelScope(), ended)
                try:
                    await life(running)
                except Exception:
                    if not reported:
                        raise
                    log.exception("root crashed; starting it again", root=str(spec.path))
                    await anyio.sleep(_RESTART_PAUSE_S)
                    continue
                return
        finally:
            ended.set()

    async def _stop(self, root: Root) -> None:
        running = self._running.pop(root.spec.id)
        running.scope.cancel()
        await running.ended.wait()

    def _sweep(self) -> None:
        """Remove stores of roots that are no longer registered (a kill while removing one)."""
        if self._directory.is_dir():
            for place in self._directory.iterdir():
                if place.name not in self._running and len(place.name) == len("00000000-0000-0000-0000-000000000000"):
                    shutil.rmtree(place, ignore_errors=True)

    # changing

    async def add(self, path: Path, *, force: bool) -> tuple[Root, Admission]:
        """Make ``path`` a root and start it; a path inside a root gives that root. Raises PathRefusedError."""
        async with self._changing:
            specs = [root.spec for root in self.all()]
            admission = await anyio.to_thread.run_sync(lambda: admit(path, specs, force=force, home=Path.home()))
            if admission.covered:
                return self._running[admission.spec.id].root, admission
            root = await self._start(admission.spec)
            self._absorbed[root.spec.id] = [spec.id for spec in admission.absorbs]
            try:
                await self._save()
            except CodeindexError:
                await self._stop(root)
                raise
            return root, admission

    async def absorb(self, root: Root) -> None:
        """Once a root is fresh, drop the roots inside it: their code is found through it from now on."""
        if root.state is not RootState.FRESH:
            return
        for identity in self._absorbed.pop(root.spec.id, []):
            if identity in self._running:
                await self.remove(self._running[identity].root)

    async def remove(self, root: Root) -> None:
        """Forget a root and delete its index; vectors stay in the shared store until it needs the room."""
        async with self._changing:
            await self._stop(root)
            await self._save()
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(root.directory, ignore_errors=True))

    async def rebuild(self, root: Root) -> Root:
        """Start a root over with an empty index."""
        async with self._changing:
            await self._stop(root)
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(root.directory, ignore_errors=True))
            return await self._start(root.spec)

    async def remember(self) -> None:
        """Save the list again: a root changed its identity."""
        async with self._changing:
            await self._save()

    async def forget_missing(self) -> None:
        """Drop roots whose directory has been gone for 30 days."""
        for root in self.all():
            if root.missing_since and time.time() - root.missing_since > _MISSING_KEPT_S:
                log.warning("root forgotten, it was missing for 30 days", root=str(root.spec.path))
                await self.remove(root)

    async def _save(self) -> None:
        await anyio.to_thread.run_sync(self._registry.save, [root.spec for root in self.all()])
