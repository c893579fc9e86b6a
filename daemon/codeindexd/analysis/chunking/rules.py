"""What a language's rules say, and the small functions most of them are made of.

Rules speak in node type names of the grammar; :mod:`.grammars` turns them into numbers once per process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tree_sitter import Node

MAX_NAME = 200  # characters; longer "names" come from broken input

CONTAINERS = frozenset({"class", "interface", "trait", "struct", "enum", "impl", "object", "module", "namespace"})
"""Kinds whose members are definitions of their own; the rest (functions, types, keys) own what is inside them."""

_METHOD_OWNERS = CONTAINERS - {"module", "namespace"}


class Definition(NamedTuple):
    """What a namer read off a node. ``scope`` is put before the name (``Command`` of ``func (c *Command) Run``)."""

    kind: str
    name: str
    scope: str = ""
    listed: bool = True  # False: names its members but is no definition itself (Rust's impl, Swift's extension)
    scopes: bool = True  # False: what is inside it belongs to what is around it (the struct in C's typedef)


Namer = Callable[[Node, bytes], Definition | None]


@dataclass(frozen=True, slots=True)
class Rules:
    """How one grammar's nodes become definitions.

    A node is entered when its type is in ``descend``, when it is an error node, or when one of ``keywords`` occurs
    in its bytes: a scan for a few words is far cheaper than walking every expression. ``attach`` types belong to the
    sibling after them, ``transparent`` ones are replaced by their children. ``clauses`` says that neighbours of one
    name are one definition.
    """

    definitions: Mapping[str, Namer] = field(default_factory=dict)
    descend: frozenset[str] = frozenset()
    keywords: tuple[bytes, ...] = ()
    attach: frozenset[str] = frozenset({"comment"})
    attach_prefix: bytes = b""  # siblings whose text starts so are attached too (Elixir's ``@doc``)
    transparent: frozenset[str] = frozenset()
    clauses: bool = False
    own_keyword: bool = False  # every definition has one of ``keywords`` itself, so another one means a nested one
    max_parse_bytes: int = 1_000_000


def types(names: str) -> frozenset[str]:
    """A set of node types from a space-separated list."""
    return frozenset(names.split())


def source(node: Node, text: bytes) -> str:
    """The node's text on one line, whitespace folded, at most ``MAX_NAME`` characters."""
    raw = text[node.start_byte : min(node.end_byte, node.start_byte + 4 * MAX_NAME)]
    name = raw.decode("utf-8", "replace")
    return (name if name.isidentifier() else " ".join(name.split()))[:MAX_NAME]


def child_of_type(node: Node, *names: str) -> Node | None:
    """The first named child of one of these types."""
    for child in node.named_children:
        if child.type in names:
            return child
    return None


def named(kind: str, field_name: str = "name") -> Namer:
    """A definition whose name is a field."""

    def namer(node: Node, text: bytes) -> Definition | None:
        child = node.child_by_field_name(field_name)
        return Definition(kind, source(child, text)) if child is not None else None

    return namer


def first(kind: str, *child_types: str) -> Namer:
    """A definition whose name is its first child of one of these types."""

    def namer(node: Node, text: bytes) -> Definition | None:
        child = child_of_type(node, *child_types)
        return Definition(kind, source(child, text)) if child is not None else None

    return namer


def fixed(kind: str, name: str) -> Namer:
    """A definition that always has the same name, such as a constructor."""

    def namer(_node: Node, _text: bytes) -> Definition | None:
        return Definition(kind, name)

    return namer


def with_body(kind: str, field_name: str = "name", body: str = "body") -> Namer:
    """As :func:`named`, but only for a node that has a body: ``struct a;`` and ``struct a *p`` define nothing."""

    def namer(node: Node, text: bytes) -> Definition | None:
        if node.child_by_field_name(body) is None:
            return None
        child = node.child_by_field_name(field_name)
        return Definition(kind, source(child, text)) if child is not None else None

    return namer


def dotted(kind: str, path: str) -> Definition:
    """A definition whose written name is a path: the last part is its name."""
    scope, _, name = path.rpartition(".")
    return Definition(kind, name, scope)


def kind_in(kind: str, owner: str) -> str:
    """The kind of a definition inside ``owner`` (a kind, or ``""``): a function inside a class is a method."""
    return "method" if kind == "function" and owner in _METHOD_OWNERS else kind
