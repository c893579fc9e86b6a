"""Ranks the chunks that answer a report: searches for its headline and its whole text, and ranks files by both."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Set
from typing import Final

from codeindexd.analysis.tokens import Terms, path_words
from codeindexd.search.file_roles import FileRole, roles_asked_for
from codeindexd.search.places import files_named_in
from codeindexd.search.prepared_query import PreparedQuery, stems_of
from codeindexd.search.ranking import Candidate, FileEvidence, Ranked, clean_cut, normalise, rank_report
from codeindexd.search.retrievers import lexical_scores, start_dense_scores
from codeindexd.search.searchable_root import SearchableRoot
from codeindexd.storage.lexical import LexicalQuery
from codeindexd.storage.snapshot import Snapshot
from codeindexd.storage.sorted_ids import Ids

_MOST_VOTERS: Final = 600  # best chunks for the whole report, which count for their files
_MOST_VOTES: Final = 5  # of one file
_DEPTH: Final = 100


def chunks_for_report(
    root: SearchableRoot,
    snapshot: Snapshot,
    query: PreparedQuery,
    body: Terms,
    allowed: Ids | None,
    depth: int,
    *,
    past: Mapping[bytes, float],
) -> list[Ranked]:
    """Return the chunks that a report is about, ranked; further chunks of a file mostly come after all files.

    ``body`` has the terms of the whole report. ``allowed`` (sorted ids) are the only chunks that may be returned, None
    for all. ``depth`` is how many chunks each search considers, at least 100. ``past`` scores the files that similar
    commits changed. Blocking.
    """
    depth = max(_DEPTH, depth)
    dense_later = start_dense_scores(snapshot, query, allowed, depth)
    lexical = lexical_scores(snapshot, query, allowed, depth)
    stems = stems_of(body.words)
    wanted = LexicalQuery(words=stems, names=body.words, identifiers=body.identifiers, chunk_ids=allowed)
    found = snapshot.lexical.search(wanted, _MOST_VOTERS)
    scores = {chunk_id: score for chunk_id, _, score in found}
    whole = normalise(clean_cut(scores, depth), floor=0.0)
    named = files_named_in(root.spec.raw, snapshot, query.parsed.text)
    dense = dense_later(())
    chosen = lexical.keys() | dense.keys() | whole.keys()
    chosen |= _first_chunks(snapshot, named.keys() - {file_id for _, file_id, _ in found}, allowed)
    chunks = snapshot.catalog.summaries(sorted(chosen))
    candidates = [Candidate.of(chunk, lexical, dense, body=whole.get(chunk.chunk_id, 0.0)) for chunk in chunks]
    voters = clean_cut(scores, _MOST_VOTERS)
    crowd = _crowds(hit for hit in found if hit[0] in voters)
    words = _shares_of_paths(snapshot, {chunk.file_id: chunk.path for chunk in chunks}, frozenset(stems))
    files = {
        file_id: FileEvidence(
            crowd=crowd.get(file_id, 0.0),
            path=words.get(file_id, 0.0),
            named=named.get(file_id, 0.0),
            past=past.get(path, 0.0),
        )
        for file_id, path in {chunk.file_id: chunk.path for chunk in chunks}.items()
    }
    # Reports are about code, even those that mention tests; a long how-to question is about documents as well.
    wanted_roles = roles_asked_for(query.text, ()) & {FileRole.DOCUMENT}
    return rank_report(candidates, files, wanted_roles)


def _crowds(found: Iterable[tuple[int, int, float]]) -> dict[int, float]:
    """Return by file id the sum of the file's best scores, as a share of the highest sum.

    ``found`` are (chunk id, file id, score).
    """
    by_file: defaultdict[int, list[float]] = defaultdict(list)
    for _, file_id, score in found:
        by_file[file_id].append(score)
    return normalise(
        {file_id: sum(heapq.nlargest(_MOST_VOTES, scores)) for file_id, scores in by_file.items()}, floor=0.0
    )


def _shares_of_paths(snapshot: Snapshot, paths: Mapping[int, bytes], stems: Set[str]) -> dict[int, float]:
    """Return by file id how rare the words are that its path shares with a report, as a share of the highest sum."""
    files = snapshot.catalog.counts().files
    rarity: dict[str, float] = {}

    def value(word: str) -> float:
        if word not in rarity:
            frequency = snapshot.lexical.document_frequency(word, "path")
            is_shared = stems_of([word])[0] in stems
            rarity[word] = max(0.0, math.log(files / frequency)) if is_shared and frequency else 0.0
        return rarity[word]

    sums = {file_id: sum(map(value, set(path_words(path).split()))) for file_id, path in paths.items()}
    return normalise(sums, floor=0.0) if any(sums.values()) else {}


def _first_chunks(snapshot: Snapshot, file_ids: Collection[int], allowed: Ids | None) -> set[int]:
    chunks = set(snapshot.catalog.first_chunk_ids(file_ids))
    return chunks if allowed is None else chunks.intersection(allowed.tolist())
