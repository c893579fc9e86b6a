"""Finds the names and words of an index that a misspelt one may mean."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from codeindexd.analysis.tokens import split_identifier, stem
from codeindexd.search.hits import HitRequest, first_hits
from codeindexd.search.literal import literal_chunks
from codeindexd.search.ranking import Candidate, Ranked
from codeindexd.search.searchable_root import PinnedRoot
from codeindexd.storage.snapshot import Snapshot

_MIN_CHARS: Final = 5
_MIN_CHARS_FOR_TWO: Final = 8
_MOST_CHUNKS: Final = 60
_WORD: Final = re.compile(r"\w+")


def nearest_names(snapshot: Snapshot, name: str) -> list[str]:
    """Return the defined names, in lowercase, with the fewest edits from ``name``: one, or two for a long name.

    Returns [] if there are none, or if ``name`` has fewer than five letters. An edit inserts, removes or replaces a
    letter, or swaps two neighbours (optimal string alignment).
    """
    wanted = name.lower()
    for most in range(1, _most_edits(wanted) + 1):
        ids = snapshot.lexical.similar("name", wanted, most, _MOST_CHUNKS)
        chunks = snapshot.catalog.chunks(ids).values()
        names = {symbol.name.lower() for chunk in chunks for symbol in chunk.span.symbols}
        if near := sorted(name for name in names if 0 < edit_distance(wanted, name) <= most):
            return near
    return []


def correction(pinned: Iterable[PinnedRoot], token: str, is_word: Callable[[str], bool]) -> str:
    """Return the closest spelling in the roots that ``token`` may mean; "" if ``token`` occurs or nothing is close.

    A word that ``is_word`` knows is corrected by inserting, removing or swapping letters only: with a letter replaced
    it is probably another word. So is a compound name with two edits, if code has all of its words. Tokens that are
    short or not ASCII are not corrected. Blocking.
    """
    roots = list(pinned)
    wanted = token.lower()
    most = _most_edits(wanted)
    if not most or not wanted.isascii() or any(_occurs(root, token) for root in roots):
        return ""
    if any(_has_words(root, token) for root in roots):
        most = 1
    for distance in range(1, most + 1):
        found = Counter(
            spelling
            for root in roots
            for spelling in _spellings(root, wanted, distance)
            if not (is_word(wanted) and _is_replacement(wanted, spelling.lower()))
        )
        if found:
            return min(
                found, key=lambda spelling: (edit_distance(wanted, spelling.lower()), -found[spelling], spelling)
            )
    return ""


def _occurs(pinned: PinnedRoot, token: str) -> bool:
    """Return True if the index has ``token``, a compound name in any convention, or a line has it in a longer word.

    The names that begin with it are looked up first, because reading lines takes longer.
    """
    words = split_identifier(token)
    if len(words) > 1:
        frequency = pinned.snapshot.lexical.document_frequency
        is_known = any(frequency(name, "identifiers") for name in (token.lower(), "_".join(words), "".join(words)))
    else:
        is_known = _has_words(pinned, token)
    return (
        is_known
        or bool(pinned.snapshot.catalog.symbol_names(token, only_prefix=True, limit=1))
        or bool(literal_chunks(pinned.root, pinned.snapshot, token))
    )


def _has_words(pinned: PinnedRoot, token: str) -> bool:
    """Return True if the index has all words of ``token``, in any inflection."""
    return all(pinned.snapshot.lexical.document_frequency(stem(word)) for word in split_identifier(token))


def _spellings(pinned: PinnedRoot, wanted: str, most: int) -> Iterator[str]:
    """Yield every occurrence of a word or name at most ``most`` edits away from ``wanted``, in its own case."""
    lexical = pinned.snapshot.lexical
    ids = {
        *lexical.similar("words", stem(wanted), most, _MOST_CHUNKS),
        *lexical.similar("identifiers", wanted, most, _MOST_CHUNKS),
        *lexical.similar("name", wanted, most, _MOST_CHUNKS),
    }
    ranked = [Ranked(Candidate(chunk_id, 0, b""), 0.0) for chunk_id in sorted(ids)]
    for hit in first_hits(pinned.root, pinned.snapshot, ranked, HitRequest(len(ids) or 1), [], mask_secrets=True):
        for token in _WORD.findall(hit.snippet):
            candidates = {token, *split_identifier(token)}
            yield from (
                candidate for candidate in candidates if 0 < edit_distance(wanted, candidate.lower(), most) <= most
            )


def _most_edits(name: str) -> int:
    """Return how many edits are allowed for a name of this length: none, one or two."""
    if len(name) < _MIN_CHARS:
        return 0
    return 1 if len(name) < _MIN_CHARS_FOR_TWO else 2


def _is_replacement(one: str, other: str) -> bool:
    """Return True if two words of the same length differ in their letters, not only in the order of these."""
    return len(one) == len(other) and sorted(one) != sorted(other)


def edit_distance(one: str, other: str, most: int = 2) -> int:
    """Return the optimal string alignment distance, or ``most`` + 1 if it is larger than ``most``."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        earlier, before, row = before, row, [i]
        for j, second in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != second))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == second:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return row[-1]
