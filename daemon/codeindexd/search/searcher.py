"""Answers queries: prepares them, pins snapshots, retrieves chunks, confirms them against the disk, merges them."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import anyio
import anyio.to_thread
from msgspec import Struct, field
from msgspec.structs import replace

from codeindexd.analysis.embedding.base import Embedder
from codeindexd.analysis.embedding.static import is_known_word
from codeindexd.analysis.tokens import Tokenizer
from codeindexd.errors import EmbedderError
from codeindexd.search import retrieve, symbols
from codeindexd.search.asked_for import ASKED_FOR, typed_exactly
from codeindexd.search.best_line import BestLine
from codeindexd.search.file_names import Embed
from codeindexd.search.grep import GrepRequest, GrepResult, grep_root
from codeindexd.search.grep_stream import GrepStream
from codeindexd.search.hits import Hit, HitRequest, first_hits, fold_hits
from codeindexd.search.levels import Group, Level, grouped, hits_for
from codeindexd.search.literal import message_chunks
from codeindexd.search.nothing_found import (
    RootNote,
    asks_for_text,
    explain_no_hits,
    files_in_scope,
    fold_notes,
    has_match,
    lacks,
    notes_on_others,
    notes_on_unexamined,
    notes_on_unindexed,
)
from codeindexd.search.pinning import SearchedParts, parts_of, pinned_part
from codeindexd.search.prepared_query import PreparedQuery, is_qualified_name, prepare_query
from codeindexd.search.project_name import LEAST_WORDS, without_project_name
from codeindexd.search.query import ParsedQuery
from codeindexd.search.ranking import Ranked
from codeindexd.search.regexes import LineRegex, notes_on_line_ends
from codeindexd.search.retrievers import chunks_passing_filters
from codeindexd.search.searchable_root import PastFiles, PinnedRoot, SearchableRoot, no_past_files
from codeindexd.search.spelling import correction
from codeindexd.search.symbols import ConfirmedDefinition, Match, SymbolAnswer
from codeindexd.storage.resting import MOST_AWAKE
from codeindexd.storage.sorted_ids import among
from codeindexd.types import Counts, RootState
from codeindexd.waiting import run_all

_MOST_WORDS_TO_CORRECT = 3  # more are a question, whose words need not occur
_MIN_PART = 3  # letters of a part of a name
_MEANING = frozenset({"central", "company", "dense", "function", "further", "name", "prose"})  # parts without words
_MOST_EXPLAINED = 16  # roots that an answer without hits looks at for its notes
_EMBED_TIMEOUT_S = 5.0
_BUDGET_TO_TELL_S = 0.1  # that no line has what was typed exactly, in all roots together

Retrieve = Callable[[PinnedRoot], list[Ranked]]


class Answer(Struct, frozen=True):
    """Hits, best first, and the state and clock of what was searched.

    ``dense_coverage`` is the share of chunks with a vector, from 0 to 1. ``searched`` is the number of files that pass
    the filters if there are no hits, else None. ``groups`` are the files or directories of an answer at that level;
    ``hits`` are theirs then, in the same order.
    """

    hits: list[Hit]
    state: RootState
    clock: str
    dense_coverage: float
    took_ms: float
    notes: list[str] = field(default_factory=list)
    searched: int | None = None
    groups: Sequence[Group] | None = None


class GrepAnswer(Struct, frozen=True):
    """Matching lines by root, and the state and clock of what was searched."""

    results: list[tuple[SearchableRoot, GrepResult]]
    state: RootState
    clock: str
    took_ms: float


class Searcher:
    """Answers any number of queries at a time, each on its own snapshots."""

    def __init__(
        self,
        embedders: Mapping[str, Embedder],
        *,
        mask_secrets: bool,
        embed_names: Embed | None = None,
        past_files: PastFiles = no_past_files,
    ) -> None:
        """Take the ``embedders`` by identity: every model whose vectors a root may answer from.

        ``embed_names`` compares the names of files with questions; without it, what they mean does not count.
        ``past_files`` finds the files that similar commits changed.
        """
        self._past_files = past_files
        self._embedders = embedders
        self._embed_names = embed_names
        self._mask_secrets = mask_secrets
        self._tokenizer = Tokenizer()

    async def search(
        self,
        roots: Sequence[SearchableRoot],
        parsed: ParsedQuery,
        limit: int,
        *,
        level: Level = Level.CHUNK,
        others: Sequence[SearchableRoot] = (),
    ) -> Answer:
        """Return the best ``limit`` chunks, files or directories (``level``) of ``roots``.

        Never waits for indexing, nor over 5 seconds for an embedder.

        A misspelt name or word is replaced, and a note says so. Without any hit, notes say why, and which of ``others``
        (roots that are not searched) contain what the query requires. Raises InvalidQueryError when a regex is too
        slow, and FailedError when nothing can be read.
        """
        started = time.perf_counter()
        wanted, limit = limit, hits_for(level, limit)
        hits: list[Hit] = []
        searched = SearchedParts()
        query: PreparedQuery | None = None
        notes: list[str] = []
        parts = list(parts_of(roots))
        is_known = False
        for some in parts:
            async with pinned_part(some) as part:
                if query is None:
                    parsed = await _adapted(part.pinned, parsed, is_only_part=len(parts) == 1)
                    query, notes = await self._prepare(roots, parsed, await _subject(part.pinned, parsed, len(roots)))
                retrieve_from = partial(_matching_chunks, query=query, limit=limit, notes=notes)
                request = _request(query, limit)
                found = await self._hits(part.pinned, retrieve_from, request, notes)
                is_known = is_known or any(map(_is_evident, found))
                is_known = is_known or await anyio.to_thread.run_sync(_has_any_word, part.pinned, query)
                searched.add(part)
            hits = _merge([hits, found], request)
        files = None
        if not hits:
            files, why = await _why_nothing(roots, parsed, others)
            notes += why
        elif query is not None and not (is_known or asks_for_text(parsed)):
            words = "this word" if len(set(query.stems)) == 1 else "any of these words"
            notes.append(f"no code has {words}; the closest in meaning are shown")
        elif len(parts) == 1 and searched.state is RootState.FRESH:
            notes += await _notes_on_absent_text(roots, parsed, hits)
        groups = None if level is Level.CHUNK else grouped(hits, level, wanted)
        if groups is not None:
            hits = [hit for group in groups for hit in group.hits]
        took_ms = (time.perf_counter() - started) * 1000
        return Answer(
            hits,
            searched.state,
            searched.clock,
            searched.dense_coverage,
            took_ms,
            notes=[*dict.fromkeys(notes)],
            searched=files,
            groups=groups,
        )

    async def related(self, root: SearchableRoot, path: bytes, line: int, limit: int) -> Answer:
        """Return the chunks most like the one at ``path`` and ``line``.

        Raises NotIndexedError if no chunk is there, FailedError when nothing can be read.
        """
        started = time.perf_counter()
        searched, notes = SearchedParts(), list[str]()
        async with pinned_part([root]) as part:
            hits = await self._hits(
                part.pinned,
                lambda one: retrieve.similar_chunks(one.snapshot, path, line, limit),
                HitRequest(limit),
                notes,
            )
            searched.add(part)
        took_ms = (time.perf_counter() - started) * 1000
        return Answer(hits, searched.state, searched.clock, searched.dense_coverage, took_ms, notes)

    async def grep(self, requests: Sequence[tuple[SearchableRoot, GrepRequest]]) -> GrepAnswer:
        """Return the matching lines of each root, as its request asks for them.

        Raises FailedError when nothing can be read.
        """
        started = time.perf_counter()
        wanted = {id(root): request for root, request in requests}

        def search_one(one: PinnedRoot) -> GrepResult:
            return grep_root(one.root, one.snapshot, wanted[id(one.root)], mask_secrets=self._mask_secrets)

        results: list[tuple[SearchableRoot, GrepResult]] = []
        searched = SearchedParts()
        for some in parts_of([root for root, _ in requests]):
            async with pinned_part(some) as part:
                found = await run_all(partial(anyio.to_thread.run_sync, search_one, one) for one in part.pinned)
                searched.add(part)
            results += zip((one.root for one in part.pinned), found, strict=True)
        return GrepAnswer(results, searched.state, searched.clock, (time.perf_counter() - started) * 1000)

    def grep_stream(
        self,
        requests: Sequence[tuple[SearchableRoot, GrepRequest]],
        *,
        counted: bool,
        limit: int | None,
        budget_s: float,
    ) -> GrepStream:
        """Return a search that sends the matching lines of each root, or with ``counted`` their counts, as it runs."""
        return GrepStream(requests, counted=counted, limit=limit, budget_s=budget_s, mask_secrets=self._mask_secrets)

    async def symbol(
        self,
        roots: Sequence[SearchableRoot],
        name: str,
        *,
        references: bool = False,
        filters: ParsedQuery | None = None,
        limit: int = symbols.MAX_DEFINITIONS,
    ) -> SymbolAnswer:
        """Return the definitions of ``name``, or else those of similar names, by the first ``Match`` that finds any.

        At most ``limit`` are returned; they pass ``filters`` by language, path and kind. With ``references``, also
        return the chunks that use the last part of ``name``. Without any definition, notes say where the name occurs.
        Raises FailedError when nothing can be read.
        """
        filters = filters or ParsedQuery()
        notes: list[str] = []
        for match in Match if len(name) >= _MIN_PART else (Match.EXACT,):
            definitions = await self._definitions(roots, name, match, filters, notes)
            if not definitions and match is Match.EXACT and filters != ParsedQuery():
                notes += await self._left_out(roots, name)
            if definitions:
                uses = await self._uses(roots, name, definitions, notes) if references else []
                if len(definitions) > limit:
                    most = len(definitions) >= symbols.MAX_DEFINITIONS
                    notes.append(f"{'at least ' if most else ''}{len(definitions) - limit:,} more; raise the limit")
                return SymbolAnswer(definitions[:limit], uses, match, [*dict.fromkeys(notes)])
        uses = await self._uses(roots, name, [], notes) if references else []
        async with pinned_part(roots[:_MOST_EXPLAINED]) as part:
            why = await run_all(
                partial(anyio.to_thread.run_sync, symbols.notes_without_definition, one, name) for one in part.pinned
            )
        notes += itertools.chain.from_iterable(why)
        notes += notes_on_unexamined(max(0, len(roots) - _MOST_EXPLAINED))
        return SymbolAnswer([], uses, notes=[*dict.fromkeys(notes)])

    async def _left_out(self, roots: Sequence[SearchableRoot], name: str) -> list[str]:
        """Return a note on the definitions of ``name`` that filters leave out, if there are any."""
        count = 0
        for some in parts_of(roots):
            async with pinned_part(some) as part:
                found = await run_all(
                    partial(anyio.to_thread.run_sync, symbols.count_left_out, one, name) for one in part.pinned
                )
            count += sum(found)
        if not count:
            return []
        return [f"the filters leave out {count:,} {'definition' if count == 1 else 'definitions'} of {name}"]

    async def _definitions(
        self, roots: Sequence[SearchableRoot], name: str, match: Match, filters: ParsedQuery, notes: list[str]
    ) -> list[ConfirmedDefinition]:
        """Return the definitions whose names match, at most 1,000, those in source first.

        Notes on what is missing are added to ``notes``.
        """

        def in_root(one: PinnedRoot) -> list[ConfirmedDefinition]:
            return symbols.definitions_in(one, name, match, filters, notes, mask_secrets=self._mask_secrets)

        definitions: list[ConfirmedDefinition] = []
        for some in parts_of(roots):
            async with pinned_part(some) as part:
                found = await run_all(partial(anyio.to_thread.run_sync, in_root, one) for one in part.pinned)
            definitions += itertools.chain.from_iterable(found)
        definitions.sort(key=symbols.place_in_answer)
        if len(definitions) >= symbols.MAX_DEFINITIONS:
            notes.append(f"only the first {symbols.MAX_DEFINITIONS:,} definitions are shown")
        return definitions[: symbols.MAX_DEFINITIONS]

    async def _uses(
        self, roots: Sequence[SearchableRoot], name: str, definitions: Sequence[ConfirmedDefinition], notes: list[str]
    ) -> list[Hit]:
        """Return the chunks that use the last part of ``name`` and are not among ``definitions``.

        Notes on what cannot be read are added to ``notes``.
        """
        defining = {(id(one.hit.root), one.hit.chunk.chunk_id) for one in definitions}
        last_part = symbols.last_part(name)

        def using_chunks(one: PinnedRoot) -> list[Ranked]:
            return [
                ranked
                for ranked in retrieve.mentioning_chunks(one.snapshot, last_part, symbols.MAX_DEFINITIONS)
                if (id(one.root), ranked.candidate.chunk_id) not in defining
            ]

        best = BestLine(names=[last_part.lower()])
        request = HitRequest(symbols.MAX_DEFINITIONS, best=best, fold_copies=False)
        uses: list[Hit] = []
        for some in parts_of(roots):
            async with pinned_part(some) as part:
                uses += await self._hits(part.pinned, using_chunks, request, notes)
        return [hit for hit in uses if last_part in hit.snippet][: symbols.MAX_DEFINITIONS]

    async def _prepare(
        self, roots: Sequence[SearchableRoot], parsed: ParsedQuery, subject: str
    ) -> tuple[PreparedQuery, list[str]]:
        """Return the query with its terms and vectors, and its notes, including those on models that failed.

        ``subject`` is the text of the query without what does not tell one place from another.
        """
        query = prepare_query(parsed, _literal_words(parsed.regexes), self._tokenizer, self._embed_names, subject)
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
        return replace(query, vectors=vectors, past_files=self._past_files), notes

    async def _hits(
        self, pinned: Sequence[PinnedRoot], retrieve_from: Retrieve, request: HitRequest, notes: list[str]
    ) -> list[Hit]:
        """Retrieve and confirm the hits of every root, each in its own thread; raise the first error.

        Notes on what cannot be read are added to ``notes``.
        """

        def hits_of(one: PinnedRoot) -> list[Hit]:
            ranked = retrieve_from(one)
            return first_hits(one.root, one.snapshot, ranked, request, notes, mask_secrets=self._mask_secrets)

        hits_by_root = await run_all(partial(anyio.to_thread.run_sync, hits_of, one) for one in pinned)
        return _merge(hits_by_root, request)


def _has_any_word(pinned: Sequence[PinnedRoot], query: PreparedQuery) -> bool:
    """Return True if one of the roots has a word of a query in any inflection, or the query has no words. Blocking."""
    stems = set(query.stems)
    return not stems or any(one.snapshot.lexical.document_frequency(stem) for one in pinned for stem in stems)


def _is_evident(hit: Hit) -> bool:
    """Return True if a hit has more in its favour than that its meaning, or that of its file, is close."""
    return any(part > 0 and name not in _MEANING for name, part in hit.parts.items())


def _matching_chunks(pinned: PinnedRoot, *, query: PreparedQuery, limit: int, notes: list[str]) -> list[Ranked]:
    return retrieve.matching_chunks(pinned.root, pinned.snapshot, query, limit, notes)


async def _adapted(pinned: Sequence[PinnedRoot], parsed: ParsedQuery, *, is_only_part: bool) -> ParsedQuery:
    """Return the query with misspelt words replaced, and as a message with values if the code of a root has it."""
    # With more parts, a word that does not occur in this one may occur in the next.
    if is_only_part and _words_to_correct(parsed):
        parsed = await anyio.to_thread.run_sync(_with_corrections, pinned, parsed)
    if parsed.message:
        parsed = await anyio.to_thread.run_sync(_as_message_of_code, pinned, parsed)
    return parsed


async def _subject(pinned: Sequence[PinnedRoot], parsed: ParsedQuery, roots: int) -> str:
    """Return the text of a query, without the name of the project if only one root is searched."""
    if roots != 1 or len(pinned) != 1 or len(parsed.text.split()) <= LEAST_WORDS or "\n" in parsed.text:
        return parsed.text
    return await anyio.to_thread.run_sync(without_project_name, pinned[0], parsed.text)


def _as_message_of_code(pinned: Sequence[PinnedRoot], parsed: ParsedQuery) -> ParsedQuery:
    """Return ``parsed`` as a message with values if code that passes its filters has it, else unchanged. Blocking."""
    return parsed.as_message() if any(_has_message(one, parsed) for one in pinned) else parsed


def _has_message(one: PinnedRoot, parsed: ParsedQuery) -> bool:
    """Return True if a chunk that passes the filters of ``parsed`` has its message. Blocking."""
    chunks = message_chunks(one.root, one.snapshot, parsed.message)
    if not chunks:
        return False
    allowed = chunks_passing_filters(one.snapshot, parsed.below(os.fsdecode(one.root.spec.raw)))
    return allowed is None or bool(among(chunks.keys(), allowed))


def _request(query: PreparedQuery, limit: int) -> HitRequest:
    """Return what the hits of a query must contain, and how their best lines are chosen."""
    parsed = query.parsed
    text = "" if "\n" in parsed.text or re.fullmatch(r"\w*", parsed.text) else parsed.text
    literals = [*parsed.phrases, *parsed.literals]
    qualified = [*query.qualified_names, *filter(None, [parsed.symbol])]
    names = [*query.wanted_names, *(symbols.last_part(name).lower() for name in qualified)]
    best = BestLine(text, literals, parsed.regexes, names, query.stems)
    words = frozenset(query.terms.words)
    return HitRequest(limit, words, parsed.regexes, query.phrases, parsed.literals, best=best, parsed=parsed)


def _words_to_correct(parsed: ParsedQuery) -> list[str]:
    """Return the words of a query that may be misspelt names: all of a short text or qualified name, else none."""
    words = re.findall(r"\w+", parsed.text)
    is_plain = len(parsed.text.split()) == len(words) or is_qualified_name(parsed.text)
    return words if is_plain and 1 <= len(words) <= _MOST_WORDS_TO_CORRECT else []


def _with_corrections(pinned: Sequence[PinnedRoot], parsed: ParsedQuery) -> ParsedQuery:
    """Return the query with the misspelt words of a short text replaced, and a note on each. Blocking."""
    for word in _words_to_correct(parsed):
        if better := correction(pinned, word, is_known_word):
            text = parsed.text.replace(word, better)
            note = f"showing results for {text}: {word} does not occur"
            parsed = replace(parsed, text=text, notes=(*parsed.notes, note))
    return parsed


async def _why_nothing(
    roots: Sequence[SearchableRoot], parsed: ParsedQuery, others: Sequence[SearchableRoot]
) -> tuple[int, list[str]]:
    """Return how many files pass the filters, and notes: why there are no hits, and which of ``others`` match."""
    files = 0
    why: list[RootNote] = []
    counts: list[Counts] = []
    for number, some in enumerate(parts_of(roots)):
        async with pinned_part(some) as part:
            in_scope = await run_all(
                partial(anyio.to_thread.run_sync, files_in_scope, one, parsed) for one in part.pinned
            )
            files += sum(in_scope)
            counts += [one.snapshot.catalog.counts() for one in part.pinned]
            explain = partial(explain_no_hits, parsed=parsed, suggest=number == 0)
            found = await run_all(partial(anyio.to_thread.run_sync, explain, one) for one in part.pinned)
            why += itertools.chain.from_iterable(found)
    line_ends = notes_on_line_ends(regex.pattern for regex in parsed.regexes)
    notes = [*line_ends, *fold_notes(why), *notes_on_unindexed(counts)]
    if not asks_for_text(parsed):
        return files, notes
    notes += notes_on_unexamined(max(0, len(roots) - MOST_AWAKE))
    where = await _roots_with_matches(others[:_MOST_EXPLAINED], parsed)
    return files, notes + notes_on_others(where, len(others) - _MOST_EXPLAINED)


async def _notes_on_absent_text(roots: Sequence[SearchableRoot], parsed: ParsedQuery, hits: Sequence[Hit]) -> list[str]:
    """Return a note on what was typed exactly that certainly no line of ``roots`` has, if no hit is asked for."""
    texts = typed_exactly(parsed.text)
    if not texts or asks_for_text(parsed) or any(ASKED_FOR & hit.parts.keys() for hit in hits):
        return []
    async with pinned_part(roots) as part:
        budget_s = _BUDGET_TO_TELL_S / max(1, len(part.pinned))
        for text in texts:
            check = partial(lacks, parsed=parsed, text=text, budget_s=budget_s)
            if all(await run_all(partial(anyio.to_thread.run_sync, check, one) for one in part.pinned)):
                return [f"no line has {text}; the closest are shown"]
    return []


async def _roots_with_matches(roots: Sequence[SearchableRoot], parsed: ParsedQuery) -> list[str]:
    """Return the paths of those among ``roots`` that have a match."""
    async with pinned_part(roots) as part:
        matching = await run_all(partial(anyio.to_thread.run_sync, has_match, one, parsed) for one in part.pinned)
    return [os.fsdecode(one.root.spec.raw) for one, matches in zip(part.pinned, matching, strict=True) if matches]


def _merge(hits_by_root: Iterable[list[Hit]], request: HitRequest) -> list[Hit]:
    """Return the best hits of all roots; hits with the same text are one, if ``request`` says so."""
    merged = sorted((hit for hits in hits_by_root for hit in hits), key=lambda hit: -hit.score)
    return (fold_hits(merged) if request.fold_copies else merged)[: request.limit]


def _literal_words(regexes: Iterable[LineRegex]) -> list[str]:
    """Return the words of three or more characters in the patterns, to rank the chunks that match.

    A rough guess: it includes the names of groups and of character classes, which a match need not contain.
    """
    return [word for regex in regexes for word in re.findall(r"(?<!\\)[^\W\d]\w{2,}", regex.pattern)]
