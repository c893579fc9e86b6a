"""Answers queries: prepare, pin snapshots, retrieve, confirm against the disk, merge."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import anyio
import anyio.to_thread

from codeindexd.analysis.embedding.base import Embedder
from codeindexd.analysis.tokens import Tokenizer
from codeindexd.errors import EmbedderError
from codeindexd.search import retrieve
from codeindexd.search.file_names import Embed
from codeindexd.search.grep import GrepRequest, GrepResult, grep_root
from codeindexd.search.hits import Hit, HitRequest, first_hits
from codeindexd.search.prepared_query import PreparedQuery, prepared
from codeindexd.search.query import ParsedQuery
from codeindexd.search.ranking import Ranked
from codeindexd.search.regexes import LineRegex
from codeindexd.search.searchable_root import SearchableRoot
from codeindexd.storage.resting import MOST_AWAKE
from codeindexd.storage.snapshot import Snapshot
from codeindexd.types import RootState
from codeindexd.waiting import run_all

_MAX_SYMBOL_HITS = 1000
_EMBED_TIMEOUT_S = 5.0
_BEST_TO_WORST = [RootState.FRESH, RootState.RECONCILING, RootState.INDEXING, RootState.PAUSED, RootState.DEGRADED]

Retrieve = Callable[["PinnedRoot"], list[Ranked]]


@dataclass(frozen=True, slots=True)
class Answer:
    """Hits, best first, and the state and clock of what was searched."""

    hits: list[Hit]
    state: RootState
    clock: str
    dense_coverage: float
    took_ms: float
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class GrepAnswer:
    """Matching lines by root, and the state and clock of what was searched."""

    results: list[tuple[SearchableRoot, GrepResult]]
    state: RootState
    clock: str
    took_ms: float


@dataclass(frozen=True, slots=True)
class PinnedRoot:
    """A root and the snapshot of it that one query runs on."""

    root: SearchableRoot
    snapshot: Snapshot


class Searcher:
    """Answers any number of queries at a time, each on its own snapshots."""

    def __init__(
        self, embedders: Mapping[str, Embedder], *, mask_secrets: bool, embed_names: Embed | None = None
    ) -> None:
        """``embedders`` by identity: every model whose vectors some root may answer from.

        ``embed_names`` compares names of files with questions; without it their meaning is not looked at.
        """
        self._embedders = embedders
        self._embed_names = embed_names
        self._mask_secrets = mask_secrets
        self._tokenizer = Tokenizer()

    async def search(self, roots: Sequence[SearchableRoot], parsed: ParsedQuery, limit: int) -> Answer:
        """Return the best ``limit`` chunks of ``roots``. Never waits for indexing, nor long for a slow embedder.

        Raises InvalidQueryError when a regex is too slow, FailedError when nothing can be read.
        """
        query, notes = await self._prepare(roots, parsed)
        return await self._answer(
            roots,
            lambda pinned: retrieve.matching_chunks(pinned.root, pinned.snapshot, query, limit, notes),
            HitRequest(limit, frozenset(query.terms.words), parsed.regexes, query.phrases, parsed.literals),
            notes,
        )

    async def related(self, root: SearchableRoot, path: bytes, line: int, limit: int) -> Answer:
        """Return the chunks most like the one at ``path`` and ``line``.

        Raises NotIndexedError if no chunk is there, FailedError when nothing can be read.
        """
        return await self._answer(
            [root], lambda pinned: retrieve.similar_chunks(pinned.snapshot, path, line, limit), HitRequest(limit), []
        )

    async def grep(self, requests: Sequence[tuple[SearchableRoot, GrepRequest]]) -> GrepAnswer:
        """Return every line that matches, of each root as its request says.

        Raises FailedError when nothing can be read.
        """
        started = time.perf_counter()
        wanted = {id(root): request for root, request in requests}

        def search_one(one: PinnedRoot) -> GrepResult:
            return grep_root(one.root, one.snapshot, wanted[id(one.root)], mask_secrets=self._mask_secrets)

        results: list[tuple[SearchableRoot, GrepResult]] = []
        searched = _Searched()
        for some in _parts([root for root, _ in requests]):
            async with _pinned(some) as part:
                found = await run_all(partial(anyio.to_thread.run_sync, search_one, one) for one in part.pinned)
                searched.add(part)
            results += zip((one.root for one in part.pinned), found, strict=True)
        return GrepAnswer(results, searched.state, searched.clock, (time.perf_counter() - started) * 1000)

    async def symbol(
        self, roots: Sequence[SearchableRoot], name: str, *, references: bool
    ) -> tuple[list[Hit], list[Hit], list[str]]:
        """Return the definitions of ``name``, with ``references`` the chunks that use it, and what could not be read.

        Raises FailedError when nothing can be read.
        """
        notes: list[str] = []
        definitions = await self._answer(
            roots,
            lambda pinned: retrieve.defining_chunks(pinned.snapshot, name),
            HitRequest(_MAX_SYMBOL_HITS, frozenset([name.lower()])),
            notes,
        )
        if not references:
            return definitions.hits, [], notes
        defining = {(id(hit.root), hit.chunk.chunk_id) for hit in definitions.hits}
        last_part = name.rpartition(".")[2]

        def using_chunks(pinned: PinnedRoot) -> list[Ranked]:
            return [
                ranked
                for ranked in retrieve.mentioning_chunks(pinned.snapshot, last_part, _MAX_SYMBOL_HITS)
                if (id(pinned.root), ranked.candidate.chunk_id) not in defining
            ]

        uses = await self._answer(roots, using_chunks, HitRequest(_MAX_SYMBOL_HITS), notes)
        return definitions.hits, [hit for hit in uses.hits if last_part in hit.snippet], list(dict.fromkeys(notes))

    async def _prepare(self, roots: Sequence[SearchableRoot], parsed: ParsedQuery) -> tuple[PreparedQuery, list[str]]:
        """Return the query with its terms and vectors, and notes on embedding failures."""
        query = prepared(parsed, _literal_words(parsed.regexes), self._tokenizer, self._embed_names)
        vectors = {}
        notes = list(parsed.notes)
        for identity in {root.query_model for root in roots} & self._embedders.keys():
            if not query.text:
                continue
            try:
                with anyio.fail_after(_EMBED_TIMEOUT_S):
                    vectors[identity] = await self._embedders[identity].embed_query(query.text)
            except (EmbedderError, TimeoutError) as error:
                notes.append(f"answered from text alone: {error or 'the embedding model did not answer in time'}")
        return replace(query, vectors=vectors), notes

    async def _answer(
        self,
        roots: Sequence[SearchableRoot],
        retrieve_from: Retrieve,
        request: HitRequest,
        notes: list[str],
    ) -> Answer:
        """Run one query on the current snapshots of ``roots``; what cannot be read is added to ``notes``."""
        started = time.perf_counter()
        hits: list[Hit] = []
        searched = _Searched()
        for some in _parts(roots):
            async with _pinned(some) as part:
                found = await self._hits_by_root(part.pinned, retrieve_from, request, notes)
                searched.add(part)
            hits = _merge([hits, *found], request.limit)
        return Answer(
            hits,
            searched.state,
            searched.clock,
            searched.dense_coverage,
            (time.perf_counter() - started) * 1000,
            list(notes),
        )

    async def _hits_by_root(
        self, pinned: Sequence[PinnedRoot], retrieve_from: Retrieve, request: HitRequest, notes: list[str]
    ) -> list[list[Hit]]:
        """Retrieve and confirm the hits of every root, each in its own thread; raise the first error."""

        def hits_of(one: PinnedRoot) -> list[Hit]:
            ranked = retrieve_from(one)
            return first_hits(one.root, one.snapshot, ranked, request, notes, mask_secrets=self._mask_secrets)

        return await run_all(partial(anyio.to_thread.run_sync, hits_of, one) for one in pinned)


def worst_state(roots: Iterable[SearchableRoot]) -> RootState:
    """Return the state that an answer from all of ``roots`` has."""
    return _worst({root.state for root in roots})


def _worst(states: Collection[RootState]) -> RootState:
    if RootState.MISSING in states:
        return RootState.MISSING
    return max(states, key=_BEST_TO_WORST.index, default=RootState.FRESH)


@dataclass(frozen=True, slots=True)
class _PinnedPart:
    """Some of the roots of a query, pinned, with their states at that moment."""

    roots: Sequence[SearchableRoot]
    pinned: Sequence[PinnedRoot]
    state: RootState


def _parts(roots: Sequence[SearchableRoot]) -> Iterator[Sequence[SearchableRoot]]:
    """Yield the roots of a query, few at a time: the open stores of a thousand would take all file descriptors."""
    return (roots[at : at + MOST_AWAKE] for at in range(0, len(roots), MOST_AWAKE))


@contextlib.asynccontextmanager
async def _pinned(roots: Sequence[SearchableRoot]) -> AsyncIterator[_PinnedPart]:
    """Pin the current snapshot of every root that has one, for the length of the block.

    States and snapshots are taken in one step of the event loop: what is committed later is not in the hits.
    """
    await run_all(partial(anyio.to_thread.run_sync, root.wake) for root in roots)
    with contextlib.ExitStack() as pins:
        state = worst_state(roots)
        snapshots = [(root, pins.enter_context(root.pin_snapshot())) for root in roots]
        yield _PinnedPart(
            roots, [PinnedRoot(root, snapshot) for root, snapshot in snapshots if snapshot is not None], state
        )


@dataclass(slots=True)
class _Searched:
    """What there is to tell about the parts that were searched."""

    _states: list[RootState] = field(default_factory=list)
    _clocks: list[str] = field(default_factory=list)
    _chunks: int = 0
    _vectors: int = 0

    def add(self, part: _PinnedPart) -> None:
        """Count a part whose snapshots are still pinned."""
        self._states.append(part.state)
        self._clocks += _clocks(part.roots, part.pinned)
        self._chunks += sum(one.snapshot.chunks for one in part.pinned)
        self._vectors += sum(one.snapshot.vectors for one in part.pinned)

    @property
    def state(self) -> RootState:
        """The worst state of a root."""
        return _worst(self._states)

    @property
    def clock(self) -> str:
        """The clock of all snapshots."""
        return ",".join(self._clocks)

    @property
    def dense_coverage(self) -> float:
        """The share of chunks that have a vector, 1 if there are no chunks."""
        return round(self._vectors / self._chunks, 4) if self._chunks else 1.0


def _merge(hits_by_root: Iterable[list[Hit]], limit: int) -> list[Hit]:
    return sorted((hit for hits in hits_by_root for hit in hits), key=lambda hit: -hit.score)[:limit]


def _clocks(roots: Iterable[SearchableRoot], pinned: Iterable[PinnedRoot]) -> list[str]:
    """Return the clocks of the pinned snapshots; generation 0 for a root that has none yet."""
    generations = {id(one.root): one.snapshot.generation for one in pinned}
    return [root.spec.clock(generations.get(id(root), 0)) for root in roots]


def _literal_words(regexes: Iterable[LineRegex]) -> list[str]:
    """Return words that stand literally in the patterns: candidates are found by them."""
    return [word for regex in regexes for word in re.findall(r"(?<!\\)[^\W\d]\w{2,}", regex.pattern)]
