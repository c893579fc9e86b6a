"""Numbers with their nouns, as they stand in messages."""

from __future__ import annotations


def quantity(number: int, noun: str, plural: str = "") -> str:
    """Return ``number`` with its noun: ``1 file``, ``1,903 files``. ``plural`` is needed if it does not add an s."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
