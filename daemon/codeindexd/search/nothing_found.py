"""Explains why a query has no hits: how many files it searched, what excludes everything, and what comes closest."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from codeindexd.quantities import quantity
from codeindexd.search.exact import ignores_case
from codeindexd.search.grep import GrepRequest, GrepResult, GrepTotals, files_to_search, grep_files, grep_root
from codeindexd.search.line_matcher import LineMatcher
from codeindexd.search.query import ParsedQuery
from codeindexd.search.retrievers import chunks_passing_filters
from codeindexd.search.searchable_root import PinnedRoot
from codeindexd.search.spelling import nearest_names
from codeindexd.storage.snapshot import Snapshot
from codeindexd.types import Counts

_BUDGET_S: Final = 0.5  # for each search beyond the query
_MOST_SUGGESTIONS: Final = 5


def files_in_scope(pinned: PinnedRoot, parsed: ParsedQuery) -> int:
    """Return how many indexed files of a root pass the filters by language and path. Blocking."""
    parsed = parsed.below(os.fsdecode(pinned.root.spec.raw))
    return len(_file_ids(pinned.snapshot, parsed))


class RootNote(NamedTuple):
    """A note on one root: ``start``, ``root``, ``end`` and ``detail`` in this order, see :func:`fold_notes`."""

    start: str
    root: str = ""
    end: str = ""
    detail: str = ""


def explain_no_hits(pinned: PinnedRoot, parsed: ParsedQuery, *, suggest: bool) -> list[RootNote]:
    """Return notes on why one root has no hits for a query, the most helpful first. Blocking.

    Only with ``suggest`` do they say what comes close, which may take half a second for each part of the query.
    """
    parsed = parsed.below(os.fsdecode(pinned.root.spec.raw))
    notes = [*_empty_filters(pinned, parsed, suggest=suggest)]
    if not notes and suggest:
        notes += _near_misses(pinned, parsed)
    return notes


def fold_notes(notes: Iterable[RootNote]) -> list[str]:
    """Return the notes as text: those that differ only in their root and detail are one, with the number of roots."""
    groups: dict[tuple[str, str], list[RootNote]] = {}
    for note in notes:
        groups.setdefault((note.start, note.end), []).append(note)
    return [_folded(group) for group in groups.values()]


def _folded(group: Sequence[RootNote]) -> str:
    first = group[0]
    if len(group) == 1:
        return "".join(first)
    if first.root:
        return f"{first.start}{len(group)} roots{first.end}"
    return f"{first.start}{first.detail}, and in {quantity(len(group) - 1, 'more root')}"


def asks_for_text(parsed: ParsedQuery) -> bool:
    """Return True if a query requires a symbol, a literal, a phrase or a regex, which :func:`has_match` looks for."""
    return bool(parsed.symbol or parsed.literals or parsed.phrases or parsed.regexes)


def notes_on_others(matching: Sequence[str], not_examined: int) -> list[str]:
    """Return notes on roots that were not searched: those ``matching``, and how many were not examined."""
    notes = []
    if len(matching) == 1:
        notes.append(f"{matching[0]} has a match, and was not searched")
    elif matching:
        more = len(matching) - _MOST_SUGGESTIONS
        shown = ", ".join(matching[:_MOST_SUGGESTIONS]) + (f" and {quantity(more, 'more root')}" if more > 0 else "")
        notes.append(f"{shown} have a match, and were not searched")
    if not_examined > 0:
        notes.append(f"{quantity(not_examined, 'more root was', 'more roots were')} not looked at")
    return notes


def notes_on_unexamined(roots: int) -> list[str]:
    """Return the note that ``roots`` further roots were not examined for what comes close; none for 0."""
    return [f"{quantity(roots, 'more root was', 'more roots were')} not examined for what comes close"] if roots else []


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


def lacks(pinned: PinnedRoot, parsed: ParsedQuery, text: str, budget_s: float) -> bool:
    """Return True if certainly no line of the files that pass the filters has ``text``, in any case. Blocking.

    False if ``budget_s`` is not enough to tell.
    """
    matcher = LineMatcher(text, fixed=True, ignore_case=True)
    request = replace(GrepRequest.within(parsed, matcher, budget_s), names_only=True).for_root(pinned.root)
    totals = GrepTotals()
    files = files_to_search(pinned.root, pinned.snapshot, request)
    found = any(grep_files(pinned.root, files, request, totals, mask_secrets=True))
    return not (found or totals.left_out)


def _file_ids(snapshot: Snapshot, parsed: ParsedQuery) -> list[int]:
    """Return the ids of the indexed files that pass the filters by language and path."""
    found: list[int] = snapshot.catalog.file_ids(
        language=parsed.language or None, include=parsed.include, exclude=parsed.exclude
    ).tolist()
    if parsed.languages_left_out:
        for language in parsed.languages_left_out:
            left_out = set(snapshot.catalog.file_ids(language=language).tolist())
            found = [file_id for file_id in found if file_id not in left_out]
    return found


def _empty_filters(pinned: PinnedRoot, parsed: ParsedQuery, *, suggest: bool) -> Iterator[RootNote]:
    """Yield a note on each filter that no file or definition of the root passes, even without the other filters."""
    snapshot, where = pinned.snapshot, os.fsdecode(pinned.root.spec.raw)
    if parsed.language and not len(snapshot.catalog.file_ids(language=parsed.language)):
        languages = Counter(file.language for file in snapshot.catalog.indexed_files() if file.language)
        known = ", ".join(name for name, _ in languages.most_common(_MOST_SUGGESTIONS))
        most = f"; most are in {known}" if known else ""
        yield RootNote("no indexed file of ", where, f" is in {parsed.language}", most)
    for glob in parsed.include:
        if not len(snapshot.catalog.file_ids(include=[glob])):
            yield RootNote("no indexed file of ", where, f" matches the path {glob}")
    if parsed.symbol and not snapshot.catalog.symbols(parsed.symbol, limit=1):
        near = nearest_names(snapshot, parsed.symbol)[:_MOST_SUGGESTIONS] if suggest else []
        written = [_as_written(snapshot, name) for name in near]
        closest = f"; the closest {'name is' if len(near) == 1 else 'names are'} {', '.join(written)}" if near else ""
        yield RootNote("no definition in ", where, f" is named {parsed.symbol}", closest)
    for kind in parsed.kinds:
        passing = chunks_passing_filters(snapshot, ParsedQuery(kinds=(kind,)))
        if passing is not None and not len(passing):
            yield RootNote("no definition in ", where, f" is of the kind {kind}")


def _as_written(snapshot: Snapshot, name: str) -> str:
    """Return a lowercase name in the case of a definition."""
    found = snapshot.catalog.definitions_named(name, limit=1)
    return found[0].definition.name if found else name


def _near_misses(pinned: PinnedRoot, parsed: ParsedQuery) -> Iterator[RootNote]:
    """Yield notes on where literals, phrases and regexes match in another case, or outside the filters."""
    everywhere = replace(parsed, language="", languages_left_out=(), include=(), exclude=())
    for shown, pattern, fixed in [
        *((f'"{literal}"', literal, True) for literal in (*parsed.literals, *parsed.phrases)),
        *((f"/{regex.pattern}/", regex.pattern, False) for regex in parsed.regexes),
    ]:
        if place := _first_match(pinned, parsed, LineMatcher(pattern, fixed=fixed, ignore_case=True)):
            why = "matches in another case, or not together with the rest of the query"
            yield RootNote(f"{shown} {why}: ", detail=place)
        elif everywhere != parsed and (place := _first_match(pinned, everywhere, LineMatcher(pattern, fixed=fixed))):
            yield RootNote(f"{shown} matches only outside the filters: ", detail=place)


def _first_match(pinned: PinnedRoot, parsed: ParsedQuery, matcher: LineMatcher) -> str:
    """Return the place of the first match and how many more there are; "" if half a second finds none."""
    request = replace(GrepRequest.within(parsed, matcher, _BUDGET_S), limit=1)
    found: GrepResult = grep_root(pinned.root, pinned.snapshot, request, mask_secrets=True)
    if not found.lines:
        return ""
    first = found.lines[0]
    more = f" and {quantity(found.total - 1, 'more line')}" if found.total > 1 else ""
    return f"{first.path.decode('utf-8', 'replace')}:{first.line}{more}"


def notes_on_unindexed(counts: Iterable[Counts]) -> list[str]:
    """Return notes on the files of all searched roots, given the counts of each, that are not indexed."""
    every = [*counts]
    notes = []
    if pending := sum(counts.pending for counts in every):
        notes.append(f"{quantity(pending, 'file')} not indexed yet")
    if failed := sum(counts.failed for counts in every):
        notes.append(f"{quantity(failed, 'file')} not indexed because of an error")
    if oversized := sum(counts.skipped.get("oversized", 0) for counts in every):
        notes.append(f"{quantity(oversized, 'file')} too large for search; grep finds text of this size")
    return notes
