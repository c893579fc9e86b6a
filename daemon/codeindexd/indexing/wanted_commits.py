"""Finds out which commits the history of a root should have now, by as little reading as that takes."""

from __future__ import annotations

import os
from pathlib import Path

import anyio.to_thread
import msgspec
import xxhash
from msgspec import Struct

from codeindexd.analysis.history import mailmap
from codeindexd.analysis.history.location import GitLocation, locate
from codeindexd.analysis.history.packed_ids import PackedIds
from codeindexd.analysis.history.refs import Heads, files_of_heads, places_of_objects, read_heads
from codeindexd.indexing.history_jobs import HistoryJobs
from codeindexd.indexing.history_requests import (
    DifferenceAnswer,
    DifferenceRequest,
    FileAnswer,
    FileRequest,
    Repository,
    WalkAnswer,
    WalkRequest,
)
from codeindexd.indexing.history_status import HistorySettings
from codeindexd.indexing.reference_watch import ReferenceWatch
from codeindexd.storage.history import View
from codeindexd.storage.history.stores import HistoryStores

_MOST_DIFFERENT = 20_000  # commits that are compared before walking is cheaper


class ObservedRepository(Struct, frozen=True):
    """What the repository of a root looks like at one moment; ``signature`` is a hash of it and of the settings."""

    location: GitLocation
    heads: Heads
    signature: bytes

    @property
    def repository(self) -> Repository:
        """The repository in this state, as workers are asked about it."""
        return Repository.of(self.location, self.heads)


class WantedCommits(Struct, frozen=True):
    """What the history of a root is read from, the name of its store, and the ids of its commits, newest first.

    The first ``unplaced`` of them are new, and have to find their places among the others.
    """

    repository: Repository
    store: str
    view: View
    ids: PackedIds
    unplaced: int = 0


class WantedCommitsFinder:
    """Finds the commits of one root's repository."""

    def __init__(
        self, root_id: str, path: Path, settings: HistorySettings, jobs: HistoryJobs, stores: HistoryStores
    ) -> None:
        self._root_id = root_id
        self._path = path
        self._settings = settings
        self._jobs = jobs
        self._stores = stores

    def observe(self, watch: ReferenceWatch) -> ObservedRepository:
        """Return what the repository looks like now, and watch for later changes of it. Blocking.

        Raises NoHistoryError if there is no repository.
        """
        watch.stop()
        location = locate(self._path)
        files = files_of_heads(location, self._settings.branches)
        if location.prefix and location.top is not None:  # a repository may be made nearer to the root
            inner = [place for place in (self._path, *self._path.parents) if location.top in place.parents]
            files += [place / ".git" for place in inner]
        watch.watch(files, places_of_objects(location))
        heads = read_heads(location, self._settings.branches)
        described = [
            heads.tips,
            sorted(heads.shallow),
            sorted(heads.grafts.items()),
            sorted(heads.replaced.items()),
            os.fsencode(location.git_dir),
            os.fsencode(location.common_dir),
            location.prefix,
            self._settings.max_commits,
        ]
        return ObservedRepository(location, heads, _hash(described))

    def places_of_a_new_repository(self) -> list[Path]:
        """Return the files that appear when a repository is made here or above. Blocking."""
        start = Path(os.path.realpath(self._path))
        return [start / ".git" / "HEAD", *(place / ".git" for place in (start, *start.parents))]

    async def find(self, observed: ObservedRepository) -> WantedCommits:
        """Return the commits that the history should have.

        If they only differ from those it has, the difference is read, else all are. Raises what asking a worker does.
        """
        heads, repository = observed.heads, observed.repository
        parents = (sorted(heads.shallow), sorted(heads.grafts.items()), sorted(heads.replaced.items()))
        view = View(
            root=self._root_id,
            git_dir=repository.git_dir,
            common_dir=repository.common_dir,
            top=os.fsencode(observed.location.top) if observed.location.top else b"",
            prefix=observed.location.prefix,
            signature=observed.signature,
            base=_hash([*parents, self._settings.max_commits, repository.common_dir]),
            tips=heads.tips,
            branch=heads.branch,
            wanted=0,
            is_complete=False,
        )
        if observed.location.top is None:
            read = await self._jobs.ask(FileRequest(repository, mailmap.FILE_NAME, mailmap.MOST_BYTES), FileAnswer)
            view = msgspec.structs.replace(view, mailmap=read.data)
        return await self._changed(repository, view) or await self._walked(repository, view)

    async def _changed(self, repository: Repository, view: View) -> WantedCommits | None:
        """Return the commits that the root has, with the new ones and without the others; None to walk instead."""
        key = self._stores.key_of(self._root_id)
        before = await anyio.to_thread.run_sync(self._ids_before, key) if key is not None else None
        if key is None or before is None:
            return None
        old, ids = before
        if old.base != view.base or not old.wanted or old.is_truncated:
            return None
        request = DifferenceRequest(repository, old.tips, _MOST_DIFFERENT)
        answer = await self._jobs.ask(request, DifferenceAnswer)
        added, removed = PackedIds(answer.added), PackedIds(answer.removed)
        merged = added + ids.at(removed.places_of(ids) < 0)
        if not answer.is_known or len(merged) > self._settings.max_commits:
            return None
        view = msgspec.structs.replace(view, wanted=len(merged), is_shallow=old.is_shallow)
        return WantedCommits(repository, key, view, merged, unplaced=len(added))

    def _ids_before(self, key: str) -> tuple[View, PackedIds] | None:
        """Return the last complete view of the root and the ids of its commits. Blocking."""
        with self._stores.use(key) as store:
            view = store.view_of(self._root_id)
            if view is None or not view.is_complete or view.lacks_objects:
                return None
            ids = store.ids_of_members(self._root_id)
            return (view, ids) if ids is not None else None

    async def _walked(self, repository: Repository, view: View) -> WantedCommits:
        """Return all commits, and the store of their repository."""
        walk = await self._jobs.ask(WalkRequest(repository, self._settings.max_commits), WalkAnswer)
        ids = PackedIds(walk.ids)
        view = msgspec.structs.replace(
            view, wanted=len(ids), is_truncated=walk.is_truncated, is_shallow=walk.is_shallow, missing=walk.missing
        )
        name = walk.first_ancestor.hex() or f"at-{xxhash.xxh3_64_hexdigest(repository.common_dir)}"
        return WantedCommits(repository, name, view, ids)


def _hash(values: list[object]) -> bytes:
    return xxhash.xxh3_128_digest(msgspec.msgpack.encode(values))
