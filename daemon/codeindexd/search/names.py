"""Finds the chunks that define the names in a query, and those that use them."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Set
from typing import Final

import numpy as np

from codeindexd.analysis.tokens import split_identifier
from codeindexd.search.file_roles import is_test
from codeindexd.search.prepared_query import PreparedQuery
from codeindexd.search.ranking import clean_cut
from codeindexd.storage.catalog.summaries import ChunkSummary
from codeindexd.storage.lexical import LexicalQuery
from codeindexd.storage.snapshot import Snapshot
from codeindexd.storage.sorted_ids import Ids, among
from codeindexd.types import TYPE_KINDS

_MOST_NAMES: Final = 8  # of a query
_MOST_DEFINITIONS: Final = 50  # of a name
_COMMON: Final = 500  # chunks; a name that more of them define says little, and reading them takes long
_MOST_USES: Final = 50
_WORD: Final = re.compile(r"[^\W\d_][^\W_]*")
_LEAST_WORDS: Final = 3
_MOST_WORDS: Final = 24
_MOST_WORDS_OF_NAME: Final = 4
_MOST_SPELLED: Final = 20
_SPELLED: Final = 0.35  # factor for a type that a question only seems to name
_RARE: Final = 0.7  # a name that is rarer counts in full; 1 is the rarity of one that is in a single chunk
_OTHER_CASE: Final = 0.8  # factor for a definition in another case, if there is one in the case that was typed
_CONSTRUCTOR: Final = 0.8  # factor for a function, if its file defines a type of the same name
_LABEL: Final = 0.6  # factor for a key of data or a heading
_FUNCTIONS: Final = frozenset({"function", "method"})
LABELS: Final = frozenset({"data", "key", "section"})
_TYPES: Final = TYPE_KINDS | {"module", "namespace"}  # a question may be about these as well


def definitions_of_names(snapshot: Snapshot, query: PreparedQuery, allowed: Ids | None) -> frozenset[int]:
    """Return the ids of the chunks that define a name in the query, even if no retriever found them.

    At most 50 for each name, those in code before keys of data and headings; none for a name that too many define.
    """
    if query.phrases:
        return frozenset()
    found: set[int] = set()
    for name in [*_typed_names(query), *query.qualified_names][:_MOST_NAMES]:
        definitions = snapshot.catalog.symbols_unless_common(name, _COMMON)
        definitions.sort(key=lambda item: item[1].kind in LABELS)  # stable
        found.update(chunk.chunk_id for chunk, _ in definitions[:_MOST_DEFINITIONS])
    if allowed is not None:
        found &= among(found, allowed)
    return frozenset(found)


def types_spelled_out(snapshot: Snapshot, query: PreparedQuery, allowed: Ids | None) -> dict[int, float]:
    """Return how well chunks define a type whose name adjacent words of a question are, from 0 to 1 by chunk id.

    ``how does the connection pool work`` is about ``ConnectionPool``. The last word may be in the plural. Types of the
    same words that more than twenty chunks define say nothing.
    """
    words = [word.lower() for word in _WORD.findall(query.text)][:_MOST_WORDS]
    if query.phrases or len(words) < _LEAST_WORDS:
        return {}
    spelled = {
        name
        for count in range(2, _MOST_WORDS_OF_NAME + 1)
        for first in range(len(words) - count + 1)
        for name in ("_".join(words[first : first + count]), "_".join(words[first : first + count]).removesuffix("s"))
    }
    ids = snapshot.catalog.chunks_named([spelling for name in spelled for spelling in (name, name.replace("_", ""))])
    if allowed is not None:
        ids = set(among(ids, allowed))
    found: defaultdict[str, set[int]] = defaultdict(set)
    for chunk in snapshot.catalog.summaries(sorted(ids)[:_COMMON]):
        for symbol in chunk.symbols:
            name = "_".join(split_identifier(symbol.name))
            if symbol.kind in _TYPES and name in spelled and not is_test(chunk.path):
                found[name].add(chunk.chunk_id)
    return {chunk_id: _SPELLED for ids in found.values() if len(ids) <= _MOST_SPELLED for chunk_id in ids}


def definition_shares(query: PreparedQuery, chunks: Iterable[ChunkSummary]) -> dict[int, float]:
    """Return how well ``chunks`` define a name in the query, from 0 to 1 by chunk id; leave out those that define none.

    The case that was typed counts more than others, a type more than its constructors, code more than keys of data.
    """
    if query.phrases:
        return {}
    typed = _typed_names(query)
    wanted = {name.lower() for name in [*typed, *query.wanted_names]}
    dotted = tuple(query.qualified_names)
    if not wanted and not dotted:
        return {}
    found: defaultdict[str, list[tuple[ChunkSummary, str, str]]] = defaultdict(list)
    for chunk in chunks:
        for symbol in chunk.symbols:
            if symbol.name.lower() in wanted or (dotted and f".{symbol.qualified}".endswith(_suffixes(dotted))):
                found[symbol.name.lower()].append((chunk, symbol.name, symbol.kind))
    shares: dict[int, float] = {}
    for definitions in found.values():
        types = {chunk.file_id for chunk, _, kind in definitions if kind in _TYPES}
        is_typed = any(name in typed for _, name, _ in definitions)
        for chunk, name, kind in definitions:
            share = _OTHER_CASE if is_typed and name not in typed else 1.0
            if kind in _FUNCTIONS and chunk.file_id in types:
                share *= _CONSTRUCTOR
            if kind in LABELS:
                share *= _LABEL
            shares[chunk.chunk_id] = max(share, shares.get(chunk.chunk_id, 0.0))
    return shares


def uses_of_names(
    snapshot: Snapshot, query: PreparedQuery, allowed: Ids | None, candidates: Set[int]
) -> tuple[dict[int, float], frozenset[int]]:
    """Return how much chunks use the names in the query, from 0 to 1 by chunk id, and the ids of those that use all.

    The share grows with the number and the rarity of the names used; the only word of a query counts in full. The
    chunks are ``candidates``, and others that use all names.
    """
    if query.phrases or not query.wanted_names:
        return {}, frozenset()
    if query.only_stem:
        only = LexicalQuery(phrases=[[query.only_stem]], chunk_ids=_array(candidates))
        holding = frozenset(chunk_id for chunk_id, _, _ in snapshot.lexical.search(only, len(candidates)))
        return dict.fromkeys(holding, 1.0), holding
    names = list(dict.fromkeys(query.terms.identifiers))
    every = LexicalQuery(identifiers=names, chunk_ids=allowed, required=True)
    found = {chunk_id: score for chunk_id, _, score in snapshot.lexical.search(every, _MOST_USES + 1)}
    holding = frozenset(clean_cut(found, _MOST_USES))
    pool = _array(candidates | holding)
    shares: defaultdict[int, float] = defaultdict(float)
    for name in names[:_MOST_NAMES]:
        lexical_query = LexicalQuery(identifiers=[name], chunk_ids=pool, required=True)
        share = _rarity(snapshot, name) / len(names)
        for chunk_id, _, _ in snapshot.lexical.search(lexical_query, len(pool)):
            shares[chunk_id] += share
    return dict(shares), holding


def _typed_names(query: PreparedQuery) -> list[str]:
    """Return the wanted names as they were typed."""
    wanted = set(query.wanted_names)
    words = dict.fromkeys(re.findall(r"\w+", query.text))
    return [word for word in words if word.lower() in wanted or word.strip("_").lower() in wanted]


def _suffixes(dotted: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f".{name}" for name in dotted)


def _rarity(snapshot: Snapshot, name: str) -> float:
    """Return 1 for a name that few chunks contain, less the more contain it, 0 if all do."""
    chunks = math.log(snapshot.chunks + 1)
    held = math.log(snapshot.lexical.document_frequency(name, "identifiers") + 1)
    return min(1.0, (1 - held / chunks) / _RARE) if chunks > 0 else 1.0


def _array(ids: Iterable[int]) -> Ids:
    return np.fromiter(sorted(ids), np.int64)
