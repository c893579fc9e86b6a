"""Explains why a query has no hits: how many files it searched, what excludes everything, and what comes closest."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from codeindexd.search.exact import file_count, ignores_case
from codeindexd.search.grep import GrepRequest, GrepResult, grep_root
from codeindexd.search.line_matcher import LineMatcher
from codeindexd.search.query import ParsedQuery
from codeindexd.search.retrievers import chunks_passing_filters
from codeindexd.search.searchable_root import PinnedRoot
from codeindexd.search.spelling import nearest_names
from codeindexd.storage.snapshot import Snapshot

_BUDGET_S: Final = 0.5  # for each search beyond the query
_MOST_SUGGESTIONS: Final = 5


def files_in_scope(pinned: PinnedRoot, parsed: ParsedQuery) -> int:
    """Return how many indexed files of a root pass the filters by language and path. Blocking."""
    parsed = parsed.below(os.fsdecode(pinned.root.spec.raw))
    return len(_file_ids(pinned.snapshot, parsed))


def explain_no_hits(pinned: PinnedRoot, parsed: ParsedQuery) -> list[str]:
    """Return notes on why one root has no hits for a query, the most helpful first. Blocking."""
    parsed = parsed.below(os.fsdecode(pinned.root.spec.raw))
    notes = [*_empty_filters(pinned, parsed)]
    if not notes:
        notes += _near_misses(pinned, parsed)
    notes += _not_indexed(pinned.snapshot)
    return notes


def has_match(pinned: PinnedRoot, parsed: ParsedQuery) -> bool:
    """Return True if a root defines the symbol of a query, or else matches its literals, phrases and regexes.

    False for a query without any of these, and for a root in which half a second finds no match. Blocking.
    """
    parsed = parsed.below(os.fsdecode(pinned.root.spec.raw))
    matchers = [LineMatcher(literal, fixed=True, ignore_case=ignores_case(literal)) for literal in parsed.literals]
    matchers += [LineMatcher(phrase, fixed=True, ignore_case=True) for phrase in parsed.phrases]
    matchers += [LineMatcher(regex.pattern) for regex in parsed.regexes]
    if parsed.symbol:
        return bool(pinned.snapshot.catalog.symbols(parsed.symbol, limit=1))
    return bool(matchers) and all(_first_match(pinned, parsed, matcher) for matcher in matchers)


def _file_ids(snapshot: Snapshot, parsed: ParsedQuery) -> list[int]:
    """Return the ids of the indexed files that pass the filters by language and path."""
    found: list[int] = snapshot.catalog.file_ids(
        language=parsed.language or None, include=parsed.include, exclude=parsed.exclude
    ).tolist()
    if parsed.languages_left_out:
        for language in parsed.languages_left_out:
            left_out = set(snapshot.catalog.file_ids(language=language).tolist())
            found = [one for one in found if one not in left_out]
    return found


def _empty_filters(pinned: PinnedRoot, parsed: ParsedQuery) -> Iterator[str]:
    """Yield a note on each filter that no file or definition of the root passes, even without the other filters."""
    snapshot, where = pinned.snapshot, os.fsdecode(pinned.root.spec.raw)
    if parsed.language and not len(snapshot.catalog.file_ids(language=parsed.language)):
        languages = Counter(file.language for file in snapshot.catalog.indexed_files() if file.language)
        known = ", ".join(name for name, _ in languages.most_common(_MOST_SUGGESTIONS))
        yield f"no indexed file of {where} is in {parsed.language}" + (f"; most are in {known}" if known else "")
    for glob in parsed.include:
        if not len(snapshot.catalog.file_ids(include=[glob])):
            yield f"no indexed file of {where} matches the path {glob}"
    if parsed.symbol and not snapshot.catalog.symbols(parsed.symbol, limit=1):
        near = nearest_names(snapshot, parsed.symbol)[:_MOST_SUGGESTIONS]
        closest = f"; the closest names are {', '.join(near)}" if near else ""
        yield f"no definition in {where} is named {parsed.symbol}{closest}"
    for kind in parsed.kinds:
        passing = chunks_passing_filters(snapshot, ParsedQuery(kinds=(kind,)))
        if passing is not None and not len(passing):
            yield f"no definition in {where} is of the kind {kind}"


def _near_misses(pinned: PinnedRoot, parsed: ParsedQuery) -> Iterator[str]:
    """Yield notes on where literals, phrases and regexes match in another case, or outside the filters."""
    everywhere = replace(parsed, language="", languages_left_out=(), include=(), exclude=())
    for shown, pattern, fixed in [
        *((f'"{literal}"', literal, True) for literal in (*parsed.literals, *parsed.phrases)),
        *((f"/{regex.pattern}/", regex.pattern, False) for regex in parsed.regexes),
    ]:
        if place := _first_match(pinned, parsed, LineMatcher(pattern, fixed=fixed, ignore_case=True)):
            yield f"{shown} matches in another case, or not together with the rest of the query: {place}"
        elif everywhere != parsed and (place := _first_match(pinned, everywhere, LineMatcher(pattern, fixed=fixed))):
            yield f"{shown} matches only outside the filters: {place}"


def _first_match(pinned: PinnedRoot, parsed: ParsedQuery, matcher: LineMatcher) -> str:
    """Return the place of the first match and how many more there are; "" if half a second finds none."""
    request = GrepRequest(
        matcher,
        include=parsed.include,
        exclude=parsed.exclude,
        language=parsed.language or None,
        languages_left_out=parsed.languages_left_out,
        limit=1,
        budget_s=_BUDGET_S,
    )
    found: GrepResult = grep_root(pinned.root, pinned.snapshot, request, mask_secrets=True)
    if not found.lines:
        return ""
    first = found.lines[0]
    more = f" and {found.total - 1:,} more {'line' if found.total == 2 else 'lines'}" if found.total > 1 else ""
    return f"{first.path.decode('utf-8', 'replace')}:{first.line}{more}"


def _not_indexed(snapshot: Snapshot) -> Iterator[str]:
    counts = snapshot.catalog.counts()
    if counts.pending:
        yield f"{file_count(counts.pending)} not indexed yet"
    if counts.failed:
        yield f"{file_count(counts.failed)} not indexed because of an error"
    oversized = counts.skipped.get("oversized", 0)
    if oversized:
        yield f"{file_count(oversized)} too large for search; grep finds text of this size"
