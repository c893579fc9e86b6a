"""The two retrievers, with scores from 0 to 1: BM25 of terms and cosines of vectors, both under a query's filters."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np

from codeindexd.search.prepared_query import PreparedQuery, stems_of
from codeindexd.search.query import ParsedQuery
from codeindexd.search.ranking import clean_cut, normalise
from codeindexd.search.searchable_root import PinnedRoot
from codeindexd.storage.catalog import CatalogSnapshot
from codeindexd.storage.lexical import LexicalQuery
from codeindexd.storage.snapshot import Snapshot
from codeindexd.storage.sorted_ids import Ids, without

_FILTERS: Final = (
    "language", "include", "exclude", "kinds", "symbol", "languages_left_out", "kinds_left_out", "symbols_left_out",
)  # fmt: skip

_WORTH_A_THREAD: Final = 200_000  # vectors; fewer are compared as fast as another thread begins
_beside: Final = ThreadPoolExecutor(max_workers=2, thread_name_prefix="vectors")


def chunks_passing_filters(snapshot: Snapshot, parsed: ParsedQuery) -> Ids | None:
    """Return the sorted ids of the chunks that pass the filters; None if the query has no filters.

    The array is read-only; queries with the same filters may get the same one.
    """
    has_negative = parsed.languages_left_out or parsed.kinds_left_out or parsed.symbols_left_out
    if not (parsed.language or parsed.kinds or parsed.symbol or parsed.include or parsed.exclude or has_negative):
        return None
    key = tuple(getattr(parsed, name) for name in _FILTERS)
    return snapshot.catalog.remember(key, lambda: _passing(snapshot.catalog, parsed))


def _passing(catalog: CatalogSnapshot, parsed: ParsedQuery) -> Ids:
    passing = catalog.chunk_ids(
        language=parsed.language or None,
        include=parsed.include,
        exclude=parsed.exclude,
        kinds=with_methods(parsed.kinds),
        symbol=parsed.symbol or None,
    )
    for language in parsed.languages_left_out:
        passing = without(passing, catalog.chunk_ids(language=language))
    for symbol in parsed.symbols_left_out:
        passing = without(passing, catalog.chunk_ids(symbol=symbol))
    if parsed.kinds_left_out:
        passing = without(passing, catalog.chunk_ids_with_only(with_methods(parsed.kinds_left_out)))
    return passing


def files_passing_filters(pinned: PinnedRoot, parsed: ParsedQuery) -> frozenset[int] | None:
    """Return the ids of the files that pass the filters by language and path; None if there are no such filters."""
    if not (parsed.language or parsed.include or parsed.exclude or parsed.languages_left_out):
        return None
    parsed, catalog = parsed.below(os.fsdecode(pinned.root.spec.raw)), pinned.snapshot.catalog
    passing = catalog.file_ids(language=parsed.language or None, include=parsed.include, exclude=parsed.exclude)
    for language in parsed.languages_left_out:
        passing = np.setdiff1d(passing, catalog.file_ids(language=language), assume_unique=True)
    return frozenset(passing.tolist())


def with_methods(kinds: Sequence[str]) -> Sequence[str]:
    """Return ``kinds`` with those that they include: a method is a function, and a constructor a method."""
    if "function" in kinds:
        return [*kinds, "method", "constructor"]
    return [*kinds, "constructor"] if "method" in kinds else kinds


def lexical_scores(snapshot: Snapshot, query: PreparedQuery, allowed: Ids | None, depth: int) -> dict[int, float]:
    """Return the BM25 scores of the best ``depth`` chunks by chunk id, best first, as shares of the best score.

    ``allowed`` (sorted ids) are the only chunks that may be returned, None for all.
    """
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
    return normalise(clean_cut({chunk_id: score for chunk_id, _, score in found}, depth), floor=0.0)


def start_dense_scores(
    snapshot: Snapshot, query: PreparedQuery, allowed: Ids | None, depth: int
) -> Callable[[Collection[int]], dict[int, float]]:
    """Return a function that returns :func:`dense_scores`, given the chunks that have the phrases of the query.

    The vectors are compared in another thread meanwhile if there are many, and no phrases to wait for.
    """
    if query.phrases or len(snapshot.dense) < _WORTH_A_THREAD:
        return lambda with_phrases: dense_scores(snapshot, query, with_phrases, allowed, depth)
    later = _beside.submit(dense_scores, snapshot, query, (), allowed, depth)
    return lambda _: later.result()


def dense_scores(
    snapshot: Snapshot, query: PreparedQuery, with_phrases: Collection[int], allowed: Ids | None, depth: int
) -> dict[int, float]:
    """Return the cosines of the best ``depth`` chunks by chunk id, best first, scaled: 1 for the best, 0 for the last.

    ``allowed`` (sorted ids) are the only chunks that may be returned, None for all. A query with phrases returns only
    chunks in ``with_phrases`` (sorted ids) instead. Returns {} if the query has no vector of the snapshot's model.
    """
    vector = query.vectors.get(snapshot.identity)
    if vector is None or not len(snapshot.dense):
        return {}
    subset = np.fromiter(with_phrases, np.int64) if query.phrases else allowed
    ids, cosines = snapshot.dense.search(vector, depth, subset)
    return normalise(clean_cut(dict(zip(ids.tolist(), cosines.tolist(), strict=True)), depth))
