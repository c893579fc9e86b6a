"""Chunks that are shown: confirmed against the disk, masked, and checked for phrases and regexes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from codeindexd.analysis import secrets
from codeindexd.analysis.chunking.encoding import source_text
from codeindexd.analysis.tokens import Tokenizer, split_identifier
from codeindexd.protocol.places import text_of_path
from codeindexd.search.confirm import ConfirmedChunk, confirm
from codeindexd.search.exact import ignores_case
from codeindexd.search.ranking import Ranked
from codeindexd.search.regexes import LineRegex
from codeindexd.search.searchable_root import SearchableRoot
from codeindexd.storage.snapshot import Snapshot
from codeindexd.types import StoredChunk, StoredFile, Symbol


@dataclass(frozen=True, slots=True)
class Hit:
    """A confirmed chunk of an answer."""

    root: SearchableRoot
    chunk: StoredChunk
    place: ConfirmedChunk
    symbol: str
    snippet: str
    score: float
    parts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class HitRequest:
    """How many hits are wanted, and what their text must contain.

    ``words`` choose which symbol of a chunk is shown.
    """

    limit: int
    words: frozenset[str] = frozenset()
    regexes: Sequence[LineRegex] = ()
    phrases: Sequence[Sequence[str]] = ()
    literals: Sequence[str] = ()

    def is_met_by(self, snippet: str) -> bool:
        """Return True if ``snippet`` has every phrase word by word (the index knows only stems), literal and regex.

        Raises InvalidQueryError when a regex is too slow.
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

    Files that differ from the catalog become hints. Those that cannot be read are named in ``notes``. Blocking. Raises
    FailedError when nothing can be read, and InvalidQueryError when a regex is too slow.
    """
    hits: list[Hit] = []
    changed: set[bytes] = set()
    unreadable: dict[bytes, str] = {}
    for start in range(0, len(ranked), request.limit):
        batch = ranked[start : start + request.limit]
        stored = snapshot.catalog.chunks([one.candidate.chunk_id for one in batch])
        files = snapshot.catalog.files_by_id({chunk.file_id for chunk in stored.values()})
        places = _confirm_chunks(root.spec.raw, stored.values(), files, changed, unreadable)
        for one in batch:
            chunk, place = stored.get(one.candidate.chunk_id), places.get(one.candidate.chunk_id)
            if chunk is None or place is None:
                continue
            snippet = _snippet(place, mask_secrets=mask_secrets)
            if request.is_met_by(snippet):
                symbol = chunk.span.symbol or _closest_symbol(chunk, request.words)
                hits.append(Hit(root, chunk, place, symbol, snippet, one.score, one.parts))
        if len(hits) >= request.limit:
            break
    if changed:
        root.hint_from_thread(changed)
    notes += [
        f"{text_of_path(path)} cannot be read ({error}): what it may hold is not shown"
        for path, error in sorted(unreadable.items())
    ]
    return hits[: request.limit]


def _confirm_chunks(
    root: bytes,
    chunks: Iterable[StoredChunk],
    files: Mapping[int, StoredFile],
    changed: set[bytes],
    unreadable: dict[bytes, str],
) -> dict[int, ConfirmedChunk | None]:
    """Return each chunk's place on the disk by chunk id.

    The paths of files that changed are added to ``changed``, and why others cannot be read to ``unreadable``.
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


def _closest_symbol(chunk: StoredChunk, words: frozenset[str]) -> str:
    """Return the qualified name of the symbol in ``chunk`` that shares most with ``words``, the first of equals."""

    def closeness(symbol: Symbol) -> float:
        parts = split_identifier(symbol.name)
        return 1.0 if symbol.name.lower() in words else len(words.intersection(parts)) / (len(parts) + 1)

    return max(chunk.span.symbols, key=closeness).qualified if chunk.span.symbols else ""
