"""Turns ranked chunks into hits: confirmed against the disk, masked, and checked for phrases and regexes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from codeindexd.analysis import secrets
from codeindexd.analysis.chunking.encoding import source_text
from codeindexd.analysis.tokens import Tokenizer, split_identifier
from codeindexd.protocol.places import text_of_path
from codeindexd.protocol.snippets import lines_of
from codeindexd.search.best_line import BestLine, definition_around, name_place
from codeindexd.search.confirm import ConfirmedChunk, confirm
from codeindexd.search.copies import copies_of
from codeindexd.search.exact import ignores_case
from codeindexd.search.query import ParsedQuery
from codeindexd.search.ranking import Ranked
from codeindexd.search.regexes import LineRegex
from codeindexd.search.retrievers import with_methods
from codeindexd.search.searchable_root import SearchableRoot
from codeindexd.storage.catalog.snapshot import is_named
from codeindexd.storage.snapshot import Snapshot
from codeindexd.types import StoredChunk, StoredFile, Symbol

MAX_COPIES: Final = 100
"""Places of the same text that one hit lists."""


class Copy(Struct, frozen=True):
    """A place with the same text as a hit."""

    root: SearchableRoot
    path: bytes
    start_line: int
    end_line: int


class Hit(Struct, frozen=True):
    """A confirmed chunk of an answer, with its masked text in ``snippet``.

    ``best_line`` (a line of the file on the disk, from 1) answers the query best; in ``snippet`` it is ``best_row``,
    from 0. ``symbol`` and ``kind`` are those of the definition around it, or else of the chunk. ``parts`` add up to
    ``score``. ``copies`` lists at most ``MAX_COPIES`` of the ``copy_count`` other places with the same text.
    """

    root: SearchableRoot
    chunk: StoredChunk
    place: ConfirmedChunk
    symbol: str
    kind: str
    snippet: str
    score: float
    parts: Mapping[str, float]
    best_line: int
    best_row: int
    copies: Sequence[Copy] = ()
    copy_count: int = 0


class HitRequest(Struct, frozen=True):
    """How many hits are wanted, and what their text must contain.

    ``words`` choose which symbol of a chunk is shown, and ``best`` which line. With ``fold_copies``, chunks with the
    same text are one hit. The definition that is shown passes the filters of ``parsed`` if any does.
    """

    limit: int
    words: frozenset[str] = frozenset()
    regexes: Sequence[LineRegex] = ()
    phrases: Sequence[Sequence[str]] = ()
    literals: Sequence[str] = ()
    best: BestLine = field(default_factory=BestLine)
    fold_copies: bool = True
    parsed: ParsedQuery = field(default_factory=ParsedQuery)

    def wanted_definitions(self, symbols: Sequence[Symbol]) -> list[Symbol]:
        """Return those of ``symbols`` that pass the filters by kind and name of ``parsed``, in their order."""
        parsed = self.parsed
        kinds, left_out = with_methods(parsed.kinds), with_methods(parsed.kinds_left_out)
        return [
            symbol
            for symbol in symbols
            if (not kinds or symbol.kind in kinds)
            and symbol.kind not in left_out
            and (not parsed.symbol or is_named(symbol, parsed.symbol))
        ]

    def is_met_by(self, snippet: str) -> bool:
        """Return True if ``snippet`` contains every phrase and literal, and every regex matches in it.

        Phrases are compared word by word, because the index knows only stems. Raises InvalidQueryError when a regex is
        too slow.
        """
        if self.phrases:
            text = f" {' '.join(Tokenizer(memo_entries=1_000).words(snippet))} "
            if not all(f" {' '.join(phrase)} " in text for phrase in self.phrases):
                return False
        if not all(literal in (snippet.lower() if ignores_case(literal) else snippet) for literal in self.literals):
            return False
        return all(regex.search(snippet) for regex in self.regexes)


def first_hits(
    root: SearchableRoot,
    snapshot: Snapshot,
    ranked: Sequence[Ranked],
    request: HitRequest,
    notes: list[str],
    *,
    mask_secrets: bool,
) -> list[Hit]:
    """Return the first ``request.limit`` of ``ranked`` that are on the disk and meet ``request``.

    Files that differ from the catalog become hints. A note on each file that cannot be read is added to ``notes``.
    Blocking. Raises FailedError when nothing can be read, and InvalidQueryError when a regex is too slow.
    """
    hits: list[Hit] = []
    numbers: dict[bytes, int] = {}  # indexes into hits, by the hash of their text
    with_copies: set[int] = set()
    changed: set[bytes] = set()
    unreadable: dict[bytes, str] = {}
    for start in range(0, len(ranked), request.limit):
        batch = ranked[start : start + request.limit]
        stored = snapshot.catalog.chunks([item.candidate.chunk_id for item in batch])
        files = snapshot.catalog.files_by_id({chunk.file_id for chunk in stored.values()})
        places = _confirm_chunks(root.spec.raw, stored.values(), files, changed, unreadable)
        for item in batch:
            chunk, place = stored.get(item.candidate.chunk_id), places.get(item.candidate.chunk_id)
            if chunk is None or place is None:
                continue
            if request.fold_copies and chunk.span_hash in numbers:
                with_copies.add(numbers[chunk.span_hash])
                continue
            snippet = _snippet(place, mask_secrets=mask_secrets)
            if request.is_met_by(snippet):
                numbers[chunk.span_hash] = len(hits)
                hits.append(_hit(root, item, chunk, place, snippet, request))
        if len(hits) >= request.limit:
            break
    for number in with_copies.intersection(range(request.limit)):
        hits[number] = _with_copies(snapshot, hits[number])
    if changed:
        root.hint_from_thread(changed)
    notes += [
        f"{text_of_path(path)} cannot be read ({error}): what it may hold is not shown"
        for path, error in sorted(unreadable.items())
    ]
    return hits[: request.limit]


def fold_hits(hits: Iterable[Hit]) -> list[Hit]:
    """Return ``hits`` (best first) with those of the same text folded into the best of them, as its copies."""
    found: dict[bytes, Hit] = {}
    for hit in hits:
        best = found.get(hit.chunk.span_hash)
        if best is None:
            found[hit.chunk.span_hash] = hit
            continue
        places = [*best.copies, Copy(hit.root, hit.chunk.path, hit.place.start_line, hit.place.end_line), *hit.copies]
        count = best.copy_count + 1 + hit.copy_count
        found[hit.chunk.span_hash] = replace(best, copies=places[:MAX_COPIES], copy_count=count)
    return list(found.values())


def _hit(
    root: SearchableRoot, ranked: Ranked, chunk: StoredChunk, place: ConfirmedChunk, snippet: str, request: HitRequest
) -> Hit:
    """Return a confirmed chunk as a hit, with the line to show and the definition that it is shown as."""
    row = (
        place.row_of(ranked.candidate.line + place.start_line - chunk.span.start_line)
        if ranked.candidate.line
        else None
    )
    lines = lines_of(snippet)
    defined = ranked.candidate.defined if row is not None else None  # chunks do not list variables and fields
    if row is None:
        row = request.best.offset(lines, chunk.span.symbols)
    shown = definition_around(lines, chunk.span.symbols, row)
    wanted = request.wanted_definitions(chunk.span.symbols)
    if wanted and len(wanted) < len(chunk.span.symbols):
        if shown not in wanted:
            shown = _closest_symbol(wanted, request.words)
            row = name_place(lines, shown).line_offset if shown else row
    elif shown is None and defined is None and not chunk.span.symbol:
        shown = _closest_symbol(chunk.span.symbols, request.words)
    symbol, kind = (shown.qualified, shown.kind) if shown else defined or (chunk.span.symbol, chunk.span.kind)
    return Hit(
        root,
        chunk,
        place,
        symbol=symbol,
        kind=kind,
        snippet=snippet,
        score=ranked.score,
        parts=ranked.parts,
        best_line=place.line_of(row),
        best_row=row,
    )


def _with_copies(snapshot: Snapshot, hit: Hit) -> Hit:
    """Return the hit with the copies of its text that are on the disk now."""
    found: list[Copy] = []
    count = 0
    for path, chunks in itertools.groupby(copies_of(snapshot, hit.chunk, hit.snippet), key=lambda chunk: chunk.path):
        of_file = list(chunks)
        encoding = snapshot.catalog.files_by_id([of_file[0].file_id])[of_file[0].file_id].encoding
        for place in _confirmed_or_none(hit.root.spec.raw, of_file, encoding):
            if place is None:
                continue
            count += 1
            if len(found) < MAX_COPIES:
                found.append(Copy(hit.root, path, place.start_line, place.end_line))
    return replace(hit, copies=found, copy_count=count)


def _confirmed_or_none(root: bytes, chunks: Sequence[StoredChunk], encoding: str) -> list[ConfirmedChunk | None]:
    """Return what :func:`confirm` does, and None for each chunk of a file that cannot be read."""
    try:
        return confirm(root, chunks, encoding)
    except OSError:
        return [None] * len(chunks)


def _confirm_chunks(
    root: bytes,
    chunks: Iterable[StoredChunk],
    files: Mapping[int, StoredFile],
    changed: set[bytes],
    unreadable: dict[bytes, str],
) -> dict[int, ConfirmedChunk | None]:
    """Return the place of each chunk on the disk by chunk id, None for text that is gone.

    Paths of files that changed are added to ``changed``. Files that cannot be read are added to ``unreadable`` with the
    reason, and to ``changed``; their chunks are missing from the result.
    """
    by_path: dict[bytes, list[StoredChunk]] = {}
    for chunk in chunks:
        by_path.setdefault(chunk.path, []).append(chunk)
    places: dict[int, ConfirmedChunk | None] = {}
    for path, of_file in by_path.items():
        try:
            found = confirm(root, of_file, files[of_file[0].file_id].encoding)
        except OSError as error:
            unreadable[path] = error.strerror or str(error)
            changed.add(path)  # the scan that follows reports it for as long as it lasts
            continue
        places.update((chunk.chunk_id, place) for chunk, place in zip(of_file, found, strict=True))
        if any(place is None or place.moved for place in found):
            changed.add(path)
    return places


def _snippet(place: ConfirmedChunk, *, mask_secrets: bool) -> str:
    text, before, after = (source_text(part, place.encoding) for part in (place.data, place.before, place.after))
    if not mask_secrets:
        return text
    return secrets.mask(_utf8(text), before=_utf8(before), after=_utf8(after)).decode("utf-8", "surrogatepass")


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _closest_symbol(symbols: Sequence[Symbol], words: frozenset[str]) -> Symbol | None:
    """Return the symbol closest to ``words``, the first of equals; None if there are none."""

    def closeness(symbol: Symbol) -> float:
        parts = split_identifier(symbol.name)
        return 1.0 if symbol.name.lower() in words else len(words.intersection(parts)) / (len(parts) + 1)

    return max(symbols, key=closeness, default=None)
