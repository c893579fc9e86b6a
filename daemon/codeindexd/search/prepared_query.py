"""A query as the retrievers and the ranking need it: terms, stems, whole names, vectors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from codeindexd.analysis.tokens import Terms, split_identifier, stem
from codeindexd.search.query import ParsedQuery

_CACHE_ENTRIES = 8_192  # words, and as many symbol names: a few megabytes


@dataclass(frozen=True, slots=True)
class PreparedQuery:
    """A parsed query with its terms, the stems of its words and phrases, and its vector by model identity."""

    parsed: ParsedQuery
    terms: Terms
    stems: list[str]
    phrases: list[list[str]]
    vectors: Mapping[str, NDArray[np.float32]]

    @property
    def only_stem(self) -> str:
        """The stem of the query's only word; "" if there are several or it is a compound identifier."""
        return self.stems[0] if len(set(self.terms.words)) == 1 and not self.terms.identifiers else ""

    @property
    def wanted_names(self) -> Sequence[str]:
        """Lowercase names whose definition is wanted: compound identifiers, or the only word as it was typed.

        Surrounding underscores are kept: ``_retry`` is not ``retry``.
        """
        if not self.only_stem:
            return self.terms.identifiers
        typed = set(re.findall(r"\w+", self.parsed.text.lower()))
        return sorted(typed) if len(typed) == 1 else self.terms.words[:1]


def stems_of(words: Iterable[str]) -> list[str]:
    """Return the stem of each word, as the lexical index holds it."""
    return list(map(_stem, words))


@lru_cache(maxsize=_CACHE_ENTRIES)
def name_stems(name: str) -> frozenset[str]:
    """Return the stems of the words of one identifier."""
    return frozenset(map(_stem, split_identifier(name)))


@lru_cache(maxsize=_CACHE_ENTRIES)
def _stem(word: str) -> str:
    return stem(word)
