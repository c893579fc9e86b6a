"""What the text index can be asked: trigrams combined by and, or."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class All:
    """Every document: nothing is known that would exclude one."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """No document."""


@dataclass(frozen=True, slots=True)
class Trigram:
    """Documents that hold a trigram (see `analysis.trigrams`)."""

    value: int


@dataclass(frozen=True, slots=True)
class And:
    """Documents for which every part holds; at least two parts."""

    parts: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Documents for which some part holds; at least two parts."""

    parts: tuple[Query, ...]


Query = All | Nothing | Trigram | And | Or


def all_of(parts: list[Query]) -> Query:
    """Return the conjunction of ``parts``, simplified."""
    if any(isinstance(part, Nothing) for part in parts):
        return Nothing()
    flat: dict[Query, None] = {}
    for part in parts:
        flat.update(dict.fromkeys(part.parts if isinstance(part, And) else [part]))
    flat.pop(All(), None)
    kept = tuple(flat)
    if not kept:
        return All()
    return kept[0] if len(kept) == 1 else And(kept)


def any_of(parts: list[Query]) -> Query:
    """Return the disjunction of ``parts``, simplified."""
    if any(isinstance(part, All) for part in parts):
        return All()
    flat: dict[Query, None] = {}
    for part in parts:
        flat.update(dict.fromkeys(part.parts if isinstance(part, Or) else [part]))
    flat.pop(Nothing(), None)
    kept = tuple(flat)
    if not kept:
        return Nothing()
    return kept[0] if len(kept) == 1 else Or(kept)
