"""A question as the retrievers and the ranking need it: terms, stems, whole names, vectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from codeindexd.query import ParsedQuery
from codeindexd.tokens import Terms, split_identifier, stem

_REMEMBERED = 8_192  # words, and as many names of symbols: some megabytes


@dataclass(frozen=True, slots=True)
class Question:
    """A parsed query with its terms, the stems of its words and phrases, and its vector by model identity."""

    parsed: ParsedQuery
    terms: Terms
    stems: list[str]
    phrases: list[list[str]]
    vectors: Mapping[str, NDArray[np.float32]]

    @property
    def only_word(self) -> str:
        """The single word that was asked for, lowercased; "" when there are others or it is a compound identifier."""
        words = self.terms.words
        return words[0] if len(set(words)) == 1 and not self.terms.identifiers else ""

    @property
    def names(self) -> Sequence[str]:
        """Whole names that somebody who asks so wants defined: compound identifiers, or the only word there is."""
        return [self.only_word] if self.only_word else self.terms.identifiers


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
