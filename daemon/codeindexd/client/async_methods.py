"""The methods of the protocol as asynchronous calls. tests/generate_client.py makes ``methods`` from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from codeindexd.client import core
from codeindexd.client.core import PathLike, Paths

if TYPE_CHECKING:
    from codeindexd.client import results
    from codeindexd.client.async_grep_stream import AsyncGrepStream


class AsyncMethods:
    """All methods of the protocol; subclasses implement the transport."""

    async def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Send a request and return its result. Raises the errors of ``codeindexd.errors``."""
        raise NotImplementedError

    async def _call_with_progress(
        self, method: str, params: Mapping[str, Any], on_progress: Callable[[results.Progress], None]
    ) -> Any:
        """Send a request and return its result. Calls ``on_progress`` in the meantime, then unsubscribes."""
        raise NotImplementedError

    def _grep_stream(self, params: Mapping[str, Any]) -> AsyncGrepStream:
        """Return the results of ``grep`` with these parameters as a stream."""
        raise NotImplementedError

    async def _call_following(
        self, method: str, params: Mapping[str, Any], on_progress: Callable[[results.Progress], None] | None
    ) -> Any:
        if on_progress is None:
            return await self.call(method, params)
        return await self._call_with_progress(method, {**params, "progress": True}, on_progress)

    # roots

    async def add(
        self,
        path: PathLike,
        *,
        wait: bool = True,
        force: bool = False,
        workers: int | None = None,
        on_progress: Callable[[results.Progress], None] | None = None,
    ) -> results.RootsResult:
        """Index the directory ``path`` and keep its index fresh.

        Returns when it is fresh, or at once if ``wait`` is False. While waiting, ``on_progress`` is called several
        times a second. ``workers`` sets the number of worker processes (0: a single one, one file after the other;
        None: unchanged). ``force`` permits even the home directory and ``/``.
        """
        params = {"path": core.absolute(path), "force": force, "workers": workers, "wait": wait}
        return cast(
            "results.RootsResult", await self._call_following("roots.add", params, on_progress if wait else None)
        )

    async def remove(self, path: PathLike) -> results.RemoveResult:
        """Remove the root ``path`` and delete its index."""
        return cast("results.RemoveResult", await self.call("roots.remove", {"path": core.absolute(path)}))

    async def roots(self) -> results.RootsResult:
        """Return all roots."""
        return cast("results.RootsResult", await self.call("roots.list", {}))

    async def reindex(
        self,
        path: PathLike,
        *,
        wait: bool = False,
        on_progress: Callable[[results.Progress], None] | None = None,
    ) -> results.RootsResult:
        """Process every file of a root again; vectors are reused.

        Returns at once, or with ``wait`` when the root is fresh again. While waiting, ``on_progress`` is called several
        times a second.
        """
        params = {"path": core.absolute(path), "wait": wait}
        return cast("results.RootsResult", await self._call_following("reindex", params, on_progress if wait else None))

    async def pause(self, path: PathLike) -> results.RootsResult:
        """Stop indexing a root until :meth:`resume`."""
        return cast("results.RootsResult", await self.call("pause", {"path": core.absolute(path)}))

    async def resume(self, path: PathLike) -> results.RootsResult:
        """Continue indexing a root."""
        return cast("results.RootsResult", await self.call("resume", {"path": core.absolute(path)}))

    # queries

    async def search(
        self,
        query: str,
        *,
        roots: Paths | None = None,
        limit: int | None = None,
        language: str | None = None,
        path: str | Iterable[str] | None = None,
        kind: str | None = None,
        sync: bool = False,
        explain: bool = False,
        level: str = "chunk",
        last_commit: bool = False,
    ) -> results.SearchResult:
        """Return the chunks that match ``query`` best, from the roots that contain ``roots`` (None: all roots).

        ``path`` is a glob or several; a glob that begins with ``!`` excludes. ``limit`` is the number of hits (None: as
        configured); ``explain`` adds the parts of each score, ``last_commit`` the last commit of each hit's definition
        or file. With ``sync``, the answer includes every change made before the call. With the ``level`` ``file`` or
        ``directory``, the answer has ``groups``: the best ones, each with its best hits.
        """
        params = {
            "query": query,
            "roots": core.absolute_all(roots),
            "limit": limit,
            "language": language,
            "path": core.texts(path),
            "kind": kind,
            "sync": sync,
            "explain": explain,
            "level": level,
            "last_commit": last_commit,
        }
        return cast("results.SearchResult", await self.call("search", params))

    async def grep(
        self,
        pattern: str,
        *,
        others: Iterable[str] = (),
        roots: Paths | None = None,
        path: Iterable[str] | None = None,
        language: str | None = None,
        fixed: bool = False,
        ignore_case: bool = False,
        word: bool = False,
        whole_line: bool = False,
        invert: bool = False,
        before: int = 0,
        after: int = 0,
        max_count: int | None = None,
        limit: int | None = None,
        files_only: bool = False,
        files_without: bool = False,
        count: bool = False,
        every_match: bool = False,
        sync: bool = False,
    ) -> results.GrepResult:
        """Return all lines that match ``pattern``, a regex in RE2's syntax, or with ``fixed`` a plain text.

        Lines that match one of ``others`` count, too. With ``word`` and ``whole_line``, a match must be whole words or
        the whole line; ``invert`` looks for the lines that do not match. ``count``, ``files_only`` and
        ``files_without`` return files instead of lines: those that have such lines, or have none.

        Searches the files and directories in ``roots`` (None: all roots), restricted to the globs in ``path``; a glob
        that begins with ``!`` excludes. ``max_count`` limits the lines of each file, ``limit`` the lines of the answer.
        ``before`` and ``after`` are numbers of context lines. Lines of more than 4 KiB are cut around their first
        match, and have ``cut``.
        """
        params = core.grep_params(
            pattern,
            roots,
            path,
            others=core.texts(others),
            language=language,
            fixed=fixed,
            ignore_case=ignore_case,
            word=word,
            whole_line=whole_line,
            invert=invert,
            before=before,
            after=after,
            max_count=max_count,
            limit=limit,
            files_only=files_only,
            files_without=files_without,
            count=count,
            every_match=every_match,
            sync=sync,
        )
        return cast("results.GrepResult", await self.call("grep", params))

    def grep_stream(
        self,
        pattern: str,
        *,
        others: Iterable[str] = (),
        roots: Paths | None = None,
        path: Iterable[str] | None = None,
        language: str | None = None,
        fixed: bool = False,
        ignore_case: bool = False,
        word: bool = False,
        whole_line: bool = False,
        invert: bool = False,
        before: int = 0,
        after: int = 0,
        max_count: int | None = None,
        limit: int | None = None,
        files_only: bool = False,
        files_without: bool = False,
        count: bool = False,
        every_match: bool = False,
        max_line_bytes: int | None = None,
        sync: bool = False,
    ) -> AsyncGrepStream:
        """Return an iterator that yields the lines that match ``pattern`` as they are found.

        The parameters are those of :meth:`grep`; without ``limit``, there is no bound, and lines are cut if they have
        more than ``max_line_bytes`` (None: 4 KiB). The iterator has its own connection, so other calls can be made
        meanwhile.
        """
        params = core.grep_params(
            pattern,
            roots,
            path,
            others=core.texts(others),
            language=language,
            fixed=fixed,
            ignore_case=ignore_case,
            word=word,
            whole_line=whole_line,
            invert=invert,
            before=before,
            after=after,
            max_count=max_count,
            limit=limit,
            files_only=files_only,
            files_without=files_without,
            count=count,
            every_match=every_match,
            max_line_bytes=max_line_bytes,
            sync=sync,
        )
        return self._grep_stream(params)

    async def related(
        self, root: PathLike, path: PathLike, line: int, *, limit: int | None = None
    ) -> results.SearchResult:
        """Return code similar to the code at ``line`` of ``path``, which is relative to ``root``."""
        params = {"root": core.absolute(root), "path": core.relative_name(path), "line": line, "limit": limit}
        return cast("results.SearchResult", await self.call("related", params))

    async def related_to(self, path: PathLike, line: int, *, limit: int | None = None) -> results.SearchResult:
        """Return code similar to the code at ``line`` of ``path``, from the root that contains it.

        Raises NotIndexedError if no root does.
        """
        root, name = core.split_at_root(path, [root["path"] for root in (await self.roots())["roots"]])
        return await self.related(root, name, line, limit=limit)

    async def symbol(
        self,
        name: str,
        *,
        roots: Paths | None = None,
        references: bool = False,
        language: str | None = None,
        path: str | Iterable[str] | None = None,
        kind: str | None = None,
        limit: int | None = None,
    ) -> results.SymbolResult:
        """Return where ``name`` is defined, and with ``references`` where it is used.

        ``language``, ``path`` and ``kind`` filter the definitions as those of :meth:`search` do.
        """
        params = {
            "name": name,
            "roots": core.absolute_all(roots),
            "references": references,
            "language": language,
            "path": core.texts(path),
            "kind": kind,
            "limit": limit,
        }
        return cast("results.SymbolResult", await self.call("symbol", params))

    # the code graph

    async def refs(
        self,
        name: str | None = None,
        *,
        path: PathLike | None = None,
        line: int | None = None,
        column: int | None = None,
        roots: Paths | None = None,
        limit: int = 100,
        possible: bool = False,
    ) -> results.RefsResult:
        """Return the references to the definition ``name``, or to the one at ``line`` (and ``column``) of ``path``.

        With ``possible``, also places where only the name is equal and other definitions of it are as likely.
        """
        params = core.graph_params(name, path, line, column, roots)
        return cast("results.RefsResult", await self.call("refs", {**params, "limit": limit, "possible": possible}))

    async def callers(
        self,
        name: str | None = None,
        *,
        path: PathLike | None = None,
        line: int | None = None,
        column: int | None = None,
        roots: Paths | None = None,
        depth: int = 1,
        limit: int = 100,
    ) -> results.CallersResult:
        """Return the definitions that call ``name``, or the definition at ``line`` of ``path``, as a tree."""
        params = core.graph_params(name, path, line, column, roots)
        return cast("results.CallersResult", await self.call("callers", {**params, "depth": depth, "limit": limit}))

    async def callees(
        self,
        name: str | None = None,
        *,
        path: PathLike | None = None,
        line: int | None = None,
        column: int | None = None,
        roots: Paths | None = None,
        depth: int = 1,
        limit: int = 100,
    ) -> results.CalleesResult:
        """Return the definitions that ``name`` calls, or the definition at ``line`` of ``path``, as a tree."""
        params = core.graph_params(name, path, line, column, roots)
        return cast("results.CalleesResult", await self.call("callees", {**params, "depth": depth, "limit": limit}))

    async def impact(
        self,
        name: str | None = None,
        *,
        path: PathLike | None = None,
        line: int | None = None,
        column: int | None = None,
        changed: bool = False,
        roots: Paths | None = None,
        depth: int = 4,
        limit: int = 100,
    ) -> results.ImpactResult:
        """Return what a change of a definition, a file or a directory reaches.

        With ``changed``, the change is every file in the root around ``path`` that differs from git's index.
        """
        params = core.graph_params(name, path, line, column, roots)
        params |= {"changed": changed, "depth": depth, "limit": limit}
        return cast("results.ImpactResult", await self.call("impact", params))

    async def outline(self, path: PathLike) -> results.OutlineResult:
        """Return the definitions of a file as a tree."""
        return cast("results.OutlineResult", await self.call("outline", {"path": core.absolute(path)}))

    async def map(self, path: PathLike, *, tokens: int = 1000) -> results.MapResult:
        """Return the most central definitions at or below ``path``, in a text of about ``tokens`` tokens at most."""
        return cast("results.MapResult", await self.call("map", {"path": core.absolute(path), "tokens": tokens}))

    # history

    async def why(
        self, path: PathLike, line: int, *, last_line: int | None = None, limit: int = 5
    ) -> results.WhyResult:
        """Return the commits from which the lines ``line`` to ``last_line`` of a file come, and what they say.

        Also returns at most ``limit`` earlier commits that changed the definition around ``line``.
        """
        params = {"path": core.absolute(path), "line": line, "last_line": last_line, "limit": limit}
        return cast("results.WhyResult", await self.call("history.why", params))

    async def history(
        self,
        name: str | None = None,
        *,
        path: PathLike | None = None,
        line: int | None = None,
        roots: Paths | None = None,
        limit: int = 20,
    ) -> results.HistoryResult:
        """Return the commits that changed a file, a directory or a definition, newest first.

        A definition is given by its ``name``, or by a ``path`` and a ``line``. Renames of files are followed.
        """
        params = core.graph_params(name, path, line, None, roots)
        return cast("results.HistoryResult", await self.call("history.of", {**params, "limit": limit}))

    async def together(
        self,
        name: str | None = None,
        *,
        path: PathLike | None = None,
        roots: Paths | None = None,
        limit: int = 20,
    ) -> results.TogetherResult:
        """Return what usually changes in the same commits as a file, a directory or a definition."""
        params = {"name": name, "path": core.absolute_or_none(path), "roots": core.absolute_all(roots), "limit": limit}
        return cast("results.TogetherResult", await self.call("history.together", params))

    # freshness and health

    # the history

    async def log(
        self,
        query: str = "",
        *,
        roots: Paths | None = None,
        limit: int | None = None,
        sync: bool = False,
    ) -> results.LogResult:
        """Return the commits that match ``query`` best, or without one the newest, of the roots that contain ``roots``.

        A query may contain filters: ``author:ada since:2024 until:2w path:src/** touches:Client.get "phrase" /regex/
        #1234``, and ids or their beginnings. With ``sync``, the answer includes every commit made before the call.
        """
        params = {"query": query, "roots": core.absolute_all(roots), "limit": limit, "sync": sync}
        return cast("results.LogResult", await self.call("history.log", params))

    async def sync(
        self,
        path: PathLike | None = None,
        *,
        clock: str | None = None,
        timeout_s: float | None = None,
        on_progress: Callable[[results.Progress], None] | None = None,
    ) -> results.SyncResult:
        """Wait until every change made before the call can be searched, or with ``clock`` every change up to it.

        Waits for the root that contains ``path``, or for all roots. Meanwhile ``on_progress`` is called several times a
        second. With ``clock``, ``path`` and ``on_progress`` have no effect. Raises TimedOutError after ``timeout_s``
        seconds (None: 60).
        """
        params = {"path": core.absolute_or_none(path), "clock": clock, "timeout_s": timeout_s}
        return cast("results.SyncResult", await self._call_following("sync", params, on_progress))

    async def status(self, path: PathLike | None = None) -> results.StatusResult:
        """Return the health of the daemon, and of the root that contains ``path`` or of all roots."""
        return cast("results.StatusResult", await self.call("status", {"path": core.absolute_or_none(path)}))

    async def verify(
        self,
        path: PathLike | None = None,
        *,
        repair: bool = False,
        on_progress: Callable[[results.Progress], None] | None = None,
    ) -> results.VerifyResult:
        """Compare the index of one root or of all roots with the disk; with ``repair``, repair the differences.

        Meanwhile ``on_progress`` is called several times a second; ``activity`` in its argument is "verify", or "index"
        as long as the daemon first indexes earlier changes.
        """
        params = {"path": core.absolute_or_none(path), "repair": repair}
        return cast("results.VerifyResult", await self._call_following("verify", params, on_progress))

    async def explain(self, path: PathLike) -> results.ExplainResult:
        """Return why ``path`` is or is not indexed."""
        return cast("results.ExplainResult", await self.call("explain", {"path": core.absolute(path)}))

    # the daemon

    async def info(self) -> results.ServerInfo:
        """Return the daemon's version, process id, socket and installation."""
        return cast("results.ServerInfo", await self.call("server.info", {}))

    async def metrics(self) -> results.MetricsResult:
        """Return metrics as OpenMetrics text."""
        return cast("results.MetricsResult", await self.call("metrics", {}))

    async def shutdown(self) -> None:
        """Stop the daemon."""
        await self.call("shutdown", {})

    # notifications

    async def subscribe(self, roots: Paths | None = None) -> str:
        """Subscribe to progress, generations and states of ``roots`` (None: all); :meth:`notifications` yields them.

        Returns the clock at which the subscription begins.
        """
        return str((await self.call("subscribe", {"roots": core.absolute_all(roots)})).get("clock", ""))

    async def unsubscribe(self) -> None:
        """Receive no more notifications."""
        await self.call("unsubscribe", {})
