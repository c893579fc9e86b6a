"""Queries to the text index: trigrams combined by "and" and "or"."""

from __future__ import annotations

from msgspec import Struct


class All(Struct, frozen=True):
    """Matches every document."""


class Nothing(Struct, frozen=True):
    """Matches no document."""


class Trigram(Struct, frozen=True):
    """Matches the documents that contain a trigram, encoded as in ``analysis.trigrams``."""

    value: int


class And(Struct, frozen=True):
    """Matches the documents that every part matches; has at least two parts."""

    parts: tuple[Query, ...]


class Or(Struct, frozen=True):
    """Matches the documents that at least one part matches; has at least two parts."""

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
