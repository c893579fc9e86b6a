"""Qualified names as their language writes them."""

from __future__ import annotations

import pytest

from codeindexd.analysis.chunking.chunker import analyse
from codeindexd.analysis.chunking.notation import native_name


@pytest.mark.parametrize(
    ("language", "text", "name"),
    [
        ("cpp", b"class P { int x() { return 1; } };", "P::x"),
        ("c", b"class P { int x() { return 1; } };", "P::x"),
        ("c", b"struct p { int x; };", "p.x"),
        ("cpp", b"int geo::P::x() { return 1; }", "geo::P::x"),
        ("rust", b"struct P;\nimpl P { fn x() {} }", "P::x"),
        ("ruby", b"module A\n  class B\n    def c; end\n  end\nend", "A::B#c"),
        ("ruby", b"module A\n  def self.c; end\nend", "A.c"),
        ("php", b"<?php class A { function b() {} }", "A::b"),
        ("python", b"class A:\n  def b(self): pass", "A.b"),
        ("markdown", b"# a.b\n\n## c", "a.b > c"),
    ],
)
def test_the_notation_of_the_language(language: str, text: bytes, name: str) -> None:
    definitions = analyse(text, language).definitions
    assert native_name(definitions, len(definitions) - 1, language) == name
