"""The methods about the history of lines, files and definitions: why, of, together."""

from __future__ import annotations

import math
import os
import shlex
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import msgspec
from msgspec import Struct

from codeindexd.analysis.history.location import GitLocation, locate
from codeindexd.analysis.history.refs import Heads, read_heads
from codeindexd.daemon import history_answers as answers
from codeindexd.daemon.commit_log_handler import catch_up_briefly, own_repository, with_notes
from codeindexd.daemon.request_paths import path_below, path_of, paths_of
from codeindexd.daemon.server import Params, Result
from codeindexd.errors import (
    FailedError,
    NoHistoryError,
    NotIndexedError,
    UsageError,
)
from codeindexd.indexing import history_jobs, mailmaps
from codeindexd.indexing.history import HistoryIndexer
from codeindexd.indexing.history_requests import CopyAnswer, CopyRequest, LinesAnswer, LinesRequest, Repository
from codeindexd.indexing.history_status import HistoryPhase
from codeindexd.indexing.line_questions import LineAnswer, LineQuestion
from codeindexd.roots import Root
from codeindexd.roots.supervisor import RootSupervisor
from codeindexd.scan.ignore.builtin import FINAL
from codeindexd.search.graph.queries import GraphSearcher, Place, ShownDefinition
from codeindexd.search.history import changes
from codeindexd.search.history.changes import Addition, TogetherDefinitions, TouchedDefinition
from codeindexd.workers.pool import WorkerPool

T = TypeVar("T")
_MOST_COPIES = 20  # that one file is followed through
_MOST_KNOWN_COPIES = 10_000
_COPY_S = 5.0
_MOST_DEFINITIONS = 5  # of one name, whose histories are shown together


class _Git(Struct, frozen=True):
    """The repository of a file, as it is now, and the path of the file in it."""

    location: GitLocation
    heads: Heads
    path: bytes


class HistoryQuestions:
    """The handlers of these methods. Their parameters arrive validated and complete."""

    def __init__(self, roots: RootSupervisor, graph: GraphSearcher, pool: WorkerPool) -> None:
        self._roots = roots
        self._graph = graph
        self._pool = pool
        self._copies: dict[Addition, bytes] = {}

    def table(self) -> dict[str, Callable[[Params, Any], Awaitable[Result]]]:
        """Return the handler of every method."""
        return {"history.why": self.why, "history.of": self.of, "history.together": self.together}

    async def why(self, params: Params, connection: Any) -> Result:
        """Return the commits from which lines of a file come, and earlier changes of the definition around them."""
        started = time.perf_counter()
        root, path = await self._file(params["path"])
        first = params["line"]
        last = max(first, params["last_line"] or first)
        definition = await self._definition_at(root, path, first)
        limit = params["limit"]
        around = answers.extent_of(definition) if definition is not None else (first, last)
        lines = {"first": first, "last": last}
        changed = {"changed_first": around[0], "changed_last": around[1], "limit": limit} if limit else {}
        history, below = root.history_of(path)
        if definition is None or history.status().phase is not HistoryPhase.COMPLETE:
            found, earlier = await self._ask(root, path, **lines, **changed), None
        else:
            found = await self._ask(root, path, **lines)
            name = definition.target.definition.qualified
            earlier = await anyio.to_thread.run_sync(partial(_earlier, history, below, name, found, limit))
            if earlier is None:  # the index has the definition under another name
                found = await self._ask(root, path, **lines, **changed)
        return answers.why(root, path, (first, last), definition, found, earlier, took_s=time.perf_counter() - started)

    async def of(self, params: Params, connection: Any) -> Result:
        """Return the commits that changed a file, a directory or a definition, newest first."""
        behind = await self._catch_up_briefly(params)
        return with_notes(await self._of(params), behind)

    async def _of(self, params: Params) -> Result:
        """Return the commits that changed a path, the definition at a line of it, or the definitions of a name."""
        started = time.perf_counter()
        limit = params["limit"]
        if params["path"]:
            root, path = await self._file(params["path"])
            if not params["line"]:
                history, below = await anyio.to_thread.run_sync(_history_of, root, path)
                result = await self._of_path(history, below, limit, started)
                notes = [] if result["commits"] else await anyio.to_thread.run_sync(_notes_on_uncommitted, root, path)
                return with_notes(result, notes)
            definition = await self._definition_at(root, path, params["line"])
            if definition is None:
                raise UsageError(
                    f"there is no definition at line {params['line']} of {os.fsdecode(path)}",
                    hint=f"for the line itself: codeindex why {shlex.quote(os.fsdecode(path))}:{params['line']}",
                )
            definitions, similar = [definition], list[str]()
        else:
            definitions, similar = await self._definitions_named(params)
        if not definitions:
            touched = await self._touched(params, limit)
            if not touched and (removed := await self._removed_path(params)) is not None:
                return await self._of_path(*removed, limit, started)
            return answers.of_former(params["name"], touched, similar, took_s=time.perf_counter() - started)
        histories = await _gather_answers(
            partial(self._history_of, definition, limit) for definition in definitions[:_MOST_DEFINITIONS]
        )
        return answers.of_definitions(
            params["name"] or "",
            histories,
            limit=limit,
            left_out=len(definitions) - len(histories),
            took_s=time.perf_counter() - started,
        )

    async def _of_path(self, history: HistoryIndexer, path: bytes, limit: int, started: float) -> Result:
        """Return the commits that changed a path, followed through renames and copies."""
        copies: dict[Addition, bytes] = {}
        notes: list[str] = []
        while True:
            found = await anyio.to_thread.run_sync(changes.of_path, history, path, limit, copies)
            new = next((addition for addition in found.additions if addition not in copies), None)
            if new is None or len(copies) == _MOST_COPIES:
                break
            copies[new] = await self._copied_from(history, new, notes)
        return with_notes(answers.of_path(history.path, path, found, took_s=time.perf_counter() - started), notes)

    async def _copied_from(self, history: HistoryIndexer, addition: Addition, notes: list[str]) -> bytes:
        """Return the path of which an added file is a copy, b"" for none; if that cannot be said, add a note."""
        if addition in self._copies:
            return self._copies[addition]
        try:
            location = await anyio.to_thread.run_sync(locate, history.path)
            heads = await anyio.to_thread.run_sync(read_heads, location)
            request = CopyRequest(Repository.of(location, heads), *addition)
            answer = CopyAnswer(is_known=False)
            with anyio.move_on_after(_COPY_S):  # bulk work may come first
                answer = await history_jobs.ask(self._pool, request, CopyAnswer, about=history.path)
        except (NoHistoryError, FailedError):  # objects are missing
            answer = CopyAnswer(is_known=False)
        if not answer.is_known:
            shown = os.fsdecode(addition.path)
            notes.append(f"whether {shown} began as a copy of another file could not be found out")
            return b""
        if len(self._copies) >= _MOST_KNOWN_COPIES:
            self._copies.clear()
        self._copies[addition] = answer.path
        return answer.path

    async def together(self, params: Params, connection: Any) -> Result:
        """Return what usually changes together with a file or a definition."""
        behind = await self._catch_up_briefly(params)
        return with_notes(await self._together(params), behind)

    async def _together(self, params: Params) -> Result:
        started = time.perf_counter()
        limit = params["limit"]
        if params["path"]:
            root, path = await self._file(params["path"])
            history, below = await anyio.to_thread.run_sync(_history_of, root, path)
            if not below:
                what = "root" if history is root.history else "repository"
                raise UsageError(
                    f"{history.path} is the whole {what}, so nothing else changes with it",
                    hint="ask about a file or a directory in it",
                )
            return await _together_with_path(history, below, limit, started)
        histories = await self._histories_asked_by_name(params)
        for history, found in await _gather_answers(
            partial(_together_with_definition, history, params["name"]) for history in histories
        ):
            if found is not None:
                return answers.together_with_definition(
                    history.path, params["name"], found, limit=limit, took_s=time.perf_counter() - started
                )
        if (removed := await self._removed_path(params)) is not None:
            return await _together_with_path(*removed, limit, started)
        _, similar = await self._definitions_named(params)
        return answers.together_with_nothing(params["name"], similar, took_s=time.perf_counter() - started)

    # steps

    async def _catch_up_briefly(self, params: Params) -> list[str]:
        """Wait briefly for new commits of the roots of a question; return notes on those that are missing."""
        if params["path"]:
            root, path = await self._file(params["path"])
            return await catch_up_briefly([root.history_of(path)[0]])
        return await catch_up_briefly(await self._histories_asked_by_name(params))

    async def _file(self, raw: Any) -> tuple[Root, bytes]:
        path = path_of(raw)
        root = await self._roots.root_indexing(path)
        return root, path_below(root, path)

    async def _definition_at(self, root: Root, path: bytes, line: int) -> ShownDefinition | None:
        try:
            found = await self._graph.definitions([root], Place(root, path, line))
        except (NotIndexedError, UsageError):  # text without definitions, or a line outside them
            return None
        return found.targets[0] if found.targets else None

    async def _roots_asked_by_name(self, params: Params) -> list[Root]:
        """Return the roots that a question about a name asks. Raises UsageError without a name."""
        if not (params["name"] or "").strip():
            raise UsageError("name and path are missing", hint="give the name of a definition, or a path")
        return await self._roots.roots_indexing(paths_of(params["roots"]))

    async def _histories_asked_by_name(self, params: Params) -> list[HistoryIndexer]:
        """Return the histories of these roots and of the repositories in them, as far as there are any."""
        histories = [history for root in await self._roots_asked_by_name(params) for history in root.histories]
        return [history for history in histories if history.is_available] or histories[:1]

    async def _definitions_named(self, params: Params) -> tuple[list[ShownDefinition], list[str]]:
        found = await self._graph.definitions(await self._roots_asked_by_name(params), params["name"])
        return found.targets, found.similar

    async def _history_of(self, definition: ShownDefinition, limit: int) -> answers.DefinitionHistory:
        root, path = definition.root, definition.target.file.path
        assert isinstance(root, Root)
        first, last = answers.extent_of(definition)
        found = await self._ask(
            root,
            path,
            changed_first=first,
            changed_last=last,
            limit=limit,
        )
        return answers.DefinitionHistory(root, definition, found)

    async def _touched(self, params: Params, limit: int) -> list[tuple[Path, list[TouchedDefinition]]]:
        """Return the commits that touched a definition that no longer exists, by the places of their histories."""
        histories = await self._histories_asked_by_name(params)
        every = await _gather_answers(
            partial(_commits_that_touched, history, params["name"], limit) for history in histories
        )
        return [(history.path, touched) for history, touched in every if touched]

    async def _removed_path(self, params: Params) -> tuple[HistoryIndexer, bytes] | None:
        """Return the file or directory that a name means although it is gone: one that some commit changed.

        It is looked for where the roots of the question are, or the directories in them that were given instead.
        """
        roots = await self._roots.roots_indexing(paths_of(params["roots"]))
        places = paths_of(params["roots"]) or [root.spec.path for root in roots]
        for place in places:
            try:
                root, path = await self._file(place / params["name"])
                history, below = root.history_of(path)
                is_known = await anyio.to_thread.run_sync(changes.is_known_path, history, below)
            except (NotIndexedError, ValueError):  # an absolute path elsewhere, or a name that cannot be one
                continue
            except NoHistoryError:  # that of another root may know it
                continue
            if is_known:
                return history, below
        return None

    async def _ask(self, root: Root, path: bytes, **lines: int) -> LineAnswer:
        """Ask a worker a question about lines, and return its answer. Raises what it refuses, and FailedError."""
        await anyio.to_thread.run_sync(_check_readable, root, path)
        git = await anyio.to_thread.run_sync(_repository_of, root, path)
        if git.location.top is None:
            raise NoHistoryError(
                f"{root.spec.path} is in a bare repository, so no files are checked out in it",
                hint="add one of its worktrees instead: codeindex add PATH",
            )
        history, _ = root.history_of(path)
        database = await anyio.to_thread.run_sync(history.database)
        question = LineQuestion(root.spec.raw, path, os.fsencode(git.location.top), git.path, **lines)
        request = LinesRequest(
            Repository.of(git.location, git.heads), os.fsencode(database) if database is not None else b"", question
        )
        # without an index it may take long, and the worker for urgent jobs has to be free for saved files
        is_quick = history.status().phase is HistoryPhase.COMPLETE
        about = root.spec.path / os.fsdecode(path)
        answer = (await history_jobs.ask(self._pool, request, LinesAnswer, about=about, urgent=is_quick)).answer
        mailmap = await anyio.to_thread.run_sync(mailmaps.SHARED.of_work_tree, git.location.top)
        return msgspec.structs.replace(answer, commits=[mailmap.commit(commit) for commit in answer.commits])


async def _gather_answers(questions: Iterable[Callable[[], Awaitable[T]]]) -> list[T]:
    """Return the answers to questions about several histories, without those of roots that have none.

    Raises NoHistoryError if there are questions, and none has an answer.
    """
    found: list[T] = []
    refused: list[NoHistoryError] = []
    for question in questions:
        try:
            found.append(await question())
        except NoHistoryError as error:
            refused.append(error)
    if refused and not found:
        raise refused[0]
    return found


async def _together_with_path(history: HistoryIndexer, path: bytes, limit: int, started: float) -> Result:
    files = await anyio.to_thread.run_sync(changes.together_with_path, history, path)
    return answers.together_with_path(history.path, path, files, limit=limit, took_s=time.perf_counter() - started)


async def _together_with_definition(
    history: HistoryIndexer, name: str
) -> tuple[HistoryIndexer, TogetherDefinitions | None]:
    return history, await anyio.to_thread.run_sync(changes.together_with_definition, history, name)


async def _commits_that_touched(
    history: HistoryIndexer, name: str, limit: int
) -> tuple[HistoryIndexer, list[TouchedDefinition]]:
    return history, await anyio.to_thread.run_sync(changes.of_name, history, name, limit)


def _notes_on_uncommitted(root: Root, path: bytes) -> list[str]:
    """Return a note on a path that exists although no commit has it. Blocking."""
    if not os.path.lexists(root.spec.path / os.fsdecode(path)):
        return []
    return ["it is there, but not committed; if it was renamed, it has its history once the rename is committed"]


def _check_readable(root: Root, path: bytes) -> None:
    """Raise UsageError for a file that is never read, such as one with credentials. Blocking."""
    try:
        verdict = root.exclusion_of(path)
    except OSError as error:
        raise FailedError(
            f"the ignore rules of {root.spec.path} cannot be read: {error.strerror}", hint="check the permissions"
        ) from error
    if verdict is not None and verdict.reason in FINAL:
        shown = os.fsdecode(path)
        raise UsageError(
            f"{shown} is never read: {verdict.reason} ({verdict.rule})", hint="for its lines, ask git: git blame PATH"
        )


def _repository_of(root: Root, path: bytes) -> _Git:
    """Return the repository of a file, perhaps a submodule of its root. Blocking. Raises NoHistoryError."""
    directory, _, name = path.rpartition(b"/")
    location = locate(root.spec.path / os.fsdecode(directory))
    return _Git(location, read_heads(location), location.prefix + name)


def _earlier(
    history: HistoryIndexer, path: bytes, name: str, found: LineAnswer, limit: int
) -> tuple[list[TouchedDefinition], bool] | None:
    """Return the earlier commits that the indexed history knows of a definition; None if it cannot say. Blocking."""
    times = [commit.commit_time for commit in found.commits]
    return changes.of_definition(
        history,
        path,
        name,
        older_than=max(times, default=math.inf),
        without={commit.id for commit in found.commits},
        limit=limit,
    )


def _history_of(root: Root, path: bytes) -> tuple[HistoryIndexer, bytes]:
    """Return the history that has a path of a root, and the path below its directory. Blocking.

    The directory of a submodule has a history in the repository around it: of the commits that were checked out in it.
    Raises NoHistoryError if a path is in a repository inside the root whose history is not known.
    """
    history, below = root.history_of(path)
    around, outer = root.history_of(path.rpartition(b"/")[0])
    if not below and history is not root.history and around is not history:
        whole = b"/".join(filter(None, [outer, path.rpartition(b"/")[2]]))
        if _knows(around, whole):
            return around, whole
    place = root.spec.path / os.fsdecode(path)
    own = own_repository(history, place)
    if own is None:
        return history, below
    top = own.top or own.git_dir
    if top == Path(os.path.realpath(place)) and _knows(history, below):
        return history, below
    inside = os.path.relpath(os.path.realpath(place), top)
    too_many = f"{root.spec.path} has more repositories inside than are read, so ask git"
    raise NoHistoryError(
        f"{place} is in a repository of its own, {top}, whose commits are not indexed",
        hint=f"{too_many if root.histories_left_out else 'try again in a moment, or ask git'}: "
        f"git -C {shlex.quote(str(top))} log {shlex.quote(inside)}; for a line: codeindex why PATH:LINE",
    )


def _knows(history: HistoryIndexer, path: bytes) -> bool:
    """Return True if a history knows a path. Blocking."""
    try:
        return changes.is_known_path(history, path)
    except NoHistoryError:
        return False
