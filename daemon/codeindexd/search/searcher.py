"""Answers questions: two retrievers side by side on one snapshot, one order, every hit held against the disk."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
import numpy as np
import structlog
from numpy.typing import NDArray

from codeindexd.analysis import secrets
from codeindexd.analysis.chunking.encoding import source_text
from codeindexd.analysis.embedding.base import Embedder
from codeindexd.analysis.tokens import Tokenizer, split_identifier
from codeindexd.errors import CodeindexError, EmbedderError, NotIndexedError
from codeindexd.roots import Root
from codeindexd.search.confirm import Confirmed, confirm
from codeindexd.search.prepared_query import PreparedQuery, name_stems, stems_of
from codeindexd.search.query import BoundedRegex, ParsedQuery
from codeindexd.search.ranking import Candidate, Ranked, clean_cut, normalised, rank, shortlist
from codeindexd.storage.lexical import LexicalQuery
from codeindexd.storage.snapshot import Snapshot
from codeindexd.types import RootState, StoredChunk, StoredFile, Symbol

log = structlog.get_logger(__name__)
_DEPTH = 100
_PATHS = 5
_NAMED = 50
_CLOSER_LOOK = 120  # of two hundred candidates: ranking them all takes longer than finding them
_PROSE = frozenset({"", "markdown", "rst", "json", "yaml", "toml", "html", "css", "make"})
_EMBED_PATIENCE_S = 5.0
_WORST = [RootState.FRESH, RootState.RECONCILING, RootState.INDEXING, RootState.PAUSED, RootState.DEGRADED]


@dataclass(frozen=True, slots=True)
class Hit:
    """A verified chunk of an answer."""

    root: Root
    chunk: StoredChunk
    place: Confirmed
    symbol: str
    snippet: str
    score: float
    parts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Answer:
    """Hits, best first, and on what they rest."""

    hits: list[Hit]
    state: RootState
    clock: str
    dense_coverage: float
    took_ms: float
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """How many hits, what they were asked by (for choosing a name to show), and what their text must match."""

    limit: int
    words: frozenset[str] = frozenset()
    regexes: Sequence[BoundedRegex] = ()
    phrases: Sequence[Sequence[str]] = ()


class Searcher:
    """Read-only; any number of questions at a time, each on a snapshot of its own."""

    def __init__(self, embedders: Mapping[str, Embedder], *, mask_secrets: bool) -> None:
        """``embedders`` by identity: every model whose vectors some root may answer from."""
        self._embedders = embedders
        self._mask_secrets = mask_secrets
        self._tokenizer = Tokenizer()

    # questions

    async def search(self, roots: Sequence[Root], parsed: ParsedQuery, limit: int) -> Answer:
        """The best ``limit`` chunks of ``roots``. Never waits for indexing, nor long for a slow embedder."""
        notes: list[str] = []
        question = await self._question(roots, parsed, notes)
        return await self._answer(
            roots,
            lambda root, snapshot: self._ranked(root, snapshot, question, limit),
            _Wanted(limit, frozenset(question.terms.words), parsed.regexes, question.phrases),
            notes,
        )

    async def related(self, root: Root, path: bytes, line: int, limit: int) -> Answer:
        """Chunks like the one at ``path``:``line``. Raises NotIndexedError when there is none."""
        return await self._answer(
            [root],
            lambda _, snapshot: self._similar(snapshot, _chunk_at(snapshot, path, line), limit),
            _Wanted(limit),
            [],
        )

    async def symbol(self, roots: Sequence[Root], name: str, *, references: bool) -> tuple[list[Hit], list[Hit]]:
        """Definitions of ``name``, and with ``references`` the chunks that use it."""
        wanted = 1000

        def defined(root: Root, snapshot: Snapshot) -> list[Ranked]:
            found = snapshot.catalog.symbols(name)
            return [Ranked(Candidate(chunk.chunk_id, chunk.file_id, chunk.path), 0.0) for chunk, _ in found]

        definitions = (await self._answer(roots, defined, _Wanted(wanted, frozenset([name.lower()])), [])).hits
        if not references:
            return definitions, []
        places = {(id(hit.root), hit.chunk.chunk_id) for hit in definitions}
        last = name.rpartition(".")[2]

        def used(root: Root, snapshot: Snapshot) -> list[Ranked]:
            words = split_identifier(last)
            query = LexicalQuery(
                identifiers=[last.lower()] if len(words) > 1 else [],
                phrases=[] if len(words) > 1 else [stems_of(words)],
                words=[],
                required=True,
            )
            found = snapshot.lexical.search(query, wanted)
            return [
                Ranked(Candidate(chunk_id, file_id, b""), 0.0)
                for chunk_id, file_id, _ in found
                if (id(root), chunk_id) not in places
            ]

        uses = (await self._answer(roots, used, _Wanted(wanted), [])).hits
        return definitions, [hit for hit in uses if last in hit.snippet]

    # retrieval

    async def _question(self, roots: Sequence[Root], parsed: ParsedQuery, notes: list[str]) -> PreparedQuery:
        text = " ".join([parsed.text, *parsed.phrases]).strip()
        terms = self._tokenizer.tokenize(text or " ".join(_words_of(parsed.regexes)))
        vectors = {}
        for identity in {root.query_model for root in roots} & self._embedders.keys():
            try:
                with anyio.fail_after(_EMBED_PATIENCE_S):
                    if text:
                        vectors[identity] = await self._embedders[identity].embed_query(text)
            except (EmbedderError, TimeoutError) as error:
                notes.append(f"answered from text alone: {error or 'the embedding model did not answer in time'}")
        phrases = [self._tokenizer.words(phrase) for phrase in parsed.phrases]
        return PreparedQuery(parsed, terms, stems_of(terms.words), [phrase for phrase in phrases if phrase], vectors)

    def _ranked(self, root: Root, snapshot: Snapshot, question: PreparedQuery, limit: int) -> list[Ranked]:
        parsed = question.parsed
        depth = max(_DEPTH, 3 * limit) * (5 if parsed.regexes else 1)
        allowed = self._allowed(snapshot, parsed)
        if allowed is not None and not len(allowed):
            return []
        found = snapshot.lexical.search(
            LexicalQuery(
                words=question.stems,
                names=question.terms.words,
                identifiers=question.terms.identifiers,
                phrases=[stems_of(phrase) for phrase in question.phrases],
                chunk_ids=allowed,
            ),
            depth,
        )
        lexical = normalised(clean_cut({chunk_id: score for chunk_id, _, score in found}, depth), floor=0.0)
        dense: dict[int, float] = {}
        vector = question.vectors.get(snapshot.identity)
        if vector is not None and len(snapshot.dense):
            subset = np.fromiter(sorted(lexical), np.int64) if question.phrases else allowed
            ids, cosines = snapshot.dense.search(vector, depth, subset)
            dense = normalised(clean_cut(dict(zip(ids.tolist(), cosines.tolist(), strict=True)), depth))
        if not (lexical or dense) and allowed is not None and not question.terms.words:
            lexical = dict.fromkeys(allowed[:depth].tolist(), 1.0)
        named = self._named(snapshot, question, allowed, lexical.keys() | dense.keys())
        chosen = {*shortlist(lexical, dense, _CLOSER_LOOK * depth // _DEPTH), *named}
        chunks = list(snapshot.catalog.chunks(sorted(chosen)).values())
        if allowed is None and not question.phrases:
            chunks += self._by_path(snapshot, question, {chunk.file_id for chunk in chunks})
        candidates = (
            Candidate(
                chunk.chunk_id,
                chunk.file_id,
                chunk.path,
                lexical.get(chunk.chunk_id, 0.0),
                dense.get(chunk.chunk_id, 0.0),
                name_stems(chunk.span.symbol.rpartition(".")[2]),
                name_stems(_file_stem(chunk.path)),
                frozenset(symbol.name.lower() for symbol in chunk.span.symbols),
                chunk.chunk_id in named,
                chunk.language in _PROSE,
            )
            for chunk in chunks
        )
        return rank(candidates, question.stems, question.wanted_names)

    def _by_path(self, snapshot: Snapshot, question: PreparedQuery, known: set[int]) -> list[StoredChunk]:
        """The first chunk of files whose path is asked for and of which nothing else was found."""
        if not question.terms.words:
            return []
        paths = snapshot.lexical.search_paths(question.terms.words, _PATHS)
        unknown = [file_id for file_id, _ in paths if file_id not in known]
        return [chunk for file_id in unknown for chunk in snapshot.catalog.chunks_of_file(file_id)[:1]]

    def _named(
        self, snapshot: Snapshot, question: PreparedQuery, allowed: NDArray[np.int64] | None, candidates: Set[int]
    ) -> frozenset[int]:
        """Chunks with every whole identifier of the question, or those ``candidates`` that hold its only word."""
        if question.phrases or not question.wanted_names:
            return frozenset()
        if question.only_stem:
            ids = np.fromiter(sorted(candidates), np.int64)
            query, most = LexicalQuery(phrases=[[question.only_stem]], chunk_ids=ids), len(candidates)
        else:
            query, most = LexicalQuery(identifiers=question.wanted_names, chunk_ids=allowed, required=True), _NAMED
        return frozenset(chunk_id for chunk_id, _, _ in snapshot.lexical.search(query, most))

    def _allowed(self, snapshot: Snapshot, parsed: ParsedQuery) -> NDArray[np.int64] | None:
        """Ids of the chunks that the filters leave, sorted; None when there is no filter."""
        if not (parsed.language or parsed.kinds or parsed.symbol or parsed.include or parsed.exclude):
            return None
        return snapshot.catalog.chunk_ids(
            language=parsed.language or None,
            include=parsed.include,
            exclude=parsed.exclude,
            kinds=parsed.kinds,
            symbol=parsed.symbol or None,
        )

    def _similar(self, snapshot: Snapshot, here: StoredChunk, limit: int) -> list[Ranked]:
        vector = snapshot.dense.vector(here.chunk_id)
        if vector is None:
            return []
        ids, scores = snapshot.dense.search(vector, limit + 1 + _DEPTH, None)
        found = zip(ids.tolist(), scores.tolist(), strict=True)
        return [
            Ranked(Candidate(chunk_id, 0, b""), float(similarity), {"dense": float(similarity)})
            for chunk_id, similarity in found
            if chunk_id != here.chunk_id
        ]

    # answers

    async def _answer(
        self,
        roots: Sequence[Root],
        retrieve: Callable[[Root, Snapshot], list[Ranked]],
        wanted: _Wanted,
        notes: list[str],
    ) -> Answer:
        """State and clock are those of the snapshots that are searched: all are taken in one step of the loop, since
        whatever is committed afterwards is not in the hits."""
        began = time.perf_counter()
        with contextlib.ExitStack() as pins:
            state = worst_state(roots)
            pinned = [(root, pins.enter_context(root.pin_snapshot())) for root in roots]
            parts = await self._parts(pinned, retrieve, wanted)
            chunks = sum(snapshot.chunks for _, snapshot in pinned if snapshot)
            return Answer(
                sorted((hit for part in parts for hit in part), key=lambda hit: -hit.score)[: wanted.limit],
                state,
                ",".join(root.spec.clock(snapshot.generation if snapshot else 0) for root, snapshot in pinned),
                round(sum(snapshot.vectors for _, snapshot in pinned if snapshot) / chunks, 4) if chunks else 1.0,
                (time.perf_counter() - began) * 1000,
                notes,
            )

    async def _parts(
        self,
        pinned: Sequence[tuple[Root, Snapshot | None]],
        retrieve: Callable[[Root, Snapshot], list[Ranked]],
        wanted: _Wanted,
    ) -> list[list[Hit]]:
        """The hits of every root, in a thread each."""
        parts: list[list[Hit]] = [[] for _ in pinned]
        errors: list[CodeindexError] = []

        def one(root: Root, snapshot: Snapshot) -> list[Hit]:
            return self._verified(root, snapshot, retrieve(root, snapshot), wanted)

        async def run(number: int, root: Root, snapshot: Snapshot) -> None:
            try:
                parts[number] = await anyio.to_thread.run_sync(one, root, snapshot)
            except CodeindexError as error:
                errors.append(error)

        async with anyio.create_task_group() as tasks:
            for number, (root, snapshot) in enumerate(pinned):
                if snapshot is not None:
                    tasks.start_soon(run, number, root, snapshot)
        if errors:
            raise errors[0]
        return parts

    def _verified(self, root: Root, snapshot: Snapshot, ranked: list[Ranked], wanted: _Wanted) -> list[Hit]:
        """The first ``wanted.limit`` of ``ranked`` whose text is still on the disk; files that changed become hints."""
        hits: list[Hit] = []
        stale: set[bytes] = set()
        for start in range(0, len(ranked), wanted.limit):
            part = ranked[start : start + wanted.limit]
            hits.extend(self._confirmed(root, snapshot, part, stale, wanted))
            if len(hits) >= wanted.limit:
                break
        if stale:
            root.hint_from_thread(stale)
        return hits[: wanted.limit]

    def _confirmed(
        self, root: Root, snapshot: Snapshot, part: list[Ranked], stale: set[bytes], wanted: _Wanted
    ) -> list[Hit]:
        chunks = snapshot.catalog.chunks([ranked.candidate.chunk_id for ranked in part])
        files = snapshot.catalog.files_by_id({chunk.file_id for chunk in chunks.values()})
        by_file: dict[bytes, list[StoredChunk]] = {}
        for chunk in chunks.values():
            by_file.setdefault(chunk.path, []).append(chunk)
        places: dict[int, Confirmed | None] = {}
        for path, of_file in by_file.items():
            found = confirm(root.spec.raw, of_file, files[of_file[0].file_id].encoding)
            places.update((chunk.chunk_id, place) for chunk, place in zip(of_file, found, strict=True))
            if any(place is None or place.moved for place in found):
                stale.add(path)
        hits = []
        for ranked in part:
            shown, place = chunks.get(ranked.candidate.chunk_id), places.get(ranked.candidate.chunk_id)
            if shown is None or place is None:
                continue
            snippet = self._snippet(place, files[shown.file_id])
            if self._passes(snippet, wanted):
                symbol = shown.span.symbol or _symbol_asked_for(shown, wanted.words)
                hits.append(Hit(root, shown, place, symbol, snippet, ranked.score, ranked.parts))
        return hits

    def _passes(self, snippet: str, wanted: _Wanted) -> bool:
        """Whether the text has the phrases word by word (the index knows only stems) and matches the regexes."""
        if wanted.phrases:
            text = f" {' '.join(Tokenizer(memo_entries=1_000).words(snippet))} "
            if not all(f" {' '.join(phrase)} " in text for phrase in wanted.phrases):
                return False
        return all(regex.search(snippet) for regex in wanted.regexes)

    def _snippet(self, place: Confirmed, file: StoredFile) -> str:
        text, before, after = (source_text(part, file.encoding) for part in (place.data, place.before, place.after))
        if not self._mask_secrets:
            return text
        return secrets.mask(_utf8(text), before=_utf8(before), after=_utf8(after)).decode("utf-8", "surrogatepass")


def _chunk_at(snapshot: Snapshot, path: bytes, line: int) -> StoredChunk:
    for chunk in snapshot.catalog.chunks_of_file(path):
        if chunk.span.start_line <= line <= chunk.span.end_line:
            return chunk
    raise NotIndexedError(
        f"no indexed code at {path.decode(errors='replace')}:{line}",
        hint="`codeindex explain PATH` says why a file is not indexed",
    )


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _file_stem(path: bytes) -> str:
    return path.rpartition(b"/")[2].rpartition(b".")[0].decode("utf-8", "replace")


def _words_of(regexes: Iterable[BoundedRegex]) -> list[str]:
    """Words that stand literally in the patterns: what candidates for them are found by."""
    return [word for regex in regexes for word in re.findall(r"(?<!\\)[^\W\d]\w{2,}", regex.pattern)]


def _symbol_asked_for(chunk: StoredChunk, words: frozenset[str]) -> str:
    """Of a chunk with several definitions, the name nearest to the question; the first when none is nearer."""

    def nearness(symbol: Symbol) -> float:
        parts = split_identifier(symbol.name)
        return 1.0 if symbol.name.lower() in words else len(words.intersection(parts)) / (len(parts) + 1)

    return max(chunk.span.symbols, key=nearness).qualified if chunk.span.symbols else ""


def worst_state(roots: Sequence[Root]) -> RootState:
    """The state that an answer from all of ``roots`` deserves."""
    states = {root.state for root in roots}
    if RootState.MISSING in states:
        return RootState.MISSING
    return max(states, key=_WORST.index, default=RootState.FRESH)
