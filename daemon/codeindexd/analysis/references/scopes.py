"""The functions that bind variables, and the parts of a text in which a variable hides other things of its name."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from tree_sitter import Node

_TYPES = frozenset(
    {
        "class", "class_body", "class_definition", "declaration_list", "enum_class_body", "module", "protocol_body",
        "singleton_class", "template_body",
    }
)  # fmt: skip
_OUTER_DEFAULTS = frozenset({"function_definition", "lambda"})
"""Functions whose parameters mean nothing in the default values of other parameters."""


class Scope(NamedTuple):
    """A function, by the offsets between which its variables hide other things."""

    start: int
    end: int


class Scopes:
    """The functions and classes of a text, which contain one another."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._nodes = sorted(nodes, key=lambda node: (node.start_byte, -node.end_byte))
        self._starts = [node.start_byte for node in self._nodes]
        self._ends = [node.end_byte for node in self._nodes]
        self._outer: list[int] = []
        for number, start in enumerate(self._starts):
            self._outer.append(self._number(number - 1, start))
        self._scopes: dict[int, Scope | None] = {-1: None}

    def _number(self, number: int, offset: int) -> int:
        while number >= 0 and self._ends[number] <= offset:
            number = self._outer[number]
        return number

    def around(self, offset: int) -> Scope | None:
        """Return the function that binds a variable; None for a variable of a class or a module."""
        return self._scope(self._number(bisect_right(self._starts, offset) - 1, offset))

    def _defining(self, offset: int) -> Scope | None:
        """Return the function in which the definition is known whose name is at ``offset``."""
        number = self._number(bisect_right(self._starts, offset) - 1, offset)
        name = self._nodes[number].child_by_field_name("name") if number >= 0 else None
        return self._scope(self._outer[number] if name is not None and name.start_byte == offset else number)

    def _scope(self, number: int) -> Scope | None:
        if number not in self._scopes:
            self._scopes[number] = _scope_of(self._nodes[number])
        return self._scopes[number]

    def hidden(self, variables: Iterable[int], others: Iterable[int], defined: Iterable[int]) -> Hidden | None:
        """Return where variables of one name hide other things of this name, None if nowhere.

        ``variables``, ``others`` and ``defined`` are the offsets at which the name is bound, at which the function
        around it binds another thing, and at which it is defined.
        """
        places: dict[Scope, list[int]] = {}
        for offset in variables:
            if (scope := self.around(offset)) is not None:
                places.setdefault(scope, []).append(offset)
        if not places:
            return None
        known = {self.around(offset) for offset in others} | {self._defining(offset) for offset in defined}
        hiding = places.keys() - known
        if not hiding:
            return None
        ranges = [(scope, scope in hiding) for scope in known | hiding if scope is not None]
        return Hidden(ranges, (offset for scope in hiding for offset in places[scope]))


def _scope_of(node: Node) -> Scope | None:
    if node.type in _TYPES:
        return None
    body = node.child_by_field_name("body") if node.type in _OUTER_DEFAULTS else None
    return Scope((body or node).start_byte, node.end_byte)


class Hidden:
    """Where a name means a variable."""

    def __init__(self, scopes: Iterable[tuple[Scope, bool]], places: Iterable[int]) -> None:
        """``scopes`` contain one another; of those around an offset, the innermost says whether the name is hidden.

        It is hidden at ``places`` in any case.
        """
        self._places = frozenset(places)
        self._starts: list[int] = []
        self._is_hidden: list[bool] = []
        around: list[tuple[int, bool]] = []  # ends
        for (start, end), is_hidden in sorted(scopes, key=lambda one: (one[0].start, -one[0].end)):
            self._close(around, start)
            self._begin(start, is_hidden)
            around.append((end, is_hidden))
        if around:
            self._close(around, around[0][0])

    def _close(self, around: list[tuple[int, bool]], offset: int) -> None:
        """Remove the scopes that end before or at ``offset``."""
        while around and around[-1][0] <= offset:
            end, _ = around.pop()
            self._begin(end, around[-1][1] if around else False)

    def _begin(self, offset: int, is_hidden: bool) -> None:
        self._starts.append(offset)
        self._is_hidden.append(is_hidden)

    def has(self, offset: int) -> bool:
        """Return True if the name at ``offset`` is the variable."""
        place = bisect_right(self._starts, offset) - 1
        return offset in self._places or (place >= 0 and self._is_hidden[place])
