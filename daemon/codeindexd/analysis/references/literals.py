"""Finds the type of a literal that names its members, so that they are those of this type: ``A{name: 1}``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from tree_sitter import Node

Member = tuple[int, bytes, bytes]
"""The offset of a member's name, the name, and the name of the type."""

Reader = Callable[[Node, bytes], Iterator[Member]]

_TOKEN: Final = re.compile(  # groups: what is before an opening brace, a closing brace, a member
    rb"([=)(,{\]]?)\s*+\{|(\})|\.(?<![\w)\].]\.)([A-Za-z_]\w*+)(?=\s*+[=.\[])"
    rb"|\"(?:[^\"\\\n]|\\.)*+\"?+|'(?:[^'\\\n]|\\.)*+'?+|//[^\n]*+|/\*.*?(?:\*/|\Z)",
    re.DOTALL,
)
_BEFORE, _CLOSED, _MEMBER = 1, 2, 3


def c(node: Node, text: bytes) -> Iterator[Member]:
    """Read ``struct a x = { .b = 1 }``, arrays of such literals, and ``(struct a){ .b = 1 }``.

    A literal inside one is of the same type if it is an element of an array, or else of an unknown one.
    """
    kind = node.child_by_field_name("type")
    if kind is not None and kind.type == "type_descriptor":
        kind = kind.child_by_field_name("type")
    name = _last_name(kind, text)
    if not name:
        return
    levels: list[bytes] = []  # the types of the literals around, b"" for an unknown one
    is_value = False  # is a member given a value?
    for match in _TOKEN.finditer(text, node.start_byte, node.end_byte):
        group = match.lastindex
        if group == _MEMBER:
            is_value = True
            if levels and levels[-1]:
                yield match.start(_MEMBER), match[_MEMBER], levels[-1]
        elif group == _CLOSED:
            is_value = False
            if levels:
                levels.pop()
        elif group == _BEFORE:
            before = match[_BEFORE]
            is_other = before == b")" or (before == b"=" and is_value)
            levels.append(b"" if levels and (is_other or not levels[-1]) else name)
            is_value = False


def go(node: Node, text: bytes) -> Iterator[Member]:
    """Read ``A{B: 1}``, ``[]A{{B: 1}}`` and ``map[string]A{"a": {B: 1}}``."""
    kind, body = node.child_by_field_name("type"), node.child_by_field_name("body")
    if kind is None or body is None:
        return
    element = kind.child_by_field_name("element") or (
        kind.child_by_field_name("value") if kind.type == "map_type" else None
    )
    name = _last_name(element or kind, text)
    if not name:
        return
    bodies = [body]
    if element is not None:
        bodies = []
        for one in body.named_children:
            held = one.child_by_field_name("value") if one.type == "keyed_element" else one
            if held is not None and held.named_child_count and held.named_children[0].type == "literal_value":
                bodies.append(held.named_children[0])
    for literal in bodies:
        for one in literal.named_children:
            key = one.child_by_field_name("key") if one.type == "keyed_element" else None
            if key is not None and key.named_child_count and key.named_children[0].type == "identifier":
                yield _member(key.named_children[0], text, name)


def rust(node: Node, text: bytes) -> Iterator[Member]:
    """Read ``A { b: 1, c }``, as a value and as a pattern."""
    name = _last_name(node.child_by_field_name("name") or node.child_by_field_name("type"), text)
    body = node.child_by_field_name("body") or node
    for one in body.named_children if name else ():
        member = one.child_by_field_name("field") or one.child_by_field_name("name")
        if one.type == "shorthand_field_initializer" and one.named_child_count:
            member = one.named_children[-1]
        if member is not None and one.type in _RUST_MEMBERS:
            yield _member(member, text, name)


_RUST_MEMBERS: Final = frozenset({"field_initializer", "field_pattern", "shorthand_field_initializer"})


def csharp(node: Node, text: bytes) -> Iterator[Member]:
    """Read ``new A { B = 1 }``."""
    name = _last_name(node.child_by_field_name("type"), text)
    body = node.child_by_field_name("initializer")
    for one in body.named_children if body is not None and name else ():
        member = one.child_by_field_name("left") if one.type == "assignment_expression" else None
        if member is not None and member.type == "identifier":
            yield _member(member, text, name)


def _member(node: Node, text: bytes, name: bytes) -> Member:
    return node.start_byte, text[node.start_byte : node.end_byte], name


def _last_name(node: Node | None, text: bytes) -> bytes:
    """Return the name of a type without its qualifier and arguments: ``B`` of ``a::B<C>``; b"" if it has none."""
    while node is not None and node.type not in _NAMES:
        inner = node.child_by_field_name("type") or node.child_by_field_name("name")
        if inner is None and node.type in ("generic_name", "pointer_type") and node.named_child_count:
            inner = node.named_children[0]
        node = inner
    return text[node.start_byte : node.end_byte] if node is not None else b""


_NAMES: Final = frozenset({"identifier", "type_identifier"})

READERS: Final[Mapping[str, Reader]] = {"c": c, "cpp": c, "csharp": csharp, "go": go, "rust": rust}
"""The readers by language; the nodes they get are captured as ``@literal``."""
