"""The types of a language's rules, and the functions from which most rules are made.

Rules use the grammar's names of node types; :mod:`.grammars` turns them into numbers once per process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from msgspec import Struct, field
from tree_sitter import Node

MAX_NAME = 200  # characters; only broken input has longer "names"

CONTAINERS = frozenset({"class", "interface", "trait", "struct", "enum", "impl", "object", "module", "namespace"})
"""Kinds whose members are separate definitions; other kinds (functions, types, keys) include their content."""

METHOD_OWNERS = CONTAINERS - {"module", "namespace"}


class NodeDefinition(NamedTuple):
    """A definition that a namer found at a node.

    ``scope`` qualifies the name (``Command`` for ``(*Command) Run``). ``name_node`` contains the name; without it, the
    name is looked for from the start of the node. ``own`` is the part of the node that is the definition, None for all
    of it.
    """

    kind: str
    name: str
    scope: str = ""
    listed: bool = True  # False: not a symbol itself, but qualifies its members (Rust's impl, Swift's extension)
    scopes: bool = True  # False: definitions inside belong to the outer definition (the struct in C's typedef)
    name_node: Node | None = None
    is_detail: bool = False  # True: known as a definition, but neither a symbol of its chunk nor a reason to cut
    is_rest: bool = False  # True: extends to the end of the node around it, as a package does
    own: Node | None = None
    has_keyword: bool = True  # False: does not begin with a keyword, although its language has ``own_keyword``


Namer = Callable[[Node, bytes], NodeDefinition | None]


class Rules(Struct, frozen=True):
    """The rules by which nodes of a grammar become definitions.

    - ``definitions``: a namer for each node type that may be a definition.
    - ``descend``, ``keywords``: a node is entered if its type is in ``descend``, if it is an error node, or if its
      bytes contain a keyword: scanning for a few words is far cheaper than walking every expression.
    - ``keyword_pattern``: finds more keywords, each at the end of a match.
    - ``attach``: node types that belong to the next sibling; ``transparent``: node types that are replaced by their
      children.
    - ``trailing``: node types that belong to the definition before them, as the bodies of Dart's functions do.
    - ``clauses``: neighbouring definitions with the same name are joined into one.
    - ``max_parse_bytes``: larger files are not parsed.
    """

    definitions: Mapping[str, Namer] = field(default_factory=dict)
    descend: frozenset[str] = frozenset()
    keywords: tuple[bytes, ...] = ()
    keyword_pattern: re.Pattern[bytes] | None = None
    attach: frozenset[str] = frozenset({"comment"})
    attach_prefix: bytes = b""  # siblings that start with it are attached too (Elixir's ``@doc``)
    transparent: frozenset[str] = frozenset()
    trailing: frozenset[str] = frozenset()
    clauses: bool = False
    own_keyword: bool = (
        False  # every definition contains one of ``keywords``, so a second one means a nested definition
    )
    max_parse_bytes: int = 1_000_000


def types(names: str) -> frozenset[str]:
    """Return a set of node types from a space-separated list."""
    return frozenset(names.split())


def source(node: Node, text: bytes) -> str:
    """Return the node's text on one line, with runs of white space as one blank, at most ``MAX_NAME`` characters."""
    raw = text[node.start_byte : min(node.end_byte, node.start_byte + 4 * MAX_NAME)]
    name = raw.decode("utf-8", "replace")
    return (name if name.isidentifier() else " ".join(name.split()))[:MAX_NAME]


def child_of_type(node: Node, *names: str) -> Node | None:
    """Return the first named child of one of these types, or None."""
    for child in node.named_children:
        if child.type in names:
            return child
    return None


def named(kind: str, field_name: str = "name") -> Namer:
    """Return a namer for definitions of ``kind`` whose name is in a field of the node."""

    def namer(node: Node, text: bytes) -> NodeDefinition | None:
        child = node.child_by_field_name(field_name)
        return NodeDefinition(kind, source(child, text), name_node=child) if child is not None else None

    return namer


def first(kind: str, *child_types: str) -> Namer:
    """Return a namer for definitions of ``kind`` whose name is the first child of one of these types."""

    def namer(node: Node, text: bytes) -> NodeDefinition | None:
        child = child_of_type(node, *child_types)
        return NodeDefinition(kind, source(child, text), name_node=child) if child is not None else None

    return namer


def fixed(kind: str, name: str) -> Namer:
    """Return a namer for definitions that always have the same name, such as constructors."""

    def namer(_node: Node, _text: bytes) -> NodeDefinition | None:
        return NodeDefinition(kind, name)

    return namer


def with_body(kind: str, field_name: str = "name", body: str = "body") -> Namer:
    """Return a namer like :func:`named`, but only for nodes with a body: ``struct a;`` defines nothing."""

    def namer(node: Node, text: bytes) -> NodeDefinition | None:
        if node.child_by_field_name(body) is None:
            return None
        child = node.child_by_field_name(field_name)
        return NodeDefinition(kind, source(child, text), name_node=child) if child is not None else None

    return namer


def dotted(kind: str, path: str, node: Node) -> NodeDefinition:
    """Return a definition whose name is the last part of a dotted ``path``, scoped by the rest; ``node`` spells it."""
    scope, _, name = path.rpartition(".")
    return NodeDefinition(kind, name, scope, name_node=node)


def kind_in(kind: str, owner: str) -> str:
    """Return the kind of a definition in an ``owner`` (a kind, "" for none): a function in a class is a method."""
    return "method" if kind == "function" and owner in METHOD_OWNERS else kind
