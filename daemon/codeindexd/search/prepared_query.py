"""A question as the retrievers and the ranking need it: terms, stems, whole names, vectors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from codeindexd.analysis.tokens import Terms, split_identifier, stem
from codeindexd.search.query import ParsedQuery

_REMEMBERED = 8_192  # words, and as many names of symbols: some megabytes


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
        """The stem of the single word that was asked for; "" when there are others or it is a compound identifier."""
        return self.stems[0] if len(set(self.terms.words)) == 1 and not self.terms.identifiers else ""

    @property
    def wanted_names(self) -> Sequence[str]:
        """Whole names, lowercased, whose definition is wanted: compound identifiers, or the only word as it was typed.

        With the underscores around it, if there are any: ``_retry`` is not ``retry``.
        """
        if not self.only_stem:
            return self.terms.identifiers
        typed = set(re.findall(r"\w+", self.parsed.text.lower()))
        return sorted(typed) if len(typed) == 1 else self.terms.words[:1]


def stems_of(words: Iterable[str]) -> list[str]:
    """The stem of each word, as the lexical index holds them."""
    return list(map(_stem, words))


@lru_cache(maxsize=_REMEMBERED)
def name_stems(name: str) -> frozenset[str]:
    """The stems of the words of one identifier."""
    return frozenset(map(_stem, split_identifier(name)))


@lru_cache(maxsize=_REMEMBERED)
def _stem(word: str) -> str:
    return stem(word)
