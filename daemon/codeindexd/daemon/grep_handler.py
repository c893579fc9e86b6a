"""The method ``grep`` of the protocol: exact search, in one answer or streamed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import anyio.to_thread
from msgspec.structs import replace

from codeindexd.daemon import encoding, grep_responses, not_searched
from codeindexd.daemon.request_paths import follow_links, path_below, paths_of
from codeindexd.daemon.server import Connection, Params, Result
from codeindexd.daemon.synchronizer import Synchronizer
from codeindexd.errors import InvalidQueryError, UsageError
from codeindexd.protocol.methods import MAX_LINES
from codeindexd.roots import Root
from codeindexd.roots.supervisor import RootSupervisor
from codeindexd.search.grep import SHOWN_LINE_BYTES, GrepRequest
from codeindexd.search.grep_stream import Found, GrepStream
from codeindexd.search.line_matcher import LineMatcher
from codeindexd.search.query import language_filter, split_globs
from codeindexd.search.searcher import Searcher

# of an answer that is not streamed
_LIMIT = 1000  # lines
_BUDGET_S = 10.0


class GrepHandler:
    """The handler of ``grep``."""

    def __init__(self, roots: RootSupervisor, searcher: Searcher, synchronizer: Synchronizer) -> None:
        self._roots = roots
        self._searcher = searcher
        self._synchronizer = synchronizer

    async def grep(self, params: Params, connection: Connection) -> Result:
        """Return the lines that match a pattern, read from the disk; with ``stream``, send them as they are found."""
        request = _request(params)
        paths = [await follow_links(self._roots, path) for path in paths_of(params["roots"]) or []]
        roots = await self._roots.roots_indexing(paths)
        places = [(await self._roots.root_indexing(path), path) for path in paths]
        await anyio.to_thread.run_sync(not_searched.check_existence, places)
        if params["sync"]:
            await self._synchronizer.sync_before_search(roots, named=bool(params["roots"]))
        below = _paths_by_root(places)
        requests = [(root, replace(request, below=below.get(root.spec.id, []))) for root in roots]
        # before the search, which may take long enough for a root to be removed
        unsearched = await anyio.to_thread.run_sync(not_searched.places_not_searched, places)
        if params["stream"]:
            stream = await self._stream(params, requests, connection)
            unavailable = not_searched.unavailable_roots(self._roots, roots, named=bool(params["roots"]))
            return grep_responses.grep_end(params, stream, unavailable=unavailable, unsearched=unsearched)
        found = await self._searcher.grep(requests)
        limit = params["limit"] or _LIMIT
        unavailable = not_searched.unavailable_roots(self._roots, roots, named=bool(params["roots"]))
        return grep_responses.grep_answer(params, found, limit=limit, unavailable=unavailable, unsearched=unsearched)

    async def _stream(
        self, params: Params, requests: Sequence[tuple[Root, GrepRequest]], connection: Connection
    ) -> GrepStream:
        """Send what ``grep`` finds in parts, and return the search once all of it is sent."""
        counted, request_id = grep_responses.is_counted(params), connection.request_id

        def encode(found: Sequence[Found]) -> bytes:
            part = {"request": request_id, **grep_responses.grep_entries(found, counted=counted)}
            return encoding.notification("grep", part)

        stream = self._searcher.grep_stream(
            requests, counted=counted, limit=params["limit"], budget_s=params["budget_s"] or math.inf
        )
        await stream.run(encode, connection.send_part)
        return stream


def _request(params: Params) -> GrepRequest:
    """Return the request for whole roots. Raises UsageError and InvalidQueryError."""
    if not params["stream"] and (params["limit"] or 0) > MAX_LINES:
        raise UsageError(
            f"grep: limit must be 1 to {MAX_LINES}", hint="with stream, an answer may have any number of lines"
        )
    if not params["stream"] and (params["max_line_bytes"] or 0) > SHOWN_LINE_BYTES:
        raise UsageError(
            f"grep: max_line_bytes must be 400 to {SHOWN_LINE_BYTES}", hint="with stream, lines may be of any length"
        )
    others = params["others"] or []
    if params["fixed"] and any("\n" in pattern for pattern in (params["pattern"], *others)):
        raise InvalidQueryError(
            "the text has a line end, but lines are searched one by one", hint="look for one line, without its end"
        )
    matcher = LineMatcher(
        params["pattern"],
        others=others,
        fixed=params["fixed"],
        ignore_case=params["ignore_case"],
        word=params["word"],
        whole_line=params["whole_line"],
    )
    include, exclude = split_globs(params["path"] or [])
    language, languages_left_out = language_filter(params["language"] or "")
    return GrepRequest(
        matcher,
        include=include,
        exclude=exclude,
        language=language or None,
        languages_left_out=languages_left_out,
        before=params["before"] or params["context"],
        after=params["after"] or params["context"],
        max_count=params["max_count"],
        limit=0 if grep_responses.is_counted(params) else params["limit"] or _LIMIT,
        names_only=params["files_only"],
        every_match=params["every_match"],
        invert=params["invert"],
        files_without=params["files_without"],
        max_line_bytes=params["max_line_bytes"] or SHOWN_LINE_BYTES,
        budget_s=params["budget_s"] or _BUDGET_S,
    )


def _paths_by_root(places: Sequence[tuple[Root, Path]]) -> dict[str, list[bytes]]:
    """Return paths relative to their roots, by root id; an empty list means the whole root."""
    found: dict[str, list[bytes]] = {}
    for root, path in places:
        found.setdefault(root.spec.id, []).append(path_below(root, path))
    return {identity: [] if b"" in below else below for identity, below in found.items()}
