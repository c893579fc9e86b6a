"""Narrows a query to the chunks that all of its regexes and literals match, found by exact search."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from codeindexd.analysis.chunking.indexed_text import IndexedText
from codeindexd.quantities import quantity
from codeindexd.search.grep import GrepRequest, is_affordable, texts_to_search
from codeindexd.search.line_matcher import LineMatch, LineMatcher
from codeindexd.search.query import ParsedQuery
from codeindexd.search.regexes import LineRegex
from codeindexd.search.searchable_root import SearchableRoot
from codeindexd.storage.snapshot import Snapshot
from codeindexd.types import StoredFile

_BUDGET_S = 3.0


def chunks_that_match(
    root: SearchableRoot, snapshot: Snapshot, parsed: ParsedQuery, notes: list[str]
) -> NDArray[np.int64] | None:
    """Return the sorted ids of the chunks with a match of every regex and literal; None if the query has neither.

    Files that are not searched (no time left, too large, unreadable) contribute no chunks; a note on how many they are,
    and why, is added to ``notes``. Blocking. Raises InvalidQueryError for a regex that is too large when compiled, and
    FailedError when nothing can be read.
    """
    matchers = _matchers(parsed.regexes, parsed.literals)
    if not matchers:
        return None
    found: set[int] | None = None
    for chunks in _chunks_by_matcher(root, snapshot, parsed, matchers, notes):
        found = chunks if found is None else found & chunks
    return np.fromiter(sorted(found or ()), np.int64)


def chunks_left_out(
    root: SearchableRoot, snapshot: Snapshot, parsed: ParsedQuery, notes: list[str]
) -> NDArray[np.int64] | None:
    """Return the sorted ids of the chunks that contain text which the query excludes; None if it excludes no text.

    Blocking. Notes and errors are those of :func:`chunks_that_match`.
    """
    matchers = _matchers(parsed.regexes_left_out, parsed.phrases_left_out)
    if not matchers:
        return None
    found = set().union(*_chunks_by_matcher(root, snapshot, parsed, matchers, notes))
    return np.fromiter(sorted(found), np.int64)


def _matchers(regexes: Iterable[LineRegex], literals: Iterable[str]) -> list[LineMatcher]:
    return [
        *(LineMatcher(regex.pattern) for regex in regexes),
        *(LineMatcher(literal, fixed=True, ignore_case=ignores_case(literal)) for literal in literals),
    ]


def _chunks_by_matcher(
    root: SearchableRoot, snapshot: Snapshot, parsed: ParsedQuery, matchers: Iterable[LineMatcher], notes: list[str]
) -> Iterator[set[int]]:
    """Yield the ids of the chunks with a match of each of ``matchers``."""
    deadline = time.monotonic() + _BUDGET_S
    left_out: Counter[str] = Counter()
    for matcher in matchers:
        request = GrepRequest.within(parsed, matcher, deadline - time.monotonic())
        chunks: set[int] = set()
        for file, read, _ in texts_to_search(root, snapshot, request, left_out):
            if read.text is not None and is_affordable(matcher, read.text.utf8, left_out):
                chunks |= chunks_on_lines(snapshot, file, read.text, matcher.lines(read.text.utf8)).keys()
        yield chunks
    notes += [f"{quantity(number, 'file')} left out: {reason}" for reason, number in left_out.items()]


def ignores_case(literal: str) -> bool:
    """Return True if a literal matches ignoring case: it was typed without capitals."""
    return literal == literal.lower()


def chunks_on_lines(
    snapshot: Snapshot, file: StoredFile, text: IndexedText, lines: Iterable[LineMatch]
) -> dict[int, int]:
    """Return the chunks of ``file`` that contain any of ``lines``, as chunk id to the first such line of the file.

    ``lines`` are matches in the file's ``text``, in order. The lines returned count from 1.
    """
    found: dict[int, int] = {}
    matching = list(lines)
    if not matching:
        return found
    places = [text.to_source(line.line_start) for line in matching]
    for chunk_id, start, end in snapshot.catalog.byte_ranges_of_file(file.file_id):
        at = bisect_left(places, start)
        if at < len(places) and places[at] < end:
            found[chunk_id] = text.source_line(matching[at].number)
    return found
