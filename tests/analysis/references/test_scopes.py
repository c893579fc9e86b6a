"""Where a variable hides other things of its name."""

from __future__ import annotations

import re

import pytest
from tree_sitter import Node, Parser

from codeindexd.analysis.chunking.grammars import load
from codeindexd.analysis.references.scopes import Ranges, Scopes

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
    assert (TEXT[scope.name : scope.name + 1].decode() if scope is not None else "") == function


def test_ranges_may_overlap_and_touch() -> None:
    ranges = Ranges([(1, 3), (2, 6), (6, 7), (9, 10)])
    assert [offset for offset in range(12) if ranges.has(offset)] == [1, 2, 3, 4, 5, 6, 9]
    assert not Ranges([]).has(0)
