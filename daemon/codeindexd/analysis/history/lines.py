"""Splits a file into lines, as git counts them."""

from __future__ import annotations


def lines_of(data: bytes) -> list[bytes]:
    """Split a file into lines, each with its newline. Only the last one can lack it."""
    lines = data.split(b"\n")
    last = lines.pop()
    whole = [line + b"\n" for line in lines]
    return [*whole, last] if last else whole
