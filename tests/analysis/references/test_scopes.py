"""Where a variable hides other things of its name."""

from __future__ import annotations

import re

import pytest
from tree_sitter import Node, Parser

from codeindexd.analysis.chunking.grammars import load
from codeindexd.analysis.references.scopes import Hidden, Scope, Scopes

TEXT = b"""\
a = 1
def f(b):
    def g(c): d = 2
    class K:
        e = 3
        def m(self): h = 4
    i = 5
j = 6
"""


def functions(text: bytes) -> list[Node]:
    grammar = load("python")
    assert grammar is not None
    stack = [Parser(grammar.language).parse(text).root_node]
    found = []
    while stack:
        node = stack.pop()
        found += [node] if node.type in ("function_definition", "class_definition") else []
        stack += node.children
    return found


@pytest.mark.parametrize(
    ("variable", "function"),
    [("a", ""), ("b", "f"), ("c", "g"), ("d", "g"), ("e", ""), ("h", "m"), ("i", "f"), ("j", "")],
)
def test_a_variable_belongs_to_the_innermost_function(variable: str, function: str) -> None:
    match = re.search(rb"\b%b\b" % variable.encode(), TEXT)
    assert match is not None
    scope = Scopes(functions(TEXT)).around(match.start())
    names = {_field(node, "body").start_byte: _field(node, "name").text for node in functions(TEXT)}
    assert (names[scope.start] if scope is not None else b"") == function.encode()


def _field(node: Node, name: str) -> Node:
    child = node.child_by_field_name(name)
    assert child is not None
    return child


def test_parameters_mean_nothing_in_default_values() -> None:
    scopes = Scopes(functions(b"def f(a, b=a): return a"))
    hidden = scopes.hidden([6], [], [])
    assert hidden is not None
    assert [offset for offset in (6, 11, 22) if hidden.has(offset)] == [6, 22]


def test_the_innermost_of_several_scopes_decides() -> None:
    scopes = [(Scope(1, 20), True), (Scope(3, 9), False), (Scope(4, 6), True), (Scope(9, 12), False)]
    hidden = Hidden(scopes, [7])
    assert [offset for offset in range(24) if hidden.has(offset)] == [1, 2, 4, 5, 7, *range(12, 20)]
    assert not Hidden([], []).has(0)
