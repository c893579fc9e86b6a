"""Looks up definitions by name, and explains why a name has none."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace

from codeindexd.analysis.chunking.embedded import HOSTS
from codeindexd.analysis.chunking.grammars import LANGUAGES, languages_to_install
from codeindexd.analysis.chunking.line_outline import LINE_LANGUAGES
from codeindexd.analysis.chunking.notation import native_name, spellings
from codeindexd.analysis.chunking.samples import DOCUMENTS
from codeindexd.protocol.snippets import lines_of
from codeindexd.search.best_line import name_place
from codeindexd.search.declarations import is_value
from codeindexd.search.file_roles import FileRole, role_of
from codeindexd.search.graph.modules import is_spelt, path_parts
from codeindexd.search.hits import Hit, HitRequest, first_hits
from codeindexd.search.literal import literal_chunks
from codeindexd.search.query import ParsedQuery
from codeindexd.search.ranking import Candidate, Ranked
from codeindexd.search.retrievers import files_passing_filters, with_methods
from codeindexd.search.searchable_root import PinnedRoot
from codeindexd.search.spelling import nearest_names
from codeindexd.storage.snapshot import Snapshot
from codeindexd.types import DECLARATION, Definition, StoredDefinition, Symbol

MAX_DEFINITIONS: Final = 1_000
_KNOWN: Final = LANGUAGES | LINE_LANGUAGES | HOSTS | DOCUMENTS  # languages whose definitions can be known
_MOST_NAMES: Final = 100  # that begin with a name or contain it
_ROLES: Final = (FileRole.SOURCE, FileRole.ASIDE, FileRole.TEST, FileRole.DATA, FileRole.DOCUMENT)
_MOST_PLACES: Final = 5
_QUALIFIER: Final = re.compile(r"::|->|[.#\\/]|(?<=\w):(?=\w)")


class Match(enum.StrEnum):
    """How the names of definitions match the name that was asked for, from the closest way to the loosest."""

    EXACT = "exact"
    LAST_PART = "last_part"  # of a qualified name
    PREFIX = "prefix"
    PART = "part"
    SPELLING = "spelling"


class ConfirmedDefinition(Struct, frozen=True):
    """A definition whose chunk was confirmed; its lines are those on the disk.

    ``name`` is its qualified name in the notation of its language. ``centrality`` is that of its file in its root, 0 if
    unknown. ``has_typed_case`` is False if its name differs from the one asked for in case.
    """

    hit: Hit
    definition: Definition
    name: str
    centrality: float = 0.0
    has_typed_case: bool = True


class SymbolAnswer(Struct, frozen=True):
    """Definitions of a name, or of similar names as ``match`` says, and the chunks that use it, if asked for."""

    definitions: list[ConfirmedDefinition]
    references: list[Hit] = field(default_factory=list)
    match: Match = Match.EXACT
    notes: list[str] = field(default_factory=list)


def definitions_in(
    pinned: PinnedRoot, name: str, match: Match, filters: ParsedQuery, notes: list[str], *, mask_secrets: bool
) -> list[ConfirmedDefinition]:
    """Return the definitions of one root whose names match ``name`` in the way of ``match``. Blocking.

    They pass the filters by language, path and kind in ``filters``. Notes on what cannot be read are added to
    ``notes``. Raises FailedError when nothing can be read.
    """
    found = _stored(pinned, name, match, filters)
    by_chunk: dict[int, list[StoredDefinition]] = {}
    for definition in found:
        by_chunk.setdefault(definition.chunk.chunk_id, []).append(definition)
    ranked = [Ranked(Candidate(chunk_id, 0, b""), 0.0) for chunk_id in by_chunk]
    request = HitRequest(MAX_DEFINITIONS, frozenset([name.lower()]), fold_copies=False)
    hits = first_hits(pinned.root, pinned.snapshot, ranked, request, notes, mask_secrets=mask_secrets)
    confirmed = {hit.chunk.chunk_id: hit for hit in hits}
    definitions = [
        _confirmed(confirmed[definition.chunk.chunk_id], definition)
        for definition in found
        if definition.chunk.chunk_id in confirmed
    ]
    return _with_centrality(pinned.snapshot, definitions, name) if match is Match.EXACT else definitions


def _with_centrality(
    snapshot: Snapshot, definitions: Sequence[ConfirmedDefinition], name: str
) -> list[ConfirmedDefinition]:
    """Return ``definitions`` of ``name`` with what tells the one that is meant from others of the name."""
    last = last_part(name)
    ranks = [0.0] * len(definitions)
    if snapshot.centrality is not None:
        ranks = np.nan_to_num(snapshot.centrality.of([one.hit.chunk.file_id for one in definitions])).tolist()
    return [
        replace(definition, centrality=rank, has_typed_case=definition.definition.name == last)
        for definition, rank in zip(definitions, ranks, strict=True)
    ]


def count_left_out(pinned: PinnedRoot, name: str) -> int:
    """Return how many definitions of exactly ``name`` one root has, whatever the filters. Blocking."""
    return len(pinned.snapshot.catalog.definitions_named(name, limit=MAX_DEFINITIONS))


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
    known, missing = _KNOWN - languages_to_install(), languages_to_install()
    unknown = sorted({chunk.language or "plain text" for chunk in chunks if chunk.language not in known})
    notes = []
    if chunks:
        places = ", ".join(f"{_text(chunk.path)}:{lines[chunk.chunk_id]}" for chunk in chunks[:_MOST_PLACES])
        more = f" and {len(chunks) - _MOST_PLACES} more" if len(chunks) > _MOST_PLACES else ""
        notes.append(f"{name} occurs in {places}{more}")
    if unknown:
        remedy = " (install codeindexd[languages])" if missing.intersection(unknown) else ""
        notes.append(f"no symbols are known for {', '.join(unknown)}{remedy}")
    return notes


def _stored(pinned: PinnedRoot, name: str, match: Match, filters: ParsedQuery) -> list[StoredDefinition]:
    """Return the definitions of a name that pass the filters, at most ``MAX_DEFINITIONS``, as the catalog has them."""
    files = files_passing_filters(pinned, filters)
    kinds, left_out = with_methods(filters.kinds), with_methods(filters.kinds_left_out)

    def passes(definition: Definition) -> bool:
        return (not kinds or definition.kind in kinds) and definition.kind not in left_out

    found: list[StoredDefinition] = []
    for spelling in _names(pinned.snapshot, name, match):
        wanted = MAX_DEFINITIONS - len(found)
        found += pinned.snapshot.catalog.definitions_named(spelling, limit=wanted, files=files, accepts=passes)
    container, last = _split(name)
    if match is Match.EXACT and not found and container:
        of_last = pinned.snapshot.catalog.definitions_named(last, limit=MAX_DEFINITIONS, files=files, accepts=passes)
        found = [
            stored
            for stored in of_last
            if is_spelt(
                f"{container}.{last}",
                [*spellings(stored.outline, stored.number, stored.chunk.language)],
                stored.chunk.path,
            )
        ]
        found = found or [stored for stored in of_last if _is_exported(stored, container)]
    return found


def _is_exported(stored: StoredDefinition, package: str) -> bool:
    """Return True if a definition is outside types in a file of a package, which may export it: ``asyncio.run``."""
    return stored.definition.container < 0 and f".{package}." in f".{'.'.join(path_parts(stored.chunk.path))}."


def _names(snapshot: Snapshot, name: str, match: Match) -> list[str]:
    """Return the names of definitions that match ``name`` in the way of ``match``; it itself if that is exactly."""
    if match is Match.EXACT:
        return [name]
    container, last = _split(name)
    names: Sequence[str]
    if match is Match.LAST_PART:
        container, names = "", [last] if container else []
    elif match is Match.SPELLING:
        names = nearest_names(snapshot, last)
    else:
        names = snapshot.catalog.symbol_names(last, only_prefix=match is Match.PREFIX, limit=_MOST_NAMES)
    return [f"{container}.{name}" if container else name for name in names]


def _confirmed(hit: Hit, stored: StoredDefinition) -> ConfirmedDefinition:
    """Return a definition with its lines on the disk, where its chunk may be elsewhere than in the catalog."""
    definition = stored.definition
    shift = hit.place.start_line - hit.chunk.span.start_line
    line = definition.line + shift
    row = hit.place.row_of(line)
    if row is None:  # several lines of a notebook's cell are on one line of its file
        symbol = Symbol(definition.name, definition.qualified, definition.kind, 0)
        row = name_place(lines_of(hit.snippet), symbol).line_offset
    moved = replace(
        definition, line=line, start_line=definition.start_line + shift, end_line=definition.end_line + shift
    )
    name = native_name(stored.outline, stored.number, hit.chunk.language)
    return ConfirmedDefinition(replace(hit, best_line=line, best_row=row), moved, name)


def place_in_answer(definition: ConfirmedDefinition) -> tuple[int, bool, bool, bool, float]:
    """Return the key by which definitions are sorted: those in source first, those in documents last.

    In each of these groups what is only declared comes last, fields and other values after functions and types, and
    names in another case than the typed one after others; then files on which much relies come first.
    """
    chunk, defined = definition.hit.chunk, definition.definition
    role = FileRole.DOCUMENT if chunk.language in DOCUMENTS else role_of(chunk.path, chunk.language)
    is_declared = defined.kind == DECLARATION
    return _ROLES.index(role), is_declared, not definition.has_typed_case, is_value(defined), -definition.centrality


def _text(path: bytes) -> str:
    return path.decode("utf-8", "replace")
