"""Reads labels that say who may use the members after them: C++'s ``private:``, Ruby's ``private``."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from msgspec import Struct, field
from tree_sitter import Node

from codeindexd.types import Visibility

_WORDS: Final = {
    b"public": Visibility.PUBLIC,
    b"protected": Visibility.PROTECTED,
    b"private": Visibility.PRIVATE,
    b"private_class_method": Visibility.PRIVATE,
    b"public_class_method": Visibility.PUBLIC,
    b"private_constant": Visibility.PRIVATE,
}
_MOST_LEVELS: Final = 8  # between a member and the body of its type
_BODIES: Final = {"cpp": "field_declaration_list", "ruby": "body_statement"}
_CODE: Final = frozenset({"compound_statement", "do_block", "block", "method", "singleton_method"})
_RUBY_TYPES: Final = frozenset({"class", "module", "singleton_class"})
_CALLABLE: Final = frozenset({"method", "constructor", "property", "function"})


class _Body(Struct):
    """The access labels of a type's body, by offset, and the members that calls name, such as ``private :x``.

    ``named`` is by the name of a member, and whether that is one of the type itself.
    """

    default: Visibility
    offsets: list[int] = field(default_factory=list)
    labels: list[Visibility] = field(default_factory=list)
    named: dict[tuple[bytes, bool], Visibility] = field(default_factory=dict)

    def at(self, offset: int) -> Visibility:
        """Return what the last label before ``offset`` says."""
        place = bisect_right(self.offsets, offset)
        return self.labels[place - 1] if place else self.default


class AccessLabels:
    """The labels of one text, whose bodies are read once."""

    def __init__(self, text: bytes, language: str) -> None:
        self._text = text
        self._body = _BODIES.get(language, "")
        self._is_ruby = language == "ruby"
        self._bodies: dict[int, _Body | None] = {}

    def of(self, node: Node, kind: str, name: str) -> Visibility:
        """Return the visibility of a member by the labels around it, UNKNOWN if it is not a member of a type."""
        if not self._body or (self._is_ruby and kind not in _CALLABLE | {"constant", "class", "module"}):
            return Visibility.UNKNOWN
        around, before = self._around(node)
        body = self._read(around) if around is not None else None
        if body is None:
            return Visibility.UNKNOWN
        if not self._is_ruby:
            return body.at(node.start_byte)
        is_of_type = node.type == "singleton_method" or kind not in _CALLABLE
        if (named := body.named.get((name.encode("utf-8", "replace"), is_of_type))) is not None:
            return named
        if is_of_type:
            return Visibility.PUBLIC if kind in _CALLABLE else Visibility.UNKNOWN
        return before if before is not None else body.at(node.start_byte)

    def _around(self, node: Node) -> tuple[Node | None, Visibility | None]:
        """Return the body around a node, and what a word directly before it says: ``private def x``."""
        before: Visibility | None = None
        above = node.parent
        for _ in range(_MOST_LEVELS):
            if above is None or above.type in _CODE:
                break
            if above.type == self._body:
                return above, before
            if self._is_ruby and above.type == "call" and (word := above.child_by_field_name("method")) is not None:
                before = _WORDS.get(self._source(word), before)
            above = above.parent
        return None, None

    def _read(self, node: Node) -> _Body | None:
        if node.id not in self._bodies:
            self._bodies[node.id] = self._ruby(node) if self._is_ruby else self._cpp(node)
        return self._bodies[node.id]

    def _cpp(self, node: Node) -> _Body:
        is_class = node.parent is not None and node.parent.type == "class_specifier"
        body = _Body(Visibility.PRIVATE if is_class else Visibility.PUBLIC)
        stack = [node]
        found: list[tuple[int, Visibility]] = []
        while stack:
            for child in stack.pop().named_children:
                if child.type == "access_specifier":
                    found.append((child.start_byte, _WORDS.get(self._source(child), Visibility.UNKNOWN)))
                elif child.type.startswith("preproc_"):
                    stack.append(child)
        for offset, label in sorted(found):
            body.offsets.append(offset)
            body.labels.append(label)
        return body

    def _ruby(self, node: Node) -> _Body | None:
        if node.parent is None or node.parent.type not in _RUBY_TYPES:
            return None
        body = _Body(Visibility.PUBLIC)
        for child in node.named_children:
            if child.type == "identifier" and (label := _WORDS.get(self._source(child))) is not None:
                body.offsets.append(child.start_byte)
                body.labels.append(label)
            elif child.type == "call":
                self._add_named(body, child)
        return body

    def _add_named(self, body: _Body, call: Node) -> None:
        """Add the members that a call such as Ruby's ``private :reset`` names."""
        method, arguments = call.child_by_field_name("method"), call.child_by_field_name("arguments")
        if method is None or arguments is None or call.child_by_field_name("receiver") is not None:
            return
        word = self._source(method)
        if word not in _WORDS:
            return
        of_type = word.endswith((b"_class_method", b"_constant"))
        for argument in arguments.named_children:
            if argument.type in ("simple_symbol", "string"):
                body.named[self._source(argument).strip(b":\"'"), of_type] = _WORDS[word]

    def _source(self, node: Node) -> bytes:
        return self._text[node.start_byte : node.end_byte]
