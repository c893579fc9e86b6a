"""Looks up definitions by name, and explains why a name has none."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from codeindexd.analysis.chunking import LANGUAGES
from codeindexd.search.best_line import name_place
from codeindexd.search.hits import Hit, HitRequest, first_hits
from codeindexd.search.literal import literal_chunks
from codeindexd.search.ranking import Candidate, Ranked
from codeindexd.search.searchable_root import PinnedRoot
from codeindexd.search.spelling import nearest_names
from codeindexd.storage.snapshot import Snapshot
from codeindexd.types import StoredChunk, Symbol

MAX_DEFINITIONS: Final = 1_000
_MOST_NAMES: Final = 100  # that begin with a name or contain it
_MOST_PLACES: Final = 5
_QUALIFIER: Final = re.compile(r"::|->|[.#\\/]")


class Match(enum.StrEnum):
    """How the names of definitions match the name that was asked for, from the closest way to the loosest."""

    EXACT = "exact"
    LAST_PART = "last_part"  # of a qualified name
    PREFIX = "prefix"
    PART = "part"
    SPELLING = "spelling"


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition in a confirmed chunk.

    ``line`` (from 1) and ``column`` (in bytes, from 1) are those of its name on the disk; ``signature`` is the stripped
    text of that line.
    """

    hit: Hit
    symbol: Symbol
    line: int
    column: int
    signature: str


@dataclass(frozen=True, slots=True)
class SymbolAnswer:
    """Definitions of a name, or of similar names as ``match`` says, and the chunks that use it, if asked for."""

    definitions: list[Definition]
    references: list[Hit] = field(default_factory=list)
    match: Match = Match.EXACT
    notes: list[str] = field(default_factory=list)


def definitions_in(
    pinned: PinnedRoot, name: str, match: Match, notes: list[str], *, mask_secrets: bool
) -> list[Definition]:
    """Return the definitions of one root whose names match ``name`` in the way of ``match``. Blocking.

    Notes on what cannot be read are added to ``notes``. Raises FailedError when nothing can be read.
    """
    found = _symbols(pinned.snapshot, name, match)
    symbols: dict[int, list[Symbol]] = {}
    for chunk, symbol in found:
        symbols.setdefault(chunk.chunk_id, []).append(symbol)
    ranked = [Ranked(Candidate(chunk_id, 0, b""), 0.0) for chunk_id in symbols]
    request = HitRequest(MAX_DEFINITIONS, frozenset([name.lower()]), fold_copies=False)
    hits = first_hits(pinned.root, pinned.snapshot, ranked, request, notes, mask_secrets=mask_secrets)
    return [_definition(hit, symbol) for hit in hits for symbol in symbols[hit.chunk.chunk_id]]


def last_part(name: str) -> str:
    """Return the last part of a qualified name in any language's notation: ``get`` of ``Client::get``."""
    return _split(name)[1]


def _split(name: str) -> tuple[str, str]:
    """Return the qualifier of a name in any notation, with dots ("" if it has none), and its last part."""
    *qualifier, last = _QUALIFIER.split(name)
    return (".".join(filter(None, qualifier)), last) if last else ("", name)


def notes_without_definition(pinned: PinnedRoot, name: str) -> list[str]:
    """Return notes on a name without a definition: where it occurs, and in which unsupported languages. Blocking."""
    lines = literal_chunks(pinned.root, pinned.snapshot, name)
    chunks = sorted(
        pinned.snapshot.catalog.chunks(sorted(lines)).values(), key=lambda chunk: (chunk.path, lines[chunk.chunk_id])
    )
    unknown = sorted({chunk.language or "plain text" for chunk in chunks if chunk.language not in LANGUAGES})
    notes = []
    if chunks:
        places = ", ".join(f"{_text(chunk.path)}:{lines[chunk.chunk_id]}" for chunk in chunks[:_MOST_PLACES])
        more = f" and {len(chunks) - _MOST_PLACES} more" if len(chunks) > _MOST_PLACES else ""
        notes.append(f"{name} occurs in {places}{more}")
    if unknown:
        notes.append(f"no symbols are known for {', '.join(unknown)}")
    return notes


def _symbols(snapshot: Snapshot, name: str, match: Match) -> list[tuple[StoredChunk, Symbol]]:
    catalog = snapshot.catalog
    if match is Match.EXACT:
        return catalog.symbols(name, limit=MAX_DEFINITIONS)
    container, last = _split(name)
    names: Sequence[str]
    if match is Match.LAST_PART:
        container, names = "", [last] if container else []
    elif match is Match.SPELLING:
        names = nearest_names(snapshot, last)
    else:
        names = catalog.symbol_names(last, only_prefix=match is Match.PREFIX, limit=_MOST_NAMES)
    wanted = [f"{container}.{one}" if container else one for one in names]
    return [found for one in wanted for found in catalog.symbols(one, limit=MAX_DEFINITIONS)][:MAX_DEFINITIONS]


def _definition(hit: Hit, symbol: Symbol) -> Definition:
    lines = hit.snippet.splitlines()
    place = name_place(lines, symbol)
    line = lines[place.line_offset] if lines else ""
    number = hit.place.line_of(place.line_offset)
    column = len(line[: place.column].encode("utf-8", "surrogatepass")) + 1
    return Definition(replace(hit, best_line=number, best_row=place.line_offset), symbol, number, column, line.strip())


def _text(path: bytes) -> str:
    return path.decode("utf-8", "replace")
