"""Runs all roots of the user, and adds, absorbs, rebuilds and removes roots."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import structlog
from msgspec import Struct

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
from codeindexd.roots.adoption import UNFINISHED
from codeindexd.roots.registry import Admission, Registry, RootSpec, admit, roots_containing, roots_inside
from codeindexd.storage.history.stores import HistoryStores
from codeindexd.storage.recovery import mark_possible_damage
from codeindexd.types import RootState
from codeindexd.waiting import Backoff

log = structlog.get_logger(__name__)
_ID_LENGTH = len("00000000-0000-0000-0000-000000000000")
_MISSING_KEPT_S = 30 * 24 * 3600
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0
_STEADY_S = 60.0  # a root that ran for so long restarts after the first pause again
_RESTART_HINT = "it restarts every few seconds; rebuild its index: codeindex verify --repair PATH"


class FailedRoot(Struct, frozen=True):
    """A registered root that is not running because of ``problem``; it is restarted every few seconds."""

    spec: RootSpec
    problem: RootProblem

    @property
    def error(self) -> FailedError:
        """The error for requests that need this root."""
        return FailedError(
            f"the index of {self.spec.path} cannot be opened: {self.problem.message}", hint=self.problem.hint
        )


class _SupervisedRoot:
    """A registered root across its restarts: ``root`` while it runs, otherwise None, and then ``problem`` says why."""

    def __init__(self, spec: RootSpec) -> None:
        self.scope = anyio.CancelScope()
        self.stopped = anyio.Event()
        self.root: Root | None = None
        self.problem = RootProblem("it has not been started", "")
        self._spec = spec

    @property
    def spec(self) -> RootSpec:
        """The present identity to be registered; the directory may have been replaced since the root was added."""
        return self.root.spec if self.root else self._spec

    def fail(self, error: Exception) -> None:
        """Record that the root stopped with ``error``."""
        self._spec = self.spec
        self.root = None
        self.problem = _problem_of(error)


class RootSupervisor:
    """Runs one :class:`Root` per registered directory, and restarts those that fail without disturbing the others.

    ``create(spec, directory)`` returns a root that has not been started; ``directory`` is the parent of all roots'
    stores. ``histories`` are the stores of histories, which roots share.
    """

    def __init__(
        self,
        registry: Registry,
        directory: Path,
        histories: HistoryStores,
        create: Callable[[RootSpec, Path], Root],
    ) -> None:
        self._registry = registry
        self._directory = directory
        self._histories = histories
        self._create = create
        self._supervised: dict[str, _SupervisedRoot] = {}
        self._change_lock = anyio.Lock()
        self._tasks: anyio.abc.TaskGroup

    # finding roots

    def running_roots(self) -> list[Root]:
        """Return the running roots, in the order of their paths."""
        return self.all_roots()[0]

    def all_roots(self) -> tuple[list[Root], list[FailedRoot]]:
        """Return the running roots and the failed roots, each in the order of their paths."""
        return self._by_state(self._supervised.values())

    async def selected_roots(self, path: Path | None) -> tuple[list[Root], list[FailedRoot]]:
        """Return the root that indexes ``path``, or all roots if it is None, as :meth:`all_roots` does.

        Raises NotIndexedError.
        """
        if path is None:
            return self.all_roots()
        return self._by_state([self._supervised[(await self.spec_indexing(path)).id]])

    @staticmethod
    def _by_state(selected: Iterable[_SupervisedRoot]) -> tuple[list[Root], list[FailedRoot]]:
        """Return the running roots and the failed ones, both ordered by path."""
        ordered = sorted(selected, key=lambda supervised: supervised.spec.path.parts)
        failed = [FailedRoot(supervised.spec, supervised.problem) for supervised in ordered if supervised.root is None]
        return [supervised.root for supervised in ordered if supervised.root], failed

    def spec_containing(self, path: Path) -> RootSpec:
        """Return the root at ``path``, or else the innermost root that contains it, even if its rules leave it out.

        Raises NotIndexedError.
        """
        containing = roots_containing(path, self._specs())
        if not containing:
            raise _not_indexed(path)
        return next((spec for spec, relative in containing if not relative), containing[0][0])

    async def spec_indexing(self, path: Path) -> RootSpec:
        """Return the innermost root whose rules index the directory ``path``, or the directory of the file ``path``.

        A root that is not running is assumed to index everything below it. Raises NotIndexedError.
        """
        containing = roots_containing(path, self._specs())
        for spec, relative in containing:
            indexed = not relative or await anyio.to_thread.run_sync(self._indexes, spec, relative)
            if indexed and spec.id in self._supervised:  # it may have been removed meanwhile
                return spec
        raise await anyio.to_thread.run_sync(self._not_indexed_error, path, containing)

    def _indexes(self, spec: RootSpec, relative: bytes) -> bool:
        """Return True if a root's rules index the directory ``relative``, or if the root is not running. Blocking."""
        supervised = self._supervised.get(spec.id)
        return supervised is None or supervised.root is None or supervised.root.indexes(relative)

    def _not_indexed_error(self, path: Path, containing: Sequence[tuple[RootSpec, bytes]]) -> NotIndexedError:
        """Return the error for a path that no root indexes, with the rule of the innermost root. Blocking."""
        for spec, relative in containing:
            supervised = self._supervised.get(spec.id)
            if supervised is not None and supervised.root is not None:
                with contextlib.suppress(PathRefusedError, OSError):
                    if verdict := supervised.root.exclusion_of(relative):
                        return _not_indexed(path, f": the root {spec.path} leaves it out ({verdict.rule})")
        for directory in (path, *path.parents):
            if before := self._root_moved_to(directory):
                return NotIndexedError(
                    f"{path} is not indexed at this place: {directory} was {before.path}",
                    hint=f"take its index along: codeindex add {shlex.quote(str(directory))}",
                )
        return _not_indexed(path)

    async def root_indexing(self, path: Path) -> Root:
        """Return the running root that indexes ``path``. Raises NotIndexedError, FailedError if it is not running."""
        return self._running(await self.spec_indexing(path))

    def _running(self, spec: RootSpec) -> Root:
        supervised = self._supervised[spec.id]
        if supervised.root is None:
            raise FailedRoot(spec, supervised.problem).error
        return supervised.root

    async def roots_indexing(self, paths: Sequence[Path] | None) -> list[Root]:
        """Return the running roots that index ``paths``, each once; all running roots if no path is given.

        Raises as :meth:`root_indexing`.
        """
        if not paths:
            return self.running_roots()
        return list({root.spec.id: root for root in [await self.root_indexing(path) for path in paths]}.values())

    async def root_to_explain(self, path: Path) -> Root:
        """Return the running root to ask about ``path``: the one that indexes it, or the innermost that contains it.

        Raises as :meth:`root_indexing`.
        """
        outer = [spec for spec in self._specs() if path == spec.path or spec.path in path.parents]
        for spec, relative in roots_containing(path, outer):
            if await anyio.to_thread.run_sync(self._indexes, spec, relative):
                return self._running(spec)
        if not outer:
            return await self.root_indexing(path)
        return self._running(max(outer, key=lambda spec: len(spec.path.parts)))

    def _specs(self) -> list[RootSpec]:
        return [supervised.spec for supervised in self._supervised.values()]

    # running roots

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run the registered roots until cancelled.

        ``task_status`` is set once each root answers queries from its last commit, or has failed. Raises FailedError if
        the list of roots cannot be read.
        """
        async with anyio.create_task_group() as self._tasks:
            specs = await anyio.to_thread.run_sync(self._registry.load)
            async with anyio.create_task_group() as starting:
                for spec in specs:
                    starting.start_soon(partial(self._start, spec, may_fail=True))
            await anyio.to_thread.run_sync(self._remove_orphaned_stores)
            await anyio.to_thread.run_sync(self._remove_orphaned_histories)
            task_status.started()
            await anyio.sleep_forever()

    async def _start(self, spec: RootSpec, *, may_fail: bool, others: Sequence[Root] = ()) -> None:
        """Start a root. If its stores cannot be opened, keep it and retry if it ``may_fail``; otherwise raise.

        A new root may adopt the index of one of the ``others``.
        """
        await self._tasks.start(partial(self._keep_running, spec, may_fail=may_fail, others=others))

    async def _keep_running(
        self,
        spec: RootSpec,
        *,
        may_fail: bool,
        others: Sequence[Root],
        task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Run a root, and restart it after each failure, until it is stopped. See :meth:`_start`."""
        first: Root | None = None
        if others:
            first = self._create(spec, self._directory / spec.id)
            await first.adopt(others)
        supervised = self._supervised[spec.id] = _SupervisedRoot(spec)  # not earlier, or it would be listed as failed
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
                        root, first = first, None
                        await self._run_once(supervised, report_started, root)
                    except Exception as error:
                        if not (started or may_fail):
                            del self._supervised[spec.id]
                            raise first_error(error) from error
                        self._record_failure(supervised, error)
                        report_started()
                        if time.monotonic() - began > _STEADY_S:
                            backoff.reset()
                        await anyio.sleep(backoff.next_s())
        finally:
            supervised.stopped.set()

    def _record_failure(self, supervised: _SupervisedRoot, error: Exception) -> None:
        """Show a root as failed with ``error``, which is being handled, and have its stores checked if need be."""
        supervised.fail(error)
        if _may_be_damage(error):
            mark_possible_damage(self._directory / supervised.spec.id)
        log.exception("root_failed", root=str(supervised.spec.path))

    async def _run_once(
        self, supervised: _SupervisedRoot, report_started: Callable[[], None], root: Root | None
    ) -> None:
        """Run ``root``, or a new one if it is None."""
        if root is None:
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
        """Remove what a kill during an adoption or a removal left; nothing if the list of roots is lost."""
        if self._directory.is_dir() and not self._registry.is_lost:
            for stores in self._directory.iterdir():
                is_unfinished = stores.name.endswith(UNFINISHED)
                root_id = stores.name.removesuffix(UNFINISHED)
                if len(root_id) == _ID_LENGTH and (is_unfinished or root_id not in self._supervised):
                    self._remove_stores(stores.name)

    def _remove_orphaned_histories(self) -> None:
        if not self._registry.is_lost:
            with contextlib.suppress(CodeindexError):
                self._histories.keep_only(list(self._supervised))

    # changing the list of roots

    @contextlib.asynccontextmanager
    async def _change(self) -> AsyncIterator[None]:
        """Make one change at a time, and complete it even if the client that asked for it disconnects."""
        async with self._change_lock:
            with anyio.CancelScope(shield=True):
                yield

    async def add(self, path: Path, *, force: bool) -> tuple[Root, Admission]:
        """Make ``path`` a root and start it, or return the root that covers it.

        If ``path`` is the new place of a root that is missing, that root moves there, with its index.

        Raises PathRefusedError, StoreFullError if the list of roots cannot be written, FailedError if the covering root
        is not running, and the errors of starting a root.
        """
        async with self._change():
            specs = self._specs()
            admission = await anyio.to_thread.run_sync(
                lambda: admit(path, specs, force=force, home=Path.home(), indexes=self._indexes)
            )
            if admission.covered:
                return self._running(admission.spec), admission
            if moved := await anyio.to_thread.run_sync(self._root_moved_to, admission.spec.path):
                spec = await self._move(moved, admission.spec)
                return self._running(spec), Admission(spec, covered=False)
            await self._start(admission.spec, may_fail=False, others=self.running_roots())
            try:
                await self._save()
            except CodeindexError:
                await self._stop(admission.spec.id)
                await anyio.to_thread.run_sync(self._remove_orphaned_stores)
                raise
            return self._running(admission.spec), admission

    def _root_moved_to(self, path: Path) -> RootSpec | None:
        """Return the missing root whose directory is ``path`` now, or None. Blocking."""
        for root in self.running_roots():
            with contextlib.suppress(CodeindexError):
                if root.was_moved_to(path):
                    return root.spec
        return None

    async def _move(self, before: RootSpec, place: RootSpec) -> RootSpec:
        """Move a root to the path of ``place``, and return its new identity, which has the old id.

        Raises StoreFullError if the list of roots cannot be written; the root is as before then.
        """
        spec = RootSpec(before.id, place.path, place.device, place.inode)
        await self._stop(before.id)
        await self._start(spec, may_fail=True)
        try:
            await self._save()
        except CodeindexError:
            await self._stop(before.id)
            await self._start(before, may_fail=True)
            raise
        log.info("root_moved", before=str(before.path), root=str(spec.path))
        return spec

    async def absorb(self, root_id: str) -> None:
        """Remove the roots inside a fresh root that it indexes too; their code is found through it from now on.

        A root in a directory that the outer one leaves out stays. Raises StoreFullError.
        """
        outer = self._supervised.get(root_id)
        if outer is None or outer.root is None or outer.root.state is not RootState.FRESH:
            return
        for spec in roots_inside(outer.spec, self._specs()):
            relative = os.fsencode(spec.path.relative_to(outer.spec.path))
            if not await anyio.to_thread.run_sync(self._indexes, outer.spec, relative) or outer.root is None:
                continue
            with contextlib.suppress(NotIndexedError):  # removed by another request meanwhile
                await self.remove(spec.id)
                log.info("root_absorbed", root=str(outer.spec.path), absorbed=str(spec.path))
                outer.root.add_note(f"{spec.path} was a root of its own, and is found through this one now")

    async def remove(self, root_id: str) -> None:
        """Stop a root and delete its index; its vectors stay in the shared store until that needs the space.

        Raises NotIndexedError if it was already removed, StoreFullError if the list of roots cannot be written.
        """
        async with self._change():
            self._check_registered(root_id)
            await self._save(without=root_id)  # first, so that the root stays as it is if the list cannot be written
            await self._stop(root_id)
            await anyio.to_thread.run_sync(self._remove_stores, root_id)
            await anyio.to_thread.run_sync(self._histories.forget, root_id)

    async def rebuild(self, spec: RootSpec) -> Root:
        """Restart a root with an empty index.

        Raises FailedError if even that cannot be opened, NotIndexedError if the root was removed.
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
        """Save the list of roots; needed after a root's directory was replaced. Raises StoreFullError."""
        async with self._change():
            await self._save()

    async def remove_missing(self) -> None:
        """Remove roots whose directory has been missing for 30 days. Raises StoreFullError."""
        for root in self.running_roots():
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
    if str(directory) in {"/", os.path.expanduser("~")}:  # noqa: PTH111 - Path.home() raises where there is none
        return NotIndexedError(f"{path} is not indexed{why}", hint="index your projects: codeindex add PATH")
    return NotIndexedError(f"{path} is not indexed{why}", hint=f"index it: codeindex add {shlex.quote(str(directory))}")


def _may_be_damage(error: Exception) -> bool:
    """Return True if damaged stores may have caused ``error``: broken rows also cause unexpected exceptions."""
    return any(
        isinstance(leaf, StoreDamagedError) or not isinstance(leaf, CodeindexError) for leaf in leaf_errors(error)
    )


def _problem_of(error: Exception) -> RootProblem:
    first = first_error(error)
    if isinstance(first, CodeindexError):
        return RootProblem(first.message, first.hint or _RESTART_HINT)
    return RootProblem(f"{type(first).__name__}: {first}", _RESTART_HINT)
