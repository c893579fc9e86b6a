"""The functions that bind variables, and the ranges of a text in which a variable hides other things of its name."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from tree_sitter import Node

_TYPES = frozenset({"class_body", "class_definition"})


class Scope(NamedTuple):
    """A function, by the offsets of its start, its end, and its name (-1 without one)."""

    start: int
    end: int
    name: int


class Scopes:
    """The functions and classes of a text, which contain one another."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._nodes = sorted(nodes, key=lambda node: (node.start_byte, -node.end_byte))
        self._starts = [node.start_byte for node in self._nodes]
        self._ends = [node.end_byte for node in self._nodes]
        self._outer: list[int] = []
        for number, start in enumerate(self._starts):
            self._outer.append(self._number(number - 1, start))
        self._scopes: dict[int, Scope | None] = {}

    def _number(self, number: int, offset: int) -> int:
        while number >= 0 and self._ends[number] <= offset:
            number = self._outer[number]
        return number

    def around(self, offset: int) -> Scope | None:
        """Return the function that binds a variable; None for a variable of a class or a module."""
        number = self._number(bisect_right(self._starts, offset) - 1, offset)
        if number not in self._scopes:
            self._scopes[number] = _scope_of(self._nodes[number]) if number >= 0 else None
        return self._scopes[number]


def _scope_of(node: Node) -> Scope | None:
    if node.type in _TYPES:
        return None
    name = node.child_by_field_name("name")
    return Scope(node.start_byte, node.end_byte, name.start_byte if name is not None else -1)


class Ranges:
    """Ranges of a text, which may overlap."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        """``ranges`` are sorted pairs of a start and an end."""
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in ranges:
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def has(self, offset: int) -> bool:
        """Return True if an offset is in one of the ranges."""
        place = bisect_right(self._starts, offset) - 1
        return place >= 0 and offset < self._ends[place]
