"""The method ``history.log`` of the protocol, and the last commits of search hits."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from codeindexd.analysis.history.location import GitLocation, locate
from codeindexd.daemon import commit_log_responses
from codeindexd.daemon.request_paths import paths_of
from codeindexd.daemon.server import Connection, Handler, Params, Result
from codeindexd.errors import NoHistoryError, TimedOutError
from codeindexd.protocol.places import bytes_of_path, path_to_json
from codeindexd.roots import Root
from codeindexd.roots.supervisor import RootSupervisor
from codeindexd.search.history.last_commit import last_commits
from codeindexd.search.history.log import CommitHit, CommitSearcher, LogAnswer
from codeindexd.search.history.query import CommitQuery, parse_commit_query
from codeindexd.waiting import run_all

_DEFAULT_LIMIT = 10
_SYNC_S = 30.0  # that a question waits for a history to be complete


async def catch_up_briefly(roots: Sequence[Root]) -> list[str]:
    """Wait briefly until the commits made before the call are indexed, and return notes on those that are not."""
    return [note for note in await run_all([root.history.catch_up for root in roots]) if note]


def with_notes(result: Result, notes: Sequence[str]) -> Result:
    """Add notes to a result, each once, and return it."""
    if notes:
        result["notes"] = list(dict.fromkeys([*result.get("notes", []), *notes]))
    return result


def own_repository(root: Root, place: Path) -> GitLocation | None:
    """Return the repository of a place if it is not that of its root, but a submodule, for example. Blocking.

    Raises NoHistoryError if there is no repository.
    """
    own, around = locate(place if place.is_dir() else place.parent), locate(root.spec.path)
    return None if own.git_dir == around.git_dir else own


def _root_entry(root: Root) -> str:
    shown: str = path_to_json(root.spec.raw, key="root")["root"]
    return shown


class CommitLogHandler:
    """The handler of ``history.log``. ``sync_all(roots)`` waits until earlier changes are indexed."""

    def __init__(
        self,
        roots: RootSupervisor,
        commits: CommitSearcher,
        *,
        sync_all: Callable[[Sequence[Root]], Awaitable[object]],
    ) -> None:
        self._roots = roots
        self._commits = commits
        self._sync_all = sync_all

    def table(self) -> dict[str, Handler]:
        """Return the handler of every method."""
        return {"history.log": self.log}

    async def log(self, params: Params, connection: Connection) -> Result:
        """Return the commits that answer a query, or the newest ones."""
        began = time.monotonic()
        query = parse_commit_query(params["query"], now=datetime.now().astimezone())
        asked = paths_of(params["roots"])
        roots = await self._roots.roots_indexing(asked)
        is_incomplete = params["sync"] and not await self._sync(roots)
        behind = [] if params["sync"] else await catch_up_briefly(roots)
        limit = params["limit"] or _DEFAULT_LIMIT
        try:
            result = await anyio.to_thread.run_sync(self._log, roots, params["query"], query, limit, began)
        except NoHistoryError as error:
            if is_incomplete:
                raise TimedOutError(f"{error.message}, after {_SYNC_S:g} s", hint=error.hint) from error
            raise
        if is_incomplete:
            behind.append(f"the history was not complete after {_SYNC_S:g} s")
        return with_notes(result, [*behind, *await self._notes_on_other_repositories(asked or ())])

    async def _notes_on_other_repositories(self, asked: Sequence[Path]) -> list[str]:
        """Return a note on each directory whose commits are not those of its root, such as a submodule."""
        notes = []
        for place in asked:
            root = await self._roots.root_indexing(place)
            with suppress(NoHistoryError):
                if place != root.spec.path and await anyio.to_thread.run_sync(own_repository, root, place) is not None:
                    notes.append(
                        f"{place} is in a repository of its own, which is not searched; these are commits of "
                        f"{root.spec.path}"
                    )
        return notes

    async def _sync(self, roots: Sequence[Root]) -> bool:
        """Wait until earlier changes and all commits are indexed; return False if that takes too long."""
        await self._sync_all(roots)
        with anyio.move_on_after(_SYNC_S) as scope:
            await run_all(partial(root.history.sync, completely=True) for root in roots)
        return not scope.cancelled_caught

    def _log(self, roots: Sequence[Root], text: str, query: CommitQuery, limit: int, began: float) -> Result:
        found: list[tuple[Root, CommitHit, bytes]] = []
        searched, is_ranked = 0, False
        notes: list[str] = []
        with_history: list[Root] = []
        refused: list[NoHistoryError] = []
        for root in roots:
            try:
                with root.history.snapshot() as snapshot:
                    below = query.below(str(root.spec.path))
                    answer: LogAnswer = self._commits.log(snapshot, below, limit)
                    found += [(root, hit, snapshot.view.prefix) for hit in answer.hits]
            except NoHistoryError as error:
                refused.append(error)
                continue
            with_history.append(root)
            searched += answer.searched
            is_ranked |= answer.is_ranked
            notes += answer.notes
        if refused and not with_history:
            raise refused[0]
        notes += commit_log_responses.notes_on(with_history)
        notes += [error.message for error in refused]
        distinct: dict[bytes, tuple[Root, CommitHit, bytes]] = {}
        for entry in found:  # clones of a repository have the same commits
            distinct.setdefault(entry[1].commit.id, entry)
        ordered = list(distinct.values())
        if is_ranked:
            ordered.sort(key=lambda entry: -entry[1].score)
        elif len(with_history) > 1:
            ordered.sort(key=lambda entry: -entry[1].commit.commit_time)
        return {
            "query": text,
            "took_ms": round((time.monotonic() - began) * 1000, 2),
            "commits": [commit_log_responses.hit_entry(*entry) for entry in ordered[:limit]],
            "searched": searched,
            "ranked": is_ranked,
            **({"notes": list(dict.fromkeys(notes))} if notes else {}),
        }

    async def add_last_commits(self, roots: Sequence[Root], result: Result) -> None:
        """Add ``last_commit`` to the hits of a search, and notes on histories that cannot tell."""
        shown = {hit["root"] for hit in result["hits"]}
        with_notes(result, await catch_up_briefly([root for root in roots if _root_entry(root) in shown]))
        await anyio.to_thread.run_sync(self._add_last_commits, roots, result)

    @staticmethod
    def _add_last_commits(roots: Sequence[Root], result: Result) -> None:
        notes: list[str] = []
        for root in roots:
            shown = _root_entry(root)
            hits = [hit for hit in result["hits"] if hit["root"] == shown]
            if not hits:
                continue
            places = [(bytes_of_path(hit["path"]), hit["symbol"] or "") for hit in hits]
            try:
                with root.history.snapshot() as snapshot:
                    found = last_commits(snapshot, places)
            except NoHistoryError as error:
                notes.append(error.message)
                continue
            for hit, last in zip(hits, found, strict=True):
                hit["last_commit"] = commit_log_responses.last_commit_entry(last) if last else None
            notes += commit_log_responses.notes_on([root])
        with_notes(result, notes)
