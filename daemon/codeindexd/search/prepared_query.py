"""A query as the retrievers and the ranking need it: its terms, stems, whole names and vectors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from codeindexd.analysis.tokens import Terms, Tokenizer, stem
from codeindexd.search.file_names import Embed
from codeindexd.search.query import ParsedQuery
from codeindexd.search.reports import report_in
from codeindexd.search.searchable_root import PastFiles, no_past_files

_CACHE_ENTRIES = 8_192  # words: about a megabyte
_QUALIFIER = re.compile(r"::|->|[.#\\]")
_QUALIFIED = re.compile(rf"(?<!\w)\w++(?:(?:{_QUALIFIER.pattern})\w++)+")  # linear in the length of a word


class PreparedQuery(Struct, frozen=True):
    """A parsed query with everything that is computed from it once.

    ``text`` is what is searched for: all of a question, or the headline of a report. ``terms``, ``stems`` (one for each
    of its words) and ``vectors`` (by model identity) are those of ``text``, ``phrases`` are the words of each phrase.
    ``body`` has the terms of a whole report, and is None for a question. ``embed_names`` embeds the names of files;
    None without the bundled model. ``past_files`` knows which files similar commits changed.
    """

    parsed: ParsedQuery
    text: str
    terms: Terms
    stems: list[str]
    phrases: list[list[str]]
    body: Terms | None
    vectors: Mapping[str, NDArray[np.float32]]
    embed_names: Embed | None = None
    past_files: PastFiles = no_past_files

    @property
    def only_stem(self) -> str:
        """The stem of the query's only word; "" if it has several words or is a compound identifier."""
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


def prepare_query(
    parsed: ParsedQuery,
    literal_words: Iterable[str],
    tokenizer: Tokenizer,
    embed_names: Embed | None = None,
    subject: str | None = None,
) -> PreparedQuery:
    """Return ``parsed`` with everything that retrieval needs but its vectors.

    ``literal_words`` are the words in its regexes, which become the terms of a query without other text.
    ``embed_names`` is passed on. ``subject`` is what of its text is searched for, if it is a question (None: all).
    """
    report = report_in(parsed)
    asked = parsed.text if subject is None else subject
    text = report.headline if report else " ".join([asked, *parsed.phrases, *parsed.literals]).strip()
    terms = tokenizer.tokenize(text or " ".join(literal_words))
    phrases = [words for phrase in parsed.phrases if (words := tokenizer.words(phrase))]
    body = tokenizer.tokenize(report.body) if report else None
    stems = stems_of(terms.words)
    return PreparedQuery(parsed, text, terms, stems, phrases, body, vectors={}, embed_names=embed_names)


def is_qualified_name(text: str) -> bool:
    """Return True if a text is just a name with a qualifier: ``a.b``, ``a::b``, ``a#b``, ``a->b``."""
    return _QUALIFIED.fullmatch(text) is not None


def stems_of(words: Iterable[str]) -> list[str]:
    """Return the stem of each word, in order, as the lexical index holds them."""
    return list(map(_stem, words))


@lru_cache(maxsize=_CACHE_ENTRIES)
def _stem(word: str) -> str:
    return stem(word)
