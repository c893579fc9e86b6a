"""Constants, variables, fields, members of enums and namespaces: known as definitions, without a part in chunks."""

from __future__ import annotations

import pytest

from codeindexd.analysis.chunking.chunker import analyse, chunk

CASES = [
    ("bash", b"A=1\nexport B=2\nreadonly C=3\nalias ll='ls'\n", "variable A, variable B, constant C, alias ll"),
    ("bash", b"f() { local l=1; }", ""),
    ("c", b"static int a = 1, *b[3];\nextern int x;\nint proto(int p);\n",
     "variable a, variable b, declaration x, declaration proto"),
    ("c", b"char *f(void), g(int);\nextern int set = 1;\nint h(void) { extern int in(void); return in(); }\n",
     "declaration f, declaration g, variable set"),
    ("c", b"const int k = 2;\nint f(void) { int local = 1; return local; }", "constant k"),
    ("c", b"struct s { int x, *y; };\nunion u { int z; };", "field s.x, field s.y, union u, field u.z"),
    ("c", b"typedef struct { int q; } T;\n", "field T.q"),
    ("c", b"enum e { RED, GREEN = 2 };", "enum_member e.RED, enum_member e.GREEN"),
    ("cpp", b"namespace a::b { constexpr int k = 1; }", "namespace a.b, constant a.b.k"),
    ("cpp", b"class C { int n_; virtual void h() = 0; C() {} int g(); };",
     "field C.n_, method C.h, constructor C.C, declaration C.g"),
    ("cpp", b"class C { C(int); ~C(); C& operator=(const C&); template <class T> T get() const; };\nint f();",
     "declaration C.C, declaration C.~C, declaration C.operator=, declaration C.get, declaration f"),
    ("cpp", b"enum class E { X };", "enum_member E.X"),
    ("csharp", b"namespace A.B { class C { const int K = 1; int f, g; } }",
     "namespace A.B, constant A.B.C.K, field A.B.C.f, field A.B.C.g"),
    ("csharp", b"class C { public C() {} event F Done; public static C operator +(C a) => a; }",
     "constructor C.C, property C.Done, method C.operator +"),
    ("csharp", b"record R(int A);\nenum E { X }", "property R.A, enum_member E.X"),
    ("elixir", b"defmodule A do\n  @doc \"x\"\n  @limit 3\n  @type t :: integer\nend", "constant A.limit, type A.t"),
    ("elixir", b"defmodule A do\n  @callback cb(x :: term) :: term\nend", "function A.cb"),
    ("go", b"package p\nconst A, B = 1, 2\nvar (\n C int\n)\nfunc f() { var l = 1 }",
     "package p, constant p.A, constant p.B, variable p.C"),
    ("go", b"package p\ntype S struct { X, Y int; Embedded }", "package p, field p.S.X, field p.S.Y"),
    ("haskell", b"module A.B where\ndata T = X Int | Y { f :: Int }\n",
     "module A.B, constructor A.B.T.X, constructor A.B.T.Y, field A.B.T.f"),
    ("java", b"package a.b;\nclass C { static final int K = 1; int f, g; C() { int l = 1; } }",
     "package a.b, constant a.b.C.K, field a.b.C.f, field a.b.C.g, constructor a.b.C.C"),
    ("java", b"enum E {\n @A X(1) { int f;\n void g() {} }, Y;\n}",
     "enum_member E.X, field E.X.f, enum_member E.Y"),
    ("java", b"enum E { X, Y(1) }\nrecord R(int r) {}", "enum_member E.X, enum_member E.Y, field R.r"),
    ("javascript", b"export const A = 1\nlet b\nconst f = () => 1\nit(() => { const local = 1 })",
     "constant A, variable b"),
    ("javascript", b"class C { #p = 1; constructor() { const l = 1 } }", "field C.p, constructor C.constructor"),
    ("julia", b"module M\nconst A = 1\nstruct S\n  a::Int\n  b\nend\nend", "constant M.A, field M.S.a, field M.S.b"),
    ("kotlin", b"package a\nconst val K = 1\nval x = 2\n", "package a, constant a.K, property a.x"),
    ("kotlin", b"class C(val m: Int, n: Int) {\n  val f = 1\n  fun g() { val l = 1 }\n}", "property C.m, property C.f"),
    ("kotlin", b"class C {\n  companion object { const val Z = 1 }\n}\n", "object C.Companion, constant C.Companion.Z"),
    ("kotlin", b"enum class E { X }", "enum_member E.X"),
    ("kotlin", b"enum class E {\n X { val f = 1\n override fun g() = 1 }, Y\n}",
     "enum_member E.X, property E.X.f, enum_member E.Y"),
    ("lua", b"local a = 1\nM.c = 3\nlocal function f() local l = 1 end", "variable a, field M.c"),
    ("sql", b"CREATE TABLE shop.users (\n  id int,\n  \"Group\" text\n);\nCREATE INDEX i ON users (id);\n",
     "field shop.users.id, field shop.users.Group"),
    ("ocaml", b"type t = A | B of int\ntype r = { a : int }\n", "constructor t.A, constructor t.B, field r.a"),
    ("php", b"<?php\nnamespace App\\M;\nconst A = 1;\ndefine('B', 2);\n",
     "namespace App.M, constant App.M.A, constant App.M.B"),
    ("php", b"<?php\nclass C { const K = 1; public $p, $q;\nfunction __construct(private int $z) { $l = 1; } }",
     "constant C.K, property C.p, property C.q, constructor C.__construct, property C.z"),
    ("php", b"<?php\nenum S { case X; }", "enum_member S.X"),
    ("python", b"A = 1\nb: int = 2\nc, d = 1, 2\ndef f():\n    m = 1",
     "constant A, variable b, variable c, variable d"),
    ("python", b"class C:\n    k = 1\n    def __init__(self):\n        l = 1\n", "field C.k, constructor C.__init__"),
    ("python", b"if True:\n    A = 1\nx.y = 1\n", "constant A"),
    ("ruby", b"A = 1\nmodule M\n  B = 2\n  attr_reader :x, :y\n  alias new old\n  def initialize; end\nend",
     "constant A, constant M.B, property M.x, property M.y, method M.new, constructor M.initialize"),
    ("rust", b"const A: i32 = 1;\nstatic B: i32 = 2;\nmod foo;\nfn f() { const L: i32 = 1; }",
     "constant A, variable B, module foo"),
    ("rust", b"struct S { pub x: i32 }\nimpl S { const K: i32 = 1; }", "field S.x, impl S, constant S.K"),
    ("rust", b"enum E { V(i32), W { z: i32 } }", "enum_member E.V, enum_member E.W, field E.W.z"),
    ("scala", b"package a\nobject O { val x = 1; var y = 2; def f = { val l = 1; l } }",
     "package a, constant a.O.x, field a.O.y"),
    ("scala", b"class C(val m: Int, n: Int)\ncase class D(p: Int)", "field C.m, field D.p"),
    ("swift", b"let a = 1\nclass C {\n  static let k = 1\n  init() {}\n  func f() { let l = 1 }\n}",
     "constant a, property C.k, constructor C.init"),
    ("swift", b"enum E { case x, y }", "enum_member E.x, enum_member E.y"),
    ("typescript", b"namespace N { export const q = 1 }\ndeclare const d: number", "constant N.q, constant d"),
    ("typescript", b"enum E { X, Y = 2 }\ninterface I { p: string }", "enum_member E.X, enum_member E.Y, property I.p"),
    ("typescript", b"class C { private x = 1; constructor(private z: number) {} }",
     "field C.x, constructor C.constructor, field C.z"),
    ("zig", b"const a = 1;\npub var b: i32 = 1;\nfn f() void { const l = 1; }", "constant a, variable b"),
    ("zig", b"const S = struct { x: i32, const K = 2; };\nconst E = enum { p };",
     "field S.x, constant S.K, enum_member E.p"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "details"), CASES)
def test_details_are_definitions_and_local_variables_are_not(language: str, text: bytes, details: str) -> None:
    symbols = {(one.kind, one.name) for span in chunk(text, language) for one in span.symbols}
    definitions = analyse(text, language).definitions
    found = [f"{one.kind} {one.qualified}" for one in definitions if (one.kind, one.name) not in symbols]
    assert ", ".join(found) == details


@pytest.mark.parametrize(
    ("language", "text"),
    [("java", b"enum E { X { void f() {} } }"), ("kotlin", b"enum class E { X { override fun f() = 1 } }")],
)
def test_methods_of_a_constant_belong_to_it(language: str, text: bytes) -> None:
    definitions = analyse(text, language).definitions
    assert [f"{one.kind} {one.qualified}" for one in definitions] == ["enum E", "enum_member E.X", "method E.X.f"]


def test_details_do_not_change_chunks() -> None:
    text = b"A = 1\nclass C:\n    k = 1\n    def f(self): pass\n"
    (span,) = chunk(text, "python")
    assert [symbol.qualified for symbol in span.symbols] == ["C", "C.f"]


def test_a_package_extends_to_the_end() -> None:
    package, function = analyse(b"package p\n\nfunc f() {\n}\n", "go").definitions
    assert (package.start_line, package.end_line, function.container) == (1, 4, 0)
