"""Finders of the definitions that are details of code: constants, variables, fields, members of enums, namespaces.

They are known by name and place, but neither decide how a file is cut nor are they symbols of a chunk. Variables inside
functions are not definitions; the walker leaves out what a function contains, and the finders here check where a
declaration is if a nameless function may be around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec import Struct, field
from tree_sitter import Node

from codeindexd.analysis.chunking.rules import NodeDefinition, child_of_type, source

Finder = Callable[[Node, bytes], Iterable[NodeDefinition]]


class Details(Struct, frozen=True):
    """The rules for the details of one language: a finder by node type, and the node types to enter for them."""

    finders: Mapping[str, Finder] = field(default_factory=dict)
    descend: frozenset[str] = frozenset()


def detail(kind: str, node: Node, text: bytes) -> NodeDefinition:
    """Return the detail of ``kind`` whose name is ``node``."""
    return NodeDefinition(kind, source(node, text).strip("\"'`:#"), name_node=node, scopes=False, is_detail=True)


def named_details(kind: str, field_name: str = "name") -> Finder:
    """Return a finder of one definition for every child in a field of the node."""

    def finder(node: Node, text: bytes) -> Iterator[NodeDefinition]:
        for name in node.children_by_field_name(field_name):
            if name.is_named:  # commas have the field too
                yield detail(kind, name, text)

    return finder


def first_detail(kind: str, *child_types: str) -> Finder:
    """Return a finder of one definition for the first child of these types."""

    def finder(node: Node, text: bytes) -> Iterator[NodeDefinition]:
        name = child_of_type(node, *child_types)
        if name is not None:
            yield detail(kind, name, text)

    return finder


def scope_detail(
    kind: str, field_name: str = "name", *, separator: str = ".", child: str = "", rest: bool = False, body: str = ""
) -> Finder:
    """Return a finder of a namespace. With ``rest``, one without a body extends to the end of what is around it.

    The body is in the field of that name, or is a child of the type ``body``.
    """

    def finder(node: Node, text: bytes) -> Iterator[NodeDefinition]:
        name = child_of_type(node, child) if child else node.child_by_field_name(field_name)
        if name is None:
            return
        scope, _, last = source(name, text).replace(separator, ".").rpartition(".")
        own = child_of_type(node, body) if body else node.child_by_field_name("body")
        is_rest = rest and own is None
        yield NodeDefinition(kind, last, scope, name_node=name, is_detail=True, is_rest=is_rest)

    return finder


def stands_in(node: Node, *kinds: str) -> bool:
    """Return True if a node is directly in a node of one of these types."""
    return node.parent is not None and node.parent.type in kinds


def has_word(node: Node, name: Node | None, text: bytes, word: bytes) -> bool:
    """Return True if ``word`` is in a node before the name."""
    end = name.start_byte if name is not None else node.end_byte
    return word in text[node.start_byte : end].split()


def above(node: Node) -> Node:
    """Return the node around one that has one."""
    assert node.parent is not None
    return node.parent
