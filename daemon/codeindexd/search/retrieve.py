"""Retrieves and ranks the chunks of one snapshot that may answer a query."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Set

import numpy as np
from msgspec.structs import replace

from codeindexd.analysis.chunking.notebook import LANGUAGE as NOTEBOOK
from codeindexd.analysis.tokens import split_identifier
from codeindexd.errors import NotIndexedError
from codeindexd.search.asked_for import AskedFor, chunks_asked_for, is_identifier
from codeindexd.search.exact import chunks_left_out, chunks_that_match
from codeindexd.search.file_names import closeness_of_names
from codeindexd.search.file_roles import (
    FileRole,
    older_versions,
    roles_asked_for,
    roles_ruled_out,
    versions_asked_for,
    versions_in,
)
from codeindexd.search.names import definition_shares, definitions_of_names, types_spelled_out, uses_of_names
from codeindexd.search.prepared_query import PreparedQuery, stems_of
from codeindexd.search.ranking import Candidate, FileEvidence, Ranked, normalise, rank, shortlist
from codeindexd.search.report_chunks import chunks_for_report
from codeindexd.search.retrievers import chunks_passing_filters, lexical_scores, start_dense_scores
from codeindexd.search.searchable_root import SearchableRoot
from codeindexd.storage.catalog.summaries import ChunkSummary
from codeindexd.storage.lexical import LexicalQuery
from codeindexd.storage.snapshot import Snapshot
from codeindexd.storage.sorted_ids import Ids, contained
from codeindexd.types import StoredChunk

_DEPTH = 150  # candidates from each retriever
_DEPTH_FACTORS = (1, 4, 16)  # deeper only where most candidates are copies of each other
_MAX_PATH_MATCHES = 5
_PATHS_LOOKED_AT = 30  # many score the same as the last one, and which of them are chosen must not vary
_SHORTLIST_PERCENT = 80  # of the depth; ranking all that both retrievers find takes longer than finding them
_MAY_BE_BEGINNING = re.compile(r"[^\W_]\w*_")  # ``load_``, whose word occurs; ``__init__`` is a whole name
_LEAST_NAME = 0.5  # the lowest closeness of a document's name
_LEAST_NAME_IF_WANTED = 0.8
_CENTRALITY_OF_DOCUMENTS = 0.5  # nothing refers to them


def matching_chunks(
    root: SearchableRoot, snapshot: Snapshot, query: PreparedQuery, limit: int, notes: list[str]
) -> list[Ranked]:
    """Return the chunks that match ``query``, ranked: several times ``limit`` if there are that many.

    At least ``limit`` of them have different texts, if there are that many among the best 2,400 or more of each
    retriever. Notes on what could not be searched are added to ``notes``. Blocking. Raises InvalidQueryError for a
    regex that is too large, and FailedError when nothing can be read.
    """
    query = replace(query, parsed=query.parsed.below(os.fsdecode(root.spec.raw)))
    allowed = chunks_passing_filters(snapshot, query.parsed)
    exact = chunks_that_match(root, snapshot, query.parsed, notes)
    if exact is not None:
        allowed = exact if allowed is None else exact[contained(exact, allowed)]
    left_out = chunks_left_out(root, snapshot, query.parsed, notes)
    if left_out is not None:
        every = snapshot.catalog.all_chunk_ids() if allowed is None else allowed
        allowed = np.setdiff1d(every, left_out, assume_unique=True)
    if allowed is not None and not len(allowed):
        return []
    ranked: list[Ranked] = []
    searchable = snapshot.chunks if allowed is None else len(allowed)
    past = query.past_files(root, query.text) if query.body is not None else {}
    for factor in _DEPTH_FACTORS:
        depth = factor * max(_DEPTH, 3 * limit)
        if query.body is not None:
            ranked = chunks_for_report(root, snapshot, query, query.body, allowed, depth, past=past)
        else:
            ranked = _ranked_chunks(root, snapshot, query, allowed, depth, is_narrowed=exact is not None)
        if depth >= searchable or len({one.candidate.span_hash for one in ranked}) >= limit:
            break
    return ranked


def _ranked_chunks(
    root: SearchableRoot,
    snapshot: Snapshot,
    query: PreparedQuery,
    allowed: Ids | None,
    depth: int,
    *,
    is_narrowed: bool,
) -> list[Ranked]:
    """Return the best candidates among the best ``depth`` of each retriever, ranked.

    ``allowed`` (sorted ids) are the only chunks that may be returned, None for all. With ``is_narrowed``, they match
    all regexes and literals of the query, so they are hits even if no retriever finds them.
    """
    dense_later = start_dense_scores(snapshot, query, allowed, depth)
    lexical = lexical_scores(snapshot, query, allowed, depth)
    asked = AskedFor() if is_identifier(query) else chunks_asked_for(root, snapshot, query, allowed)
    dense = dense_later(sorted(lexical))
    if allowed is not None and (is_narrowed or not query.terms.words):
        lexical = {**dict.fromkeys(allowed[:depth].tolist(), 0.0 if lexical or dense else 1.0), **lexical}
    defining = definitions_of_names(snapshot, query, allowed)
    wanted_roles = roles_asked_for(query.text, frozenset(query.stems))
    spelled = {} if FileRole.DOCUMENT in wanted_roles else types_spelled_out(snapshot, query, allowed)
    using, holding_all = uses_of_names(snapshot, query, allowed, lexical.keys() | dense.keys() | defining)
    if is_identifier(query):
        is_known_name = bool(using) and not _MAY_BE_BEGINNING.fullmatch(query.text)
        asked = chunks_asked_for(root, snapshot, query, allowed, is_known_name=is_known_name)
        if query.terms.identifiers:  # a compound name: what lacks it comes after
            asked.add_whole_name(using.keys() | defining)
    if allowed is not None:
        asked.restrict(allowed)
    chosen = {*shortlist(lexical, dense, _SHORTLIST_PERCENT * depth // 100), *holding_all, *asked.parts}
    chosen.update(defining, spelled)
    chunks = snapshot.catalog.summaries(sorted(chosen))
    if allowed is None and not query.phrases:
        chunks += _first_chunks_by_path(snapshot, query, {chunk.file_id for chunk in chunks})
    shares = spelled | definition_shares(query, chunks) | dict.fromkeys(asked.defining(), 1.0)
    candidates = [
        Candidate.of(
            chunk,
            lexical,
            dense,
            exact=shares.get(chunk.chunk_id, 0.0),
            mention=using.get(chunk.chunk_id, 0.0),
            asked_for=asked.parts.get(chunk.chunk_id, {}),
            line=asked.lines.get(chunk.chunk_id, 0),
            defined=asked.definitions.get(chunk.chunk_id),
        )
        for chunk in chunks
    ]
    central = _centrality_shares(snapshot, candidates)
    unwanted_roles = roles_ruled_out(query.text, frozenset(query.stems))
    return rank(candidates, _evidence(query, candidates, wanted_roles, central), wanted_roles, unwanted_roles)


def similar_chunks(snapshot: Snapshot, path: bytes, line: int, limit: int) -> list[Ranked]:
    """Return the chunks whose vectors are nearest to that of the chunk at ``path`` and ``line``, nearest first.

    At least ``limit`` of them have different texts if there are that many; [] if the chunk has no vector yet. Other
    chunks of the same definition are left out. Raises NotIndexedError if no chunk is there.
    """
    origin = _chunk_at(snapshot, path, line)
    vector = snapshot.dense.vector(origin.chunk_id)
    if vector is None:
        return []
    own = set(_chunks_of_definition(snapshot, origin))
    for factor in _DEPTH_FACTORS:
        depth = factor * (limit + len(own) + _DEPTH)
        ids, cosines = snapshot.dense.search(vector, depth, None)
        if len(ids) < depth or snapshot.catalog.distinct_texts(ids.tolist()) > limit + len(own):
            break
    return [
        Ranked(Candidate(chunk_id, 0, b""), float(cosine), {"dense": float(cosine)})
        for chunk_id, cosine in zip(ids.tolist(), cosines.tolist(), strict=True)
        if chunk_id not in own
    ]


def _chunks_of_definition(snapshot: Snapshot, part: StoredChunk) -> Iterator[int]:
    """Yield the ids of all chunks of the definition that ``part`` belongs to, ``part`` included."""
    chunks = snapshot.catalog.chunks_of_file(part.file_id)
    numbers = {chunk.chunk_id: number for number, chunk in enumerate(chunks)}
    first = last = numbers[part.chunk_id]
    while first > 0 and _continues(chunks[first], chunks[first - 1]):
        first -= 1
    while last + 1 < len(chunks) and _continues(chunks[last + 1], chunks[last]):
        last += 1
    yield from (chunk.chunk_id for chunk in chunks[first : last + 1])


def _continues(chunk: StoredChunk, previous: StoredChunk) -> bool:
    """Return True if ``chunk`` continues the definition in ``previous``: it has its name, but not its start."""
    symbol = chunk.span.symbol
    return (
        symbol != "" and symbol == previous.span.symbol and all(one.qualified != symbol for one in chunk.span.symbols)
    )


def mentioning_chunks(snapshot: Snapshot, name: str, limit: int) -> list[Ranked]:
    """Return at most ``limit`` chunks whose terms include ``name``, an identifier without a qualifier; scores are 0."""
    words = split_identifier(name)
    if len(words) > 1:
        query = LexicalQuery(identifiers=[name.lower()], required=True)
    else:
        query = LexicalQuery(phrases=[stems_of(words)], required=True)
    return [_unscored(chunk_id, file_id) for chunk_id, file_id, _ in snapshot.lexical.search(query, limit)]


def _first_chunks_by_path(snapshot: Snapshot, query: PreparedQuery, known_files: Set[int]) -> list[ChunkSummary]:
    """Return the first chunk of the files whose paths match the query best, without those in ``known_files``."""
    if not query.terms.words:
        return []
    found = dict(snapshot.lexical.search_paths(query.terms.words, _PATHS_LOOKED_AT))
    paths = {file_id: file.entry.path for file_id, file in snapshot.catalog.files_by_id(found).items()}
    best = sorted(paths, key=lambda file_id: (-found[file_id], paths[file_id]))[:_MAX_PATH_MATCHES]
    unknown = [file_id for file_id in best if file_id not in known_files]
    return snapshot.catalog.summaries(snapshot.catalog.first_chunk_ids(unknown))


def _centrality_shares(snapshot: Snapshot, candidates: Iterable[Candidate]) -> dict[int, float]:
    """Return the centrality of files by file id, scaled to 1 for the most central candidate and 0 for the least.

    Nothing refers to documents, so they have one half; other files without a rank have 0. Returns {} if fewer than two
    files are ranked, or all equally.
    """
    if snapshot.centrality is None:
        return {}
    roles = {candidate.file_id: candidate.role for candidate in candidates}
    code = [file_id for file_id, role in roles.items() if role is not FileRole.DOCUMENT]
    ranks = dict(zip(code, snapshot.centrality.of(code).tolist(), strict=True))
    known = {file_id: rank for file_id, rank in ranks.items() if not math.isnan(rank)}
    if len(set(known.values())) < 2:
        return {}
    documents = dict.fromkeys(roles.keys() - ranks.keys(), _CENTRALITY_OF_DOCUMENTS)
    return dict.fromkeys(code, 0.0) | documents | normalise(known)


def _evidence(
    query: PreparedQuery,
    candidates: Iterable[Candidate],
    wanted_roles: Collection[FileRole],
    central: Mapping[int, float],
) -> dict[int, FileEvidence]:
    """Return the signals of the files of ``candidates``, by file id; ``central`` is one of them.

    The name of a document says little about its content (``README.md`` answers many questions), so its closeness has a
    lower bound. If the only word of a query occurs anywhere, names count only for files that contain it.
    """
    paths = {candidate.file_id: candidate.path for candidate in candidates}
    documents = {candidate.path for candidate in candidates if candidate.role is FileRole.DOCUMENT}
    least = _LEAST_NAME_IF_WANTED if FileRole.DOCUMENT in wanted_roles else _LEAST_NAME
    closeness = closeness_of_names(query.embed_names, query.text, set(paths.values()))
    wanted_versions = versions_asked_for(query.text)
    older = {path for path in older_versions(paths.values()) if versions_in(path).isdisjoint(wanted_versions)}
    if closeness:
        closeness |= {path: max(least, closeness[path]) for path in documents}
    if query.only_stem and (having := {one.path for one in candidates if one.mention or one.exact}):
        closeness = {path: share for path, share in closeness.items() if path in having}
    return {
        file_id: FileEvidence(name=closeness.get(path, 0.0), central=central.get(file_id, 0.0), is_older=path in older)
        for file_id, path in paths.items()
    }


def _unscored(chunk_id: int, file_id: int) -> Ranked:
    return Ranked(Candidate(chunk_id, file_id, b""), 0.0)


def _chunk_at(snapshot: Snapshot, path: bytes, line: int) -> StoredChunk:
    chunks = snapshot.catalog.chunks_of_file(path)
    for chunk in chunks:
        between_cells = chunk.language == NOTEBOOK  # lines before a cell's source, such as outputs, belong to it
        if line <= chunk.span.end_line and (between_cells or chunk.span.start_line <= line):
            return chunk
    name = path.decode(errors="replace")
    if not chunks:
        hint = "to see why a file is not indexed (yet): codeindex explain PATH"
        raise NotIndexedError(f"no indexed code at {name}:{line}", hint=hint)
    last = max(chunk.span.end_line for chunk in chunks)
    why = f"its last indexed line is {last}" if line > last else "only other lines of it are indexed"
    raise NotIndexedError(
        f"no indexed code at {name}:{line}: {why}", hint="to see the lines that are indexed: codeindex explain PATH"
    )
