"""Queries to the lexical index, and their tantivy form, which is built and never parsed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from tantivy import Occur, Query, Schema

from codeindexd.analysis.tokens import split_identifier, stem
from codeindexd.storage.lexical.schema import encodable

MAX_TERMS = 64  # of words, names and identifiers each: a pasted file must not become a query of ten thousand terms
_CONSIDERED = 1024  # distinct terms among which the rarest are chosen

# Field weights are not measured. They are ordered by how much a match says about a chunk.
_WORD_FIELDS = (("words", 1.0), ("symbol", 1.5))
_NAME_FIELDS = (("name", 2.0),)
_IDENTIFIER_FIELDS = (("identifiers", 2.0), ("name", 3.0))

Clause = tuple[Occur, Query]
DocumentFrequency = Callable[[str, str], int]


class LexicalQuery(Struct, frozen=True):
    """A query to the lexical index; all terms are lowercase, as the tokenizer produces them.

    ``words`` (stems, as they are indexed), ``names`` (whole names of one word) and ``identifiers`` score a chunk. Any
    of them suffices, but with ``required`` every identifier must occur. Each of ``phrases`` (stems, too) must occur
    with its words side by side. ``language``, ``kind``, ``file_ids`` and ``chunk_ids`` restrict without scoring: None
    does not restrict, an empty list of ids matches nothing. Ids are sorted and distinct. ``word_fields`` and
    ``identifier_fields`` are the fields in which words and identifiers are looked for, with their weights.
    """

    words: Sequence[str] = ()
    identifiers: Sequence[str] = ()
    names: Sequence[str] = ()
    phrases: Sequence[Sequence[str]] = ()
    language: str | None = None
    kind: str | None = None
    file_ids: Sequence[int] | NDArray[np.int64] | None = None
    chunk_ids: Sequence[int] | NDArray[np.int64] | None = None
    required: bool = False
    word_fields: Sequence[tuple[str, float]] = _WORD_FIELDS
    identifier_fields: Sequence[tuple[str, float]] = _IDENTIFIER_FIELDS


def term(schema: Schema, field: str, value: str | int, boost: float = 1.0) -> Query:
    """Return a query for documents whose ``field`` holds ``value``, scored by BM25 times ``boost``."""
    query = Query.term_query(schema, field, encodable(value) if isinstance(value, str) else value)
    return query if boost == 1.0 else Query.boost_query(query, boost)


def any_of(queries: Sequence[Query]) -> Query:
    """Return a query for documents that match at least one of ``queries``; scores add up."""
    return queries[0] if len(queries) == 1 else Query.boolean_query([(Occur.Should, query) for query in queries])


def filter_clause(query: Query) -> Clause:
    """Return a clause that must match and scores nothing."""
    return (Occur.Must, Query.const_score_query(query, 0.0))


def scoring_query(query: LexicalQuery, schema: Schema, frequency: DocumentFrequency) -> Query | None:
    """Return the scoring part of ``query``; None if it has no terms.

    ``frequency`` returns how many chunks have a term: ``frequency(field, term)``.
    """
    words = distinct_terms(query.words, lambda word: frequency("words", word))
    identifiers = distinct_terms(query.identifiers, lambda name: frequency("identifiers", name))
    names = distinct_terms(query.names, lambda name: frequency("name", name))
    scoring = [_anywhere(schema, query.word_fields, word) for word in words]
    scoring += [_anywhere(schema, _NAME_FIELDS, name) for name in names]
    musts = [_phrase(schema, [word for word in phrase if word]) for phrase in query.phrases if any(phrase)]
    if query.required:
        musts += [any_of(_anywhere(schema, _IDENTIFIER_FIELDS, name)) for name in identifiers]
    else:
        scoring += [_anywhere(schema, query.identifier_fields, name) for name in identifiers]
    terms = [query for queries in scoring for query in queries]
    if not musts:
        return any_of(terms) if terms else None
    clauses = [(Occur.Must, must) for must in musts] + [(Occur.Should, term) for term in terms]
    return Query.boolean_query(clauses)


def restrict(query: Query, filters: Sequence[Clause]) -> Query:
    """Return ``query`` restricted to the documents that match all ``filters``."""
    # Nested in a must clause: next to a must clause, the query's own should clauses would be optional.
    return Query.boolean_query([(Occur.Must, query), *filters]) if filters else query


def side_by_side(tokens: Sequence[str], schema: Schema, frequency: DocumentFrequency | None = None) -> Query | None:
    """Return a query for chunks with ``tokens`` side by side, scoring nothing; None if they have no words.

    Tokens are runs of word characters, as the code has them. With ``frequency`` (as for :func:`scoring_query`),
    chunks that may have them in another case match, too. In another case, the words of an identifier may be others:
    ``userId`` has two words, ``userid`` has one.
    """
    used = [(token.strip("_").lower(), list(map(stem, split_identifier(token)))) for token in tokens[:MAX_TERMS]]
    words = [word for _, of_token in used for word in of_token]
    if not words:
        return None
    either = [_phrase(schema, words)]
    if frequency is not None:
        others = {name: _written_otherwise(name, of_token, frequency) for name, of_token in used if of_token}
        always = [word for name, of_token in used if of_token and not others[name] for word in of_token]
        for field, value in itertools.chain.from_iterable(others.values()):
            required = [term(schema, field, value), *(term(schema, "words", word) for word in always)]
            either.append(Query.boolean_query([(Occur.Must, query) for query in required]))
    return Query.const_score_query(any_of(either), 0.0)


def _written_otherwise(name: str, words: Sequence[str], frequency: DocumentFrequency) -> list[tuple[str, str]]:
    """Return the fields and terms of chunks that have an identifier, with these ``words``, in another case."""
    single = stem(name)
    otherwise = [("identifiers", name)] + ([("words", single)] if words != [single] else [])
    return [(field, value) for field, value in otherwise if frequency(field, value)]


def _anywhere(schema: Schema, fields: Sequence[tuple[str, float]], value: str) -> list[Query]:
    return [term(schema, field, value, boost) for field, boost in fields]


def _phrase(schema: Schema, words: Sequence[str]) -> Query:
    if len(words) == 1:  # tantivy panics on a phrase of one word
        return term(schema, "words", words[0])
    bounded = [encodable(word) for word in words[:MAX_TERMS]]
    return Query.phrase_query(schema, "words", [(place, word) for place, word in enumerate(bounded)])


def distinct_terms(terms: Sequence[str], frequency: Callable[[str], int]) -> list[str]:
    """Return each term once; of more than ``MAX_TERMS``, the rarest that occur, which contribute most to BM25."""
    distinct = list(dict.fromkeys(term for term in terms if term))
    if len(distinct) <= MAX_TERMS:
        return distinct
    counted = [(frequency(term), place, term) for place, term in enumerate(distinct[:_CONSIDERED])]
    return [term for count, _, term in sorted(counted) if count][:MAX_TERMS]
