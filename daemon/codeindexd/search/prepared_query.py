"""A query as the retrievers and the ranking need it: terms, stems, whole names, vectors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from codeindexd.analysis.tokens import Terms, Tokenizer, stem
from codeindexd.search.file_names import Embed
from codeindexd.search.query import ParsedQuery
from codeindexd.search.reports import report_in

_CACHE_ENTRIES = 8_192  # words: about a megabyte
_QUALIFIER = re.compile(r"::|->|[.#\\]")
_QUALIFIED = re.compile(rf"\w+(?:(?:{_QUALIFIER.pattern})\w+)+")


@dataclass(frozen=True, slots=True)
class PreparedQuery:
    """A parsed query with its terms, the stems of its words and phrases, and its vector by model identity.

    ``text`` is what is asked, all of a question, the headline of a report; ``terms``, ``stems`` and ``vectors`` are
    its. ``body`` has the terms of a whole report, and is None for a question. ``embed_names`` is the model for names.
    """

    parsed: ParsedQuery
    text: str
    terms: Terms
    stems: list[str]
    phrases: list[list[str]]
    body: Terms | None
    vectors: Mapping[str, NDArray[np.float32]]
    embed_names: Embed | None = None

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

    @property
    def qualified_names(self) -> list[str]:
        """The names with a qualifier in the text (``a::b``, ``a.b``, ``a#b``), as ``a.b``."""
        return list(dict.fromkeys(_QUALIFIER.sub(".", match[0]) for match in _QUALIFIED.finditer(self.text)))

    @property
    def is_qualified_name(self) -> bool:
        """True if the query is one name with a qualifier and nothing else."""
        return _QUALIFIED.fullmatch(self.text) is not None


def prepared(
    parsed: ParsedQuery, literal_words: Iterable[str], tokenizer: Tokenizer, embed_names: Embed | None = None
) -> PreparedQuery:
    """Return a query with everything but its vectors. ``literal_words`` stand in its regexes."""
    report = report_in(parsed)
    text = report.headline if report else " ".join([parsed.text, *parsed.phrases, *parsed.literals]).strip()
    terms = tokenizer.tokenize(text or " ".join(literal_words))
    phrases = [words for phrase in parsed.phrases if (words := tokenizer.words(phrase))]
    body = tokenizer.tokenize(report.body) if report else None
    return PreparedQuery(parsed, text, terms, stems_of(terms.words), phrases, body, {}, embed_names)


def stems_of(words: Iterable[str]) -> list[str]:
    """Return the stem of each word, as the lexical index holds it."""
    return list(map(_stem, words))


@lru_cache(maxsize=_CACHE_ENTRIES)
def _stem(word: str) -> str:
    return stem(word)
