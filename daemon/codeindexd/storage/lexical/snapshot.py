"""The reading side of the lexical index: one pinned tantivy searcher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tantivy
from tantivy import Query, Schema

from codeindexd.errors import StoreDamagedError
from codeindexd.storage.lexical.query import (
    Clause,
    LexicalQuery,
    any_of,
    distinct_terms,
    filter_clause,
    restrict,
    scoring_query,
    side_by_side,
    term,
)
from codeindexd.storage.lexical.schema import (
    SENTINEL,
    WHAT,
    LexicalChunk,
    chunk_digest,
    encodable,
    path_digest,
    translated,
)
from codeindexd.storage.sorted_ids import Ids, contained

_COLUMNS = ("chunk_id", "file_id")
_MOST_FACTOR = 256
_IDS_IN_QUERY = 4096  # longer lists of ids are cheaper to apply to the hits than to look up term by term


Found = tuple[Any, tantivy.DocAddress]
"""A score and the place of a document."""


class LexicalSnapshot:
    """One commit of the lexical index. Thread-safe; stays valid while its owner commits, merges or closes.

    Queries raise the errors of :func:`translated`.
    """

    def __init__(self, searcher: tantivy.Searcher, schema: Schema, store_uuid: str) -> None:
        """Pin ``searcher``. Raises StoreDamagedError if it belongs to another store or has no generation."""
        self._searcher = searcher
        self._schema = schema
        with translated():
            found = searcher.search(term(schema, "meta", SENTINEL), 2, count=False).hits
            if len(found) != 1:
                raise StoreDamagedError(f"the {WHAT} has {len(found)} generations instead of one")
            sentinel = searcher.doc(found[0][1])
        store, generation = sentinel.get_first("store"), sentinel.get_first("generation")
        if store != store_uuid or not isinstance(generation, int):
            raise StoreDamagedError(f"the {WHAT} belongs to another catalog")
        self._generation = generation

    @property
    def generation(self) -> int:
        """The catalog generation of the chunks."""
        return self._generation

    def search(self, query: LexicalQuery, limit: int) -> list[tuple[int, int, float]]:
        """Return the best ``limit`` chunks as (chunk id, file id, score), best first, equal scores by chunk id.

        Scores are BM25 over words, identifiers, symbols and names, all positive. A query without terms finds nothing.
        """
        filters = [filter_clause(term(self._schema, "language", query.language))] if query.language is not None else []
        if query.kind is not None:
            filters.append(filter_clause(term(self._schema, "kind", query.kind)))
        later: list[tuple[int, Ids]] = []  # (index in _COLUMNS, sorted ids): filters on the hits
        for column, ids in enumerate((query.chunk_ids, query.file_ids)):
            if ids is None:
                continue
            allowed = np.asarray(ids, dtype=np.int64)
            if not len(allowed):
                return []
            if len(allowed) > _IDS_IN_QUERY:
                later.append((column, allowed))
            else:
                filters.append(self._one_of(_COLUMNS[column], allowed))
        with translated():
            scoring = scoring_query(query, self._schema, self._searcher.doc_freq)
            if scoring is None or limit <= 0:
                return []
            return self._best(restrict(scoring, filters), limit, later)

    def _one_of(self, field: str, ids: Ids) -> Clause:
        return filter_clause(Query.term_set_query(self._schema, field, ids.tolist()))

    def _best(self, query: Query, limit: int, later: Sequence[tuple[int, Ids]]) -> list[tuple[int, int, float]]:
        """Return the best hits of a query that pass the filters in ``later``, asking for ever more until enough do."""
        if not later:
            return self._hits(query, limit)
        documents = max(1, self._searcher.num_docs)
        fewest = min(len(allowed) for _, allowed in later)
        wanted = limit * max(4, min(_MOST_FACTOR, 2 * documents // fewest))
        while True:
            found = self._searcher.search(query, min(wanted, documents), count=False).hits
            kept = self._passing(found, later)
            if len(found) < wanted or len(kept) >= limit:
                return self._in_order(kept)[:limit]
            wanted *= 4

    def _passing(self, found: Sequence[Found], later: Sequence[tuple[int, Ids]]) -> list[Found]:
        """Return those of ``found`` that pass the filters ``later``."""
        places = [address for _, address in found]
        kept = np.ones(len(found), dtype=bool)
        for column, allowed in later:
            values = self._searcher.fast_field_values(_COLUMNS[column], places)
            ids = np.fromiter((-1 if value is None else int(value) for value in values), np.int64, len(values))
            kept &= contained(ids, allowed)
        return [found[place] for place in np.flatnonzero(kept).tolist()]

    def _hits(self, query: Query, limit: int) -> list[tuple[int, int, float]]:
        return self._in_order(
            self._searcher.search(query, min(limit, max(1, self._searcher.num_docs)), count=False).hits
        )

    def _in_order(self, found: Sequence[Found]) -> list[tuple[int, int, float]]:
        """Return (chunk id, file id, score) of chunks, best first, equal scores by chunk id."""
        places = [address for _, address in found]
        columns = [self._searcher.fast_field_values(name, places) for name in _COLUMNS]
        hits = [
            (int(chunk_id), int(file_id), float(score))
            for (score, _), chunk_id, file_id in zip(found, *columns, strict=True)
            if chunk_id is not None and file_id is not None
        ]
        hits.sort(key=lambda hit: (-hit[2], hit[0]))
        return hits

    def similar(self, field: str, word: str, edits: int, limit: int) -> list[int]:
        """Return the sorted ids of at most ``limit`` chunks with a term in ``field`` that is similar to ``word``.

        Similar means at most ``edits`` (1 or 2) edits away. Two swapped letters count as one edit.
        """
        with translated():
            query = Query.fuzzy_term_query(self._schema, field, encodable(word), edits, transposition_cost_one=True)
            return sorted(hit[0] for hit in self._hits(query, limit))

    def files_with(self, field: str, words: Sequence[str], limit: int) -> tuple[list[int], bool]:
        """Return the sorted ids of the files with a chunk that has all of ``words`` in ``field``, unranked.

        At most ``limit`` chunks are looked at; the second value says whether these were all.
        """
        if not words or limit <= 0:
            return [], True
        with translated():
            clauses = [filter_clause(term(self._schema, field, word)) for word in dict.fromkeys(words)]
            return self._files(Query.boolean_query(clauses), limit)

    def files_with_tokens(self, tokens: Sequence[str], limit: int, *, any_case: bool = False) -> tuple[list[int], bool]:
        """Return the sorted ids of the files with a chunk that has ``tokens`` side by side.

        Tokens are runs of word characters. With ``any_case``, chunks that may have them in another case count, too. At
        most ``limit`` chunks are looked at; the second value says whether these were all.
        """
        with translated():
            query = side_by_side(tokens, self._schema, self._searcher.doc_freq if any_case else None)
            if query is None or limit <= 0:
                return [], False
            return self._files(query, limit)

    def _files(self, query: Query, limit: int) -> tuple[list[int], bool]:
        """Return the sorted ids of the files with one of the first ``limit`` chunks, and whether these are all."""
        found = self._searcher.search(query, min(limit + 1, max(1, self._searcher.num_docs)), count=False).hits
        ids = self._searcher.fast_field_values("file_id", [address for _, address in found[:limit]])
        return sorted({int(file_id) for file_id in ids if file_id is not None}), len(found) <= limit

    def search_paths(self, words: Sequence[str], limit: int) -> list[tuple[int, float]]:
        """Return the best ``limit`` files by path terms as (file id, score), best first, equal scores by id."""
        with translated():
            terms = distinct_terms(words, lambda word: self._searcher.doc_freq("path", encodable(word)))
            if not terms or limit <= 0:
                return []
            query = any_of([term(self._schema, "path", word) for word in terms])
            found = self._searcher.search(query, min(limit, max(1, self._searcher.num_docs)), count=False).hits
            ids = self._searcher.fast_field_values("path_id", [address for _, address in found])
        pairs = zip(found, ids, strict=True)
        files = [(int(file_id), float(score)) for (score, _), file_id in pairs if file_id is not None]
        files.sort(key=lambda file: (-file[1], file[0]))
        return files

    def missing_chunks(self, chunks: Sequence[LexicalChunk]) -> list[int]:
        """Return the ids of those ``chunks`` whose document is missing, or has other terms."""
        return self._not_as("chunk_id", {chunk.chunk_id: chunk_digest(chunk) for chunk in chunks})

    def missing_paths(self, paths: Sequence[tuple[int, str]]) -> list[int]:
        """Return the ids of those ``paths`` (file id, terms) whose document is missing, or has other terms."""
        return self._not_as("path_id", {file_id: path_digest(words) for file_id, words in paths})

    def _not_as(self, field: str, expected: Mapping[int, int]) -> list[int]:
        """Return the ids whose document is missing or has another digest than ``expected`` (id to digest)."""
        found: dict[int, int | float | None] = {}
        ids = list(expected)
        with translated():
            for start in range(0, len(ids), _IDS_IN_QUERY):
                query = Query.term_set_query(self._schema, field, ids[start : start + _IDS_IN_QUERY])
                hits = self._searcher.search(query, 2 * _IDS_IN_QUERY, count=False).hits
                places = [address for _, address in hits]
                numbers = self._searcher.fast_field_values(field, places)
                digests = self._searcher.fast_field_values("digest", places)
                found.update((int(number or 0), digest) for number, digest in zip(numbers, digests, strict=True))
        return [number for number, digest in expected.items() if found.get(number) != digest]

    def document_frequency(self, word: str, field: str = "words") -> int:
        """Return how many documents have ``word`` in ``field``, a text field of the schema; deleted ones may count."""
        with translated():
            return self._searcher.doc_freq(field, encodable(word))

    def chunk_ids(self) -> Ids:
        """Return the sorted ids of all indexed chunks."""
        return self._all("chunk_id")

    def file_ids(self) -> Ids:
        """Return the sorted ids of all files whose path is indexed."""
        return self._all("path_id")

    def _all(self, field: str) -> Ids:
        with translated():
            query, most = Query.exists_query(field), max(1, self._searcher.num_docs)
            found = self._searcher.search(query, most, count=False).hits
            values = self._searcher.fast_field_values(field, [address for _, address in found])
        return np.sort(np.array(values, dtype=np.int64))
