"""Idioms by which languages define names: patterns, made types, exports, fields of structs, macros around items."""

from __future__ import annotations

import pytest

from codeindexd.analysis.chunking.chunker import analyse

CASES = [
    ("cpp", b"namespace g = geo;\nauto [a, b] = pair();\n",
     "1:11 namespace g, 2:7 variable a, 2:10 variable b"),
    ("elixir", (b"defmodule A do\n  defstruct [:name, age: 0]\n  defmodule E do\n    defexception [:message]\n"
                b"  end\nend\ndefprotocol P do\nend\n"),
     "1:11 module A, 2:15 field A.name, 2:21 field A.age, 3:13 module A.E, 4:20 field A.E.message, 7:13 interface P"),
    ("haskell", b"f x = go x\n  where\n    go y = y\n    k = 1\n",
     "1:1 function f, 3:5 function f.go"),
    ("javascript", (b"const { a } = require('x');\nconst b = require('y').z;\nvar log = require('debug')('app');\n"
                    b"exports.c = 1;\nexports.d = a;\nexports.a = a;\n"),
     "3:5 variable log, 4:9 variable c, 5:9 variable d"),
    ("javascript", b"class A {\n  state = { open: false };\n  run = { f() {} };\n}\nA.MAX = 1;\nA.min = 2;\n",
     "1:7 class A, 2:3 field A.state, 3:3 field A.run, 3:11 method A.run.f, 5:3 constant A.MAX"),
    ("javascript", b"const A = Object.freeze({ f() {} });\nconst B = { g: () => 1 };\n",
     "1:7 constant A, 1:27 method A.f, 2:7 constant B, 2:13 method B.g"),
    ("kotlin", (b"class A(val b: B) : C by b {\n  val x = 1\n}\n\nval y by lazy {\n  1\n}\n\nobject O : C by d {\n"
                b"  fun f() = 1\n}\n"),
     "1:7 class A, 1:13 property A.b, 2:7 property A.x, 5:5 property y, 9:8 object O, 10:7 method O.f"),
    ("lua", b"local a, f = 1, function() end\n",
     "1:7 variable a, 1:10 function f"),
    ("python", b"a, (b, *c) = x\ntype A[K] = dict[K, int]\nI = NewType('I', int)\n",
     "1:1 variable a, 1:5 variable b, 1:9 variable c, 2:6 type A, 3:1 type I"),
    ("python", (b"P = namedtuple('P', 'x, y')\nQ = NamedTuple('Q', [('w', int)])\n"
                b"R = collections.namedtuple('R', ['r'])\n"),
     ("1:1 class P, 1:22 field P.x, 1:25 field P.y, 2:1 class Q, 2:24 field Q.w, 3:1 class R, 3:35 field R.r")),
    ("python", b"class Color(enum.IntEnum):\n    RED = 1\n    _ignore_ = []\n    def f(self): pass\n",
     "1:7 class Color, 2:5 enum_member Color.RED, 3:5 field Color._ignore_, 4:9 method Color.f"),
    ("ruby", b"Point = Struct.new(:x, :y, keyword_init: true) do\n  def far?; end\nend\n",
     "1:1 class Point, 1:21 property Point.x, 1:25 property Point.y, 2:7 method Point.far?"),
    ("ruby", (b"class A\n  def_delegators :@list, :push, :pop\n  def_delegator :@list, :first, :head\n"
              b"  define_method(\"a_#{b}\") { }\n  has_many :posts, dependent: :destroy\nend\n"),
     "1:7 class A, 2:27 property A.push, 2:34 property A.pop, 3:34 method A.head, 5:13 property A.posts"),
    ("rust", (b"thread_local! {\n    static A: u8 = 1;\n}\nlazy_static! {\n    pub static ref B: u8 = 1;\n}\n"
              b"bitflags! {\n    pub struct F: u32 {\n        const X = 1;\n    }\n}\n"),
     "2:12 variable A, 5:20 variable B, 8:16 struct F, 9:15 constant X"),
    ("scala", b"object O {\n  val (a, b) = (1, 2)\n  val Some(c) = d\n  val x, y = 1\n}\n",
     "1:8 object O, 2:8 constant O.a, 2:11 constant O.b, 3:12 constant O.c, 4:7 constant O.x, 4:10 constant O.y"),
    ("scala", b"given o: Ord[Int] with\n  def f = 1\ngiven p: Ord[Int] = o\n",
     "1:7 object o, 2:7 method o.f, 3:7 constant p"),
    ("swift", b"let (a, b) = (1, 2)\n",
     "1:6 constant a, 1:9 constant b"),
    ("typescript", (b"declare module 'a' {\n  interface B {}\n}\nconst c = { f: () => 1 } as const;\n"
                    b"const d = { g() {} } satisfies D;\n"),
     "1:17 module a, 2:13 interface a.B, 4:7 constant c, 4:13 method c.f, 5:7 constant d, 5:13 method d.g"),
    ("zig", b"const E = error{ A, B };\nconst K = enum { x, _ };\n",
     "1:7 enum E, 1:18 enum_member E.A, 1:21 enum_member E.B, 2:7 enum K, 2:18 enum_member K.x"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "expected"), CASES)
def test_names_are_known_where_they_are_written(language: str, text: bytes, expected: str) -> None:
    found = analyse(text, language).definitions
    assert ", ".join(f"{one.line}:{one.column} {one.kind} {one.qualified}" for one in found) == expected


def test_a_protocol_of_elixir_is_public() -> None:
    (one,) = analyse(b"defprotocol P do\nend\n", "elixir").definitions
    assert one.visibility == "public"
