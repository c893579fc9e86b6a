"""The methods of the protocol about the code graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio.to_thread

from codeindexd.daemon import graph_responses
from codeindexd.daemon.request_paths import path_below, path_of, paths_of
from codeindexd.daemon.server import Connection, Handler, Params, Result
from codeindexd.errors import UsageError
from codeindexd.roots import Root
from codeindexd.roots.supervisor import RootSupervisor
from codeindexd.scan.git_changes import Changes, changed_files
from codeindexd.search.graph.queries import Asked, GraphSearcher, Place


class GraphHandlers:
    """The handlers of the methods about the code graph: who uses what, and what files and roots define."""

    def __init__(self, roots: RootSupervisor, graph: GraphSearcher) -> None:
        self._roots = roots
        self._graph = graph

    def table(self) -> dict[str, Handler]:
        """Return the handler of every method."""
        return {
            "refs": self.refs,
            "callers": self.callers,
            "callees": self.callees,
            "impact": self.impact,
            "outline": self.outline,
            "map": self.map,
        }

    async def refs(self, params: Params, connection: Connection) -> Result:
        """Return the references to a definition."""
        roots, asked = await self._asked(params)
        found = await self._graph.refs(roots, asked, params["limit"], possible=params["possible"])
        return graph_responses.refs(_text_of(params), found)

    async def callers(self, params: Params, connection: Connection) -> Result:
        """Return the callers of a definition as a tree."""
        roots, asked = await self._asked(params)
        found = await self._graph.callers(roots, asked, params["depth"], params["limit"])
        return graph_responses.callers(_text_of(params), found)

    async def callees(self, params: Params, connection: Connection) -> Result:
        """Return what a definition calls as a tree."""
        roots, asked = await self._asked(params)
        found = await self._graph.callees(roots, asked, params["depth"], params["limit"])
        return graph_responses.callees(_text_of(params), found)

    async def impact(self, params: Params, connection: Connection) -> Result:
        """Return what a change of a definition, a file or a directory reaches, or with ``changed`` all changes."""
        notes: list[str] = []
        asked: list[Asked]
        roots: Sequence[Root]
        if params["changed"]:
            root = await self._roots.root_indexing(path_of(params["path"] or _first(params["roots"])))
            changes = await anyio.to_thread.run_sync(_changes, root)
            roots, asked = [root], [Place(root, path) for path in changes.paths]
            notes = changes.notes
        else:
            roots, target = await self._asked(params)
            asked = [target]
        found = await self._graph.impact(roots, asked, params["depth"], params["limit"])
        found.notes += notes
        return graph_responses.impact("changed" if params["changed"] else _text_of(params), found)

    async def outline(self, params: Params, connection: Connection) -> Result:
        """Return the definitions of a file as a tree."""
        return graph_responses.outline(await self._graph.outline(await self._place(params["path"])))

    async def map(self, params: Params, connection: Connection) -> Result:
        """Return the most central definitions below a path."""
        place = await self._place(params["path"])
        return graph_responses.code_map(await self._graph.map(place, params["tokens"]), place.path)

    async def _asked(self, params: Params) -> tuple[Sequence[Root], Asked]:
        """Return the roots to search, and the definition or place that a question about the graph names."""
        if params["path"]:
            place = await self._place(params["path"], params["line"], params["column"])
            return await self._roots.roots_indexing([path_of(params["path"])]), place
        if not (params["name"] or "").strip():
            raise UsageError("name and path are missing", hint="give the name of a definition, or a path and a line")
        return await self._roots.roots_indexing(paths_of(params["roots"])), params["name"]

    async def _place(self, path: Any, line: int | None = None, column: int | None = None) -> Place:
        root = await self._roots.root_indexing(path_of(path))
        return Place(root, path_below(root, path_of(path)), line, column)


def _changes(root: Root) -> Changes:
    """Return the indexed files of a root that differ from git's index. Blocking. Raises UsageError without one."""
    with root.catalog_snapshot() as snapshot:
        entries = [file.entry for file in snapshot.indexed_files()]
    found = changed_files(root.spec.raw, entries)
    if found is None:
        raise UsageError(
            f"{root.spec.path} is in no git repository with an index",
            hint="name the files instead: codeindex impact PATH",
        )
    return found


def _text_of(params: Params) -> str:
    """Return the definition or the place that a question about the graph names, as text."""
    if not params["path"]:
        return str(params["name"])
    return f"{params['path']}:{params['line']}" if params["line"] else str(params["path"])


def _first(roots: Sequence[Any] | None) -> Any:
    if not roots:
        raise UsageError("impact: changed needs a root", hint="give its path, or roots with one path")
    return roots[0]
