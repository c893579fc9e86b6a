"""The method ``history.log`` of the protocol, and the last commits of search hits."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from codeindexd.analysis.history.location import GitLocation, locate
from codeindexd.daemon import commit_log_responses
from codeindexd.daemon.request_paths import path_below, paths_of
from codeindexd.daemon.server import Connection, Handler, Params, Result
from codeindexd.errors import NoHistoryError, TimedOutError
from codeindexd.indexing.history import HistoryIndexer
from codeindexd.protocol.places import bytes_of_path, path_to_json
from codeindexd.quantities import quantity
from codeindexd.roots import Root
from codeindexd.roots.supervisor import RootSupervisor
from codeindexd.search.history.last_commit import last_commits
from codeindexd.search.history.log import CommitHit, CommitSearcher, LogAnswer
from codeindexd.search.history.query import CommitQuery, parse_commit_query
from codeindexd.waiting import run_all

_DEFAULT_LIMIT = 10
_MOST_NOTES = 3  # on histories that cannot be searched, one for each
_SYNC_S = 30.0  # that a question waits for a history to be complete


async def catch_up_briefly(histories: Sequence[HistoryIndexer]) -> list[str]:
    """Wait briefly until the commits made before the call are indexed, and return notes on those that are not."""
    return [note for note in await run_all([history.catch_up for history in histories]) if note]


def with_notes(result: Result, notes: Sequence[str]) -> Result:
    """Add notes to a result, each once, and return it."""
    if notes:
        result["notes"] = list(dict.fromkeys([*result.get("notes", []), *notes]))
    return result


def own_repository(history: HistoryIndexer, place: Path) -> GitLocation | None:
    """Return the repository of a place if it is not the one of ``history``, but one inside it. Blocking.

    Raises NoHistoryError if there is no repository.
    """
    own, around = locate(place if place.is_dir() else place.parent), locate(history.path)
    return None if own.git_dir == around.git_dir else own


def histories_asked(
    roots: Sequence[Root], asked: Sequence[Path], globs: Sequence[str] = ()
) -> dict[HistoryIndexer, Root]:
    """Return the histories that a question about some directories means, with their roots.

    Without directories, those of the roots. If path filters name a repository inside one of them, its history, too.
    """
    found: dict[HistoryIndexer, Root] = {}
    for root in roots:
        below = [path_below(root, place) for place in asked]
        for path in [path for path in below if not path.startswith(b"/")] or [b""]:
            found.update(dict.fromkeys(root.histories_at(path), root))
        for history in root.histories[1:]:
            if any(str(root.spec.path / glob).startswith(f"{history.path}/") for glob in globs):
                found.setdefault(history, root)
    return found


def _notes_on_refused(errors: Sequence[NoHistoryError]) -> list[str]:
    """Return notes on histories that could not be searched; many in one note."""
    if len(errors) <= _MOST_NOTES:
        return [error.message for error in errors]
    return [f"the commits of {len(errors):,} repositories are not indexed yet; to see the progress: codeindex status"]


def _notes_on_unsearched(roots: Sequence[Root], searched: Collection[HistoryIndexer]) -> list[str]:
    """Return notes on repositories inside roots that were not searched, though the root was."""
    notes = []
    for root in roots:
        others = [history for history in root.histories if history not in searched and history.is_available]
        if root.history in searched and others:
            inside = quantity(len(others), "repository inside it was", "repositories inside it were")
            notes.append(f"only the commits of {root.spec.path} were searched; {inside} not: ask in its directory")
    return notes


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
        histories = histories_asked(roots, asked or (), query.include)
        is_incomplete = params["sync"] and not await self._sync(roots, list(histories))
        behind = [] if params["sync"] else await catch_up_briefly(list(histories))
        limit = params["limit"] or _DEFAULT_LIMIT
        try:
            result = await anyio.to_thread.run_sync(self._log, histories, params["query"], query, limit, began)
        except NoHistoryError as error:
            if is_incomplete:
                raise TimedOutError(f"{error.message}, after {_SYNC_S:g} s", hint=error.hint) from error
            raise
        if is_incomplete:
            behind.append(f"the history was not complete after {_SYNC_S:g} s")
        if not result["commits"]:
            behind += _notes_on_unsearched(roots, histories)
        return with_notes(result, [*behind, *await self._notes_on_other_repositories(asked or ())])

    async def _notes_on_other_repositories(self, asked: Sequence[Path]) -> list[str]:
        """Return a note on each directory whose repository has no history of its own here, because it is new."""
        notes = []
        for place in asked:
            root = await self._roots.root_indexing(place)
            history, _ = root.history_of(path_below(root, place))
            with suppress(NoHistoryError):
                if place != history.path and await anyio.to_thread.run_sync(own_repository, history, place) is not None:
                    notes.append(
                        f"{place} is in a repository of its own, which is not searched yet; these are commits of "
                        f"{history.path}"
                    )
        return notes

    async def _sync(self, roots: Sequence[Root], histories: Sequence[HistoryIndexer]) -> bool:
        """Wait until earlier changes and all commits are indexed; return False if that takes too long."""
        await self._sync_all(roots)
        with anyio.move_on_after(_SYNC_S) as scope:
            await run_all(partial(history.sync, completely=True) for history in histories)
        return not scope.cancelled_caught

    def _log(
        self, histories: Mapping[HistoryIndexer, Root], text: str, query: CommitQuery, limit: int, began: float
    ) -> Result:
        found: list[tuple[HistoryIndexer, CommitHit, bytes]] = []
        searched, is_ranked = 0, False
        notes: list[str] = []
        searchable: list[HistoryIndexer] = []
        refused: list[NoHistoryError] = []
        for history, root in histories.items():
            try:
                with history.snapshot() as snapshot:
                    below = query.below(str(history.path)).below(str(history.path.relative_to(root.spec.path)))
                    answer: LogAnswer = self._commits.log(snapshot, below, limit)
                    found += [(history, hit, snapshot.view.prefix) for hit in answer.hits]
            except NoHistoryError as error:
                refused.append(error)
                continue
            searchable.append(history)
            searched += answer.searched
            is_ranked |= answer.is_ranked
            notes += answer.notes
        if refused and not searchable:
            raise refused[0]
        notes += commit_log_responses.notes_on(searchable)
        notes += _notes_on_refused(refused)
        distinct: dict[bytes, tuple[HistoryIndexer, CommitHit, bytes]] = {}
        for entry in found:  # clones of a repository have the same commits
            distinct.setdefault(entry[1].commit.id, entry)
        ordered = list(distinct.values())
        if is_ranked:
            ordered.sort(key=lambda entry: -entry[1].score)
        elif len(searchable) > 1:
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
        by_history: dict[HistoryIndexer, list[tuple[dict[str, Any], bytes]]] = {}
        by_shown = {_root_entry(root): root for root in roots}
        for hit in result["hits"]:
            if (root := by_shown.get(hit["root"])) is not None:
                history, path = root.history_of(bytes_of_path(hit["path"]))
                by_history.setdefault(history, []).append((hit, path))
        with_notes(result, await catch_up_briefly(list(by_history)))
        await anyio.to_thread.run_sync(self._add_last_commits, by_history, result)

    @staticmethod
    def _add_last_commits(
        by_history: Mapping[HistoryIndexer, Sequence[tuple[dict[str, Any], bytes]]], result: Result
    ) -> None:
        notes: list[str] = []
        for history, hits in by_history.items():
            places = [(path, hit["symbol"] or "") for hit, path in hits]
            try:
                with history.snapshot() as snapshot:
                    found = last_commits(snapshot, places)
            except NoHistoryError as error:
                notes.append(error.message)
                continue
            for (hit, _), last in zip(hits, found, strict=True):
                hit["last_commit"] = commit_log_responses.last_commit_entry(last) if last else None
            notes += commit_log_responses.notes_on([history])
        with_notes(result, notes)
