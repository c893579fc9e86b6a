"""Builds the JSON results of ``search``, ``related`` and ``symbol``: hits, groups of them, and definitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codeindexd.analysis.chunking.notebook import CellLine
from codeindexd.protocol.places import path_to_json
from codeindexd.search.grep_stream import GrepStream
from codeindexd.search.hits import Copy, Hit
from codeindexd.search.levels import Group
from codeindexd.search.searcher import Answer, GrepAnswer
from codeindexd.search.symbols import ConfirmedDefinition, Match, SymbolAnswer
from codeindexd.types import RootState


def answer(query: str, found: Answer, *, explain: bool = False, unavailable: Sequence[str] = ()) -> dict[str, Any]:
    """Return the result of ``search`` or ``related``; ``unavailable`` says of roots why nothing of them is in it."""
    notes = [*found.notes, *unavailable]
    return {
        "query": query,
        "took_ms": round(found.took_ms, 2),
        "clock": found.clock,
        "state": state_of(found, unavailable).value,
        "dense_coverage": found.dense_coverage,
        "hits": [_hit_entry(hit, explain=explain) for hit in found.hits],
        **({} if found.groups is None else {"groups": _group_entries(found.groups)}),
        **({} if found.searched is None else {"searched": found.searched}),
        **({"notes": notes} if notes else {}),
    }


def state_of(found: Answer | GrepAnswer | GrepStream, unavailable: Sequence[str]) -> RootState:
    """Return the worst state of the roots that were searched, and of the ``unavailable`` ones."""
    return RootState.DEGRADED if unavailable and found.state is not RootState.MISSING else found.state


def _hit_entry(hit: Hit, *, score: bool = True, explain: bool = False) -> dict[str, Any]:
    """Return the entry of a hit; lines and bytes are positions in the file on the disk."""
    entry: dict[str, Any] = {
        **path_to_json(hit.root.spec.raw, key="root"),
        **path_to_json(hit.chunk.path),
        "start_line": hit.place.start_line,
        "end_line": hit.place.end_line,
        "start_byte": hit.place.start_byte,
        "end_byte": hit.place.end_byte,
        "language": hit.chunk.language,
        "kind": hit.kind,
        "symbol": hit.symbol,
        **cell_fields(hit.place.cell),
    }
    if score:
        entry["score"] = round(hit.score, 4)
    entry |= {"verified": True, "best_line": hit.best_line}
    if hit.place.cell is not None:
        entry["best_cell_line"] = hit.place.cell.line + hit.best_row
    entry["snippet"] = hit.snippet
    if hit.copy_count:
        entry |= {"copy_count": hit.copy_count, "copies": [_copy_entry(copy) for copy in hit.copies]}
    if explain:
        entry["explain"] = {name: round(part, 4) for name, part in hit.parts.items()}
    return entry


def cell_fields(place: CellLine | None) -> dict[str, int]:
    """Return the fields for a line in a notebook: its cell and its number there; {} for other files."""
    return {"cell": place.cell, "cell_line": place.line} if place is not None else {}


def _copy_entry(copy: Copy) -> dict[str, Any]:
    return {
        **path_to_json(copy.root.spec.raw, key="root"),
        **path_to_json(copy.path),
        "start_line": copy.start_line,
        "end_line": copy.end_line,
    }


def _group_entries(groups: Sequence[Group]) -> list[dict[str, Any]]:
    entries = []
    first = 0
    for group in groups:
        entries.append(
            {
                **path_to_json(group.root.spec.raw, key="root"),
                **path_to_json(group.path),
                "score": round(group.score, 4),
                "hits": list(range(first, first + len(group.hits))),
                **({"files": group.files} if group.path != group.hits[0].chunk.path else {}),
            }
        )
        first += len(group.hits)
    return entries


def symbol_answer(name: str, found: SymbolAnswer, state: RootState) -> dict[str, Any]:
    """Return the result of ``symbol``."""
    definitions = [_definition_entry(definition) for definition in found.definitions]
    return {
        "symbol": name,
        "state": state.value,
        "definitions": definitions if found.match is Match.EXACT else [],
        "references": [_hit_entry(hit, score=False) for hit in found.references],
        **({} if found.match is Match.EXACT else {"similar": definitions, "match": found.match.value}),
        **({"notes": found.notes} if found.notes else {}),
    }


def _definition_entry(found: ConfirmedDefinition) -> dict[str, Any]:
    """Return the chunk of a definition as a hit, with the place, kind and name of the definition itself."""
    definition = found.definition
    return {
        **_hit_entry(found.hit, score=False),
        "kind": definition.kind,
        "symbol": found.name,
        "name": definition.name,
        "name_line": definition.line,
        "column": definition.column,
        "extent": [definition.start_line, definition.end_line],
        "signature": definition.signature,
        **({"doc": definition.doc} if definition.doc else {}),
        **({"visibility": definition.visibility.value} if definition.visibility else {}),
    }
