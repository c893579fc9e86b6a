"""Which chunks of one snapshot may answer a query, best first."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Set
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from codeindexd.analysis.tokens import split_identifier
from codeindexd.errors import NotIndexedError
from codeindexd.search.exact import chunks_that_match
from codeindexd.search.literal import literal_chunks
from codeindexd.search.places import chunks_at, places_in
from codeindexd.search.prepared_query import PreparedQuery, name_stems, stems_of
from codeindexd.search.query import ParsedQuery
from codeindexd.search.ranking import Candidate, Ranked, Weights, clean_cut, normalised, rank, shortlist
from codeindexd.search.searchable_root import SearchableRoot
from codeindexd.storage.lexical import LexicalQuery
from codeindexd.storage.snapshot import Snapshot
from codeindexd.types import StoredChunk

_DEPTH = 100  # candidates from each retriever
_MAX_PATH_MATCHES = 5
_MAX_NAMED = 50
_SHORTLIST_PERCENT = 120  # of the depth, from twice as many; ranking them all takes longer than retrieving them
_MIN_PART = 4  # letters of a part of an identifier
_IDENTIFIER = re.compile(r"\w+")
_QUALIFIER = re.compile(r"::|->|[.#\\]")
_QUALIFIED = re.compile(rf"\w+(?:(?:{_QUALIFIER.pattern})\w+)+")
_PROSE_LANGUAGES = frozenset({"", "markdown", "rst", "json", "yaml", "toml", "html", "css", "make"})


def matching_chunks(
    root: SearchableRoot, snapshot: Snapshot, query: PreparedQuery, limit: int, notes: list[str]
) -> list[Ranked]:
    """Return the chunks that match ``query``, ranked: several times ``limit`` where there are as many.

    What could not be searched is added to ``notes``.
    """
    depth = max(_DEPTH, 3 * limit)
    query = replace(query, parsed=query.parsed.below(os.fsdecode(root.spec.raw)))
    allowed = _chunks_passing_filters(snapshot, query.parsed)
    exact = chunks_that_match(root, snapshot, query.parsed, notes)
    if exact is not None:
        allowed = exact if allowed is None else np.intersect1d(allowed, exact, assume_unique=True)
    if allowed is not None and not len(allowed):
        return []
    lexical = _lexical_scores(snapshot, query, allowed, depth)
    dense = _dense_scores(snapshot, query, sorted(lexical), allowed, depth)
    if allowed is not None and (exact is not None or not query.terms.words):
        lexical = {**dict.fromkeys(allowed[:depth].tolist(), 0.0 if lexical or dense else 1.0), **lexical}
    named = _chunks_with_wanted_names(snapshot, query, allowed, lexical.keys() | dense.keys())
    asked_for = _chunks_asked_for(root, snapshot, query, named)
    if allowed is not None:
        asked_for = {one: asked_for[one] for one in np.intersect1d(list(asked_for), allowed).tolist()}
    chosen = {*shortlist(lexical, dense, _SHORTLIST_PERCENT * depth // 100), *named, *asked_for}
    chunks = list(snapshot.catalog.chunks(sorted(chosen)).values())
    if allowed is None and not query.phrases:
        chunks += _first_chunks_by_path(snapshot, query, {chunk.file_id for chunk in chunks})
    candidates = (_candidate(chunk, lexical, dense, named, asked_for) for chunk in chunks)
    return rank(candidates, query.stems, query.wanted_names)


def similar_chunks(snapshot: Snapshot, path: bytes, line: int, limit: int) -> list[Ranked]:
    """Return the chunks whose vectors are nearest to that of the chunk at ``path`` and ``line``.

    Raises NotIndexedError if no chunk is there.
    """
    origin = _chunk_at(snapshot, path, line)
    vector = snapshot.dense.vector(origin.chunk_id)
    if vector is None:
        return []
    ids, cosines = snapshot.dense.search(vector, limit + 1 + _DEPTH, None)
    return [
        Ranked(Candidate(chunk_id, 0, b""), float(cosine), {"dense": float(cosine)})
        for chunk_id, cosine in zip(ids.tolist(), cosines.tolist(), strict=True)
        if chunk_id != origin.chunk_id
    ]


def defining_chunks(snapshot: Snapshot, name: str) -> list[Ranked]:
    """Return the chunks that define the symbol ``name``."""
    return [_unscored(chunk.chunk_id, chunk.file_id, chunk.path) for chunk, _ in snapshot.catalog.symbols(name)]


def mentioning_chunks(snapshot: Snapshot, name: str, limit: int) -> list[Ranked]:
    """Return at most ``limit`` chunks whose terms include the undotted identifier ``name``."""
    words = split_identifier(name)
    if len(words) > 1:
        query = LexicalQuery(identifiers=[name.lower()], required=True)
    else:
        query = LexicalQuery(phrases=[stems_of(words)], required=True)
    return [_unscored(chunk_id, file_id) for chunk_id, file_id, _ in snapshot.lexical.search(query, limit)]


def _chunks_passing_filters(snapshot: Snapshot, parsed: ParsedQuery) -> NDArray[np.int64] | None:
    """Return the sorted ids of the chunks that the filters leave, None without filters."""
    if not (parsed.language or parsed.kinds or parsed.symbol or parsed.include or parsed.exclude):
        return None
    return snapshot.catalog.chunk_ids(
        language=parsed.language or None,
        include=parsed.include,
        exclude=parsed.exclude,
        kinds=[*parsed.kinds, "method"] if "function" in parsed.kinds else parsed.kinds,  # a method is a function
        symbol=parsed.symbol or None,
    )


def _lexical_scores(
    snapshot: Snapshot, query: PreparedQuery, allowed: NDArray[np.int64] | None, depth: int
) -> dict[int, float]:
    found = snapshot.lexical.search(
        LexicalQuery(
            words=query.stems,
            names=query.terms.words,
            identifiers=query.terms.identifiers,
            phrases=[stems_of(phrase) for phrase in query.phrases],
            chunk_ids=allowed,
        ),
        depth,
    )
    return normalised(clean_cut({chunk_id: score for chunk_id, _, score in found}, depth), floor=0.0)


def _dense_scores(
    snapshot: Snapshot,
    query: PreparedQuery,
    with_phrases: Collection[int],
    allowed: NDArray[np.int64] | None,
    depth: int,
) -> dict[int, float]:
    vector = query.vectors.get(snapshot.identity)
    if vector is None or not len(snapshot.dense):
        return {}
    subset = np.fromiter(with_phrases, np.int64) if query.phrases else allowed
    ids, cosines = snapshot.dense.search(vector, depth, subset)
    return normalised(clean_cut(dict(zip(ids.tolist(), cosines.tolist(), strict=True)), depth))


def _chunks_with_wanted_names(
    snapshot: Snapshot, query: PreparedQuery, allowed: NDArray[np.int64] | None, candidates: Set[int]
) -> frozenset[int]:
    """Return the chunks with every whole identifier of the query, or those ``candidates`` that hold its only word."""
    if query.phrases or not query.wanted_names:
        return frozenset()
    if query.only_stem:
        ids = np.fromiter(sorted(candidates), np.int64)
        wanted, limit = LexicalQuery(phrases=[[query.only_stem]], chunk_ids=ids), len(candidates)
    else:
        wanted = LexicalQuery(identifiers=query.wanted_names, chunk_ids=allowed, required=True)
        limit = _MAX_NAMED
    return frozenset(chunk_id for chunk_id, _, _ in snapshot.lexical.search(wanted, limit))


def _chunks_asked_for(
    root: SearchableRoot, snapshot: Snapshot, query: PreparedQuery, named: Set[int]
) -> dict[int, dict[str, float]]:
    """Return the chunks that the text asks for by place, by qualified name or letter by letter, with parts of scores.

    A single identifier that is in the index is ranked as such: what defines it and uses it comes first anyway.
    """
    text, weights = query.parsed.text.strip(), Weights()
    if query.phrases or not text:
        return {}
    found: defaultdict[int, dict[str, float]] = defaultdict(dict)
    for number, chunk_id in enumerate(chunks_at(root.spec.raw, snapshot, places_in(text))):
        found[chunk_id]["place"] = weights.place - min(number, 99) / 10
    is_identifier = _IDENTIFIER.fullmatch(text) is not None
    if not is_identifier and _QUALIFIED.fullmatch(text):
        for chunk, _ in snapshot.catalog.symbols(_QUALIFIER.sub(".", text), limit=_MAX_NAMED):
            found[chunk.chunk_id]["qualified"] = weights.qualified
    if is_identifier and (named or len(text) < _MIN_PART):
        return found
    literal = literal_chunks(root, snapshot, text)
    for chunk_id, chunk in snapshot.catalog.chunks(sorted(literal)).items():
        found[chunk_id]["literal"] = weights.literal
        if is_identifier and any(text.lower() in symbol.name.lower() for symbol in chunk.span.symbols):
            found[chunk_id]["partial"] = weights.partial
    return found


def _first_chunks_by_path(snapshot: Snapshot, query: PreparedQuery, known_files: Set[int]) -> list[StoredChunk]:
    """Return the first chunk of each file whose path matches the query, except files that are found already."""
    if not query.terms.words:
        return []
    paths = snapshot.lexical.search_paths(query.terms.words, _MAX_PATH_MATCHES)
    unknown = [file_id for file_id, _ in paths if file_id not in known_files]
    return [chunk for file_id in unknown for chunk in snapshot.catalog.chunks_of_file(file_id)[:1]]


def _candidate(
    chunk: StoredChunk,
    lexical: Mapping[int, float],
    dense: Mapping[int, float],
    named: Set[int],
    asked_for: Mapping[int, Mapping[str, float]],
) -> Candidate:
    return Candidate(
        chunk.chunk_id,
        chunk.file_id,
        chunk.path,
        lexical=lexical.get(chunk.chunk_id, 0.0),
        dense=dense.get(chunk.chunk_id, 0.0),
        symbol_stems=name_stems(chunk.span.symbol.rpartition(".")[2]),
        file_stems=name_stems(_name_without_suffix(chunk.path)),
        defines=frozenset(symbol.name.lower() for symbol in chunk.span.symbols),
        mentions=chunk.chunk_id in named,
        is_prose=chunk.language in _PROSE_LANGUAGES,
        asked_for=asked_for.get(chunk.chunk_id, {}),
    )


def _unscored(chunk_id: int, file_id: int, path: bytes = b"") -> Ranked:
    return Ranked(Candidate(chunk_id, file_id, path), 0.0)


def _chunk_at(snapshot: Snapshot, path: bytes, line: int) -> StoredChunk:
    for chunk in snapshot.catalog.chunks_of_file(path):
        if chunk.span.start_line <= line <= chunk.span.end_line:
            return chunk
    raise NotIndexedError(
        f"no indexed code at {path.decode(errors='replace')}:{line}",
        hint="to see why a file is not indexed: codeindex explain PATH",
    )


def _name_without_suffix(path: bytes) -> str:
    return path.rpartition(b"/")[2].rpartition(b".")[0].decode("utf-8", "replace")
