"""What is known of every definition: its place, extent, signature, documentation, visibility and container."""

from __future__ import annotations

import pytest

from codeindexd.analysis.chunking.chunker import analyse
from codeindexd.types import Definition, Visibility

PYTHON = b'''import os


class Job(Base):
    """A unit of work. It has more to say."""

    # How it runs.
    @retry(times=3)
    def run(
        self, limit: int
    ) -> None:
        def inner(): pass


def _helper(run):
    return run
'''


def definitions(text: bytes, language: str) -> dict[str, Definition]:
    """Return the definitions of a text by qualified name."""
    found = analyse(text, language).definitions
    for one in found:
        row = text.split(b"\n")[one.line - 1]
        assert row[one.column - 1 :].startswith(one.name.encode())
        assert one.start_line <= one.line <= one.end_line
        assert one.container < 0 or found[one.container].start_line <= one.start_line
    return {one.qualified: one for one in found}


def test_python() -> None:
    found = definitions(PYTHON, "python")
    assert list(found) == ["Job", "Job.run", "Job.run.inner", "_helper"]
    job, run, inner, helper = found.values()
    assert (job.kind, job.line, job.column, job.start_line, job.end_line) == ("class", 4, 7, 4, 12)
    assert (job.signature, job.doc, job.container) == ("class Job(Base)", "A unit of work.", -1)
    assert (run.kind, run.line, run.column, run.container) == ("method", 9, 9, 0)
    assert (run.signature, run.doc) == ("def run( self, limit: int ) -> None", "How it runs.")
    assert inner.container == 1
    assert (helper.column, helper.visibility) == (5, Visibility.PRIVATE)


@pytest.mark.parametrize(
    ("language", "text", "line", "column"),
    [
        ("c", b"struct area *area(struct area *area) { return area; }", 1, 14),
        ("cpp", b"int geo::Point::x(int x) { return x; }", 1, 17),
        ("java", b"@A(x = 1)\nclass T {\n  @B int x(int y) { return y; }\n}", 3, 10),
        ("go", b"func (x *x) x() {}", 1, 13),
        ("rust", b"fn x<x>(x: x) {}", 1, 4),
        ("ruby", b"def self.x(x) = x", 1, 10),
    ],
)
def test_the_place_of_a_name_is_exact(language: str, text: bytes, line: int, column: int) -> None:
    found = analyse(text, language).definitions[-1]
    assert (found.line, found.column) == (line, column)


@pytest.mark.parametrize(
    ("language", "text", "doc"),
    [
        ("c", b"/* Adds. Fast. */\nint add(int a) { return a; }", "Adds."),
        ("c", b"int x; /* about x */\nint add(int a) { return a; }", ""),
        ("rust", b"/// Adds\n/// two.\n#[inline]\nfn add() {}", "Adds two."),
        ("java", b"class A {\n  /**\n   * Adds it.\n   * @return x\n   */\n  @A\n  int add() {}\n}", "Adds it."),
        ("go", b"// add adds numbers\n// quickly. Really.\nfunc add() {}", "add adds numbers quickly."),
        ("javascript", b"/** Adds. */\nexport function add() {}", "Adds."),
        ("lua", b"-- Adds.\nfunction add() end", "Adds."),
        ("ruby", b"# Adds.\ndef add; end", "Adds."),
        ("ruby", b"# Adds.\n\ndef add; end", ""),
    ],
)  # fmt: skip
def test_documentation(language: str, text: bytes, doc: str) -> None:
    assert analyse(text, language).definitions[-1].doc == doc


@pytest.mark.parametrize(
    ("language", "text", "visibility"),
    [
        ("java", b"class A { private int f() { return 1; } }", Visibility.PRIVATE),
        ("java", b"class A { int f() { return 1; } }", Visibility.INTERNAL),
        ("rust", b"pub fn f() {}", Visibility.PUBLIC),
        ("rust", b"pub(crate) fn f() {}", Visibility.INTERNAL),
        ("rust", b"fn f() {}", Visibility.PRIVATE),
        ("go", b"func F() {}", Visibility.PUBLIC),
        ("c", b"static int f(void) { return 1; }", Visibility.PRIVATE),
        ("elixir", b"defmodule A do\n  defp f(x), do: x\nend", Visibility.PRIVATE),
        ("kotlin", b"internal fun f() {}", Visibility.INTERNAL),
        ("lua", b"function f() end", Visibility.UNKNOWN),
    ],
)
def test_visibility(language: str, text: bytes, visibility: Visibility) -> None:
    assert analyse(text, language).definitions[-1].visibility is visibility


def test_signatures_are_one_line_without_annotations() -> None:
    found = definitions(b"class A {\n  @Test(a = b(1))\n  public int f(int a,\n      int b) {\n  }\n}", "java")
    assert found["A.f"].signature == "public int f(int a, int b)"


@pytest.mark.parametrize(
    ("language", "text", "signature"),
    [
        ("kotlin", b"class A(val x: Int) : B() { fun f() {} }", "class A(val x: Int) : B()"),
        ("kotlin", b"fun f(a: Int): Int = when (a) { else -> 1 }", "fun f(a: Int): Int"),
        ("rust", b"impl<T> Display for P<T> where T: X {\n  fn f() {}\n}", "impl<T> Display for P<T> where T: X"),
        ("python", b"LIMITS = {\n  1: 2,\n}", "LIMITS"),
        ("go", b"package p\n\ntype S struct {\n  X int\n}", "package p"),
    ],
)
def test_signatures_end_before_the_body(language: str, text: bytes, signature: str) -> None:
    assert analyse(text, language).definitions[0].signature == signature


def test_a_definition_without_any_part_is_known() -> None:
    found = analyse(b"class A {\n  companion object\n  fun f() = 1\n}", "kotlin").definitions
    assert [one.qualified for one in found] == ["A", "A.Companion", "A.f"]


def test_methods_of_an_implementation_have_it_as_container() -> None:
    found = analyse(b"struct P;\nimpl Display for P {\n  fn f() {}\n}", "rust").definitions
    assert [(one.kind, one.qualified, one.container) for one in found] == [
        ("struct", "P", -1),
        ("impl", "P", -1),
        ("method", "P.f", 1),
    ]


@pytest.mark.parametrize(
    ("language", "text", "signature"),
    [
        ("python", b"class A(B):  # what it is\n    # and why\n    x = 1\n", "class A(B)"),
        ("python", b'def f(\n    a,  # first\n    b="#",\n):\n    pass\n', 'def f( a, b="#", )'),
        ("c", b"int f(int a /* first */, int b) // sum\n{\n  return a + b;\n}\n", "int f(int a , int b)"),
        ("typescript", b"function f(a: string /* name */): void {\n}\n", "function f(a: string ): void"),
    ],
)
def test_signatures_have_no_comments(language: str, text: bytes, signature: str) -> None:
    assert analyse(text, language).definitions[0].signature == signature


def test_namespaces_in_one_line_have_extents() -> None:
    text = b"<?php namespace A; function f(){} namespace B; function g(){}"
    extents = {one.name: (one.start_line, one.end_line) for one in analyse(text, "php").definitions}
    assert extents == {"A": (1, 1), "f": (1, 1), "B": (1, 1), "g": (1, 1)}


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("cpp", b"class A { int a; public: int b; void f() {} protected: template <class T> void g() {} };",
         "A unknown, A.a private, A.b public, A.f public, A.g protected"),
        ("cpp", (b"struct S { int a; private: int b; class In { int c; }; };\n"
          b"static int f() { return 1; }\nint g() { return 1; }"),
         "S unknown, S.a public, S.b private, S.In private, S.In.c private, f private, g unknown"),
        ("cpp", b"class A {\n#if X\npublic:\n int z;\n#endif\n int y;\n};", "A unknown, A.z public, A.y public"),
        ("ruby", (b"class A\n def a; end\n private\n def b; end\n attr_reader :e\n public def d; end\n"
          b" def self.c; end\nend"),
         "A unknown, A.a public, A.b private, A.e private, A.d public, A.c public"),
        ("ruby", (b"module M\n def a; end\n def self.b; end\n private :a\n private_class_method :b\n X = 1\n"
          b" private_constant :X\nend"),
         "M unknown, M.a private, M.b private, M.X private"),
        ("ruby", b"class A\n class << self\n  private\n  def s; end\n end\n def t; end\nend",
         "A unknown, A.s private, A.t public"),
        ("ruby", b"def top; end", "top unknown"),
    ],
)  # fmt: skip
def test_labels_say_who_may_use_the_members_after_them(language: str, text: bytes, expected: str) -> None:
    found = analyse(text, language).definitions
    assert ", ".join(f"{one.qualified} {one.visibility or 'unknown'}" for one in found) == expected


def test_a_function_expression_that_is_assigned_has_one_name() -> None:
    text = b"res.send = function send() {}\nconst x = { get: function get() {} }\non('x', function handler() {})\n"
    text += b"module.exports = function create() {}\nconst one = function other() {}\n"
    found = [f"{one.kind} {one.qualified}" for one in analyse(text, "javascript").definitions]
    assert found == [
        "function res.send", "constant x", "method x.get", "function handler", "function create", "function one",
        "function one.other",
    ]  # fmt: skip


ANNOTATED = [
    ("java", 'class A {\n  @Column(name = "x")\n  @Nullable\n  private String x = "";\n}\n', 'private String x = ""'),
    ("kotlin", "object A {\n  @JvmField\n  val x = 1\n}\n", "val x = 1"),
    ("kotlin", 'object A {\n  @get:JvmName("y")\n  @field:B val x = 1\n}\n', "val x = 1"),
    ("csharp", 'class A {\n  [JsonProperty("x")]\n  public int x { get; set; }\n}\n', "public int x { get; set; }"),
    ("swift", "class A {\n  @Published\n  var x = 1\n}\n", "var x = 1"),
    ("scala", "class A {\n  @foo\n  val x = 1\n}\n", "val x = 1"),
    ("php", "<?php\nclass A {\n  #[ORM\\Column]\n  private int $x = 1;\n}\n", "private int $x = 1"),
    ("typescript", "class A {\n  @Input()\n  x: string;\n}\n", "x: string"),
]


@pytest.mark.parametrize(("language", "text", "signature"), ANNOTATED)
def test_the_signature_of_a_field_is_no_annotation(language: str, text: str, signature: str) -> None:
    found = {one.name: one for one in analyse(text.encode(), language).definitions}
    assert found["x"].signature == signature


LISTED = [
    ("typescript", "enum E {\n  /** The first. */\n  A,\n  B = 3,\n}\n", ["A", "B = 3"], "The first."),
    ("java", "record R(\n  /** The first. */\n  int a,\n  @B String b\n) {}\n", ["int a", "String b"], "The first."),
    ("csharp", "record R(\n  // The first.\n  int A,\n  [B] string B\n);\n", ["int A", "string B"], "The first."),
]


def test_a_field_of_julia_has_its_own_line() -> None:
    found = definitions(b"struct A\n  r::Int\n  s\nend\n", "julia")
    assert [(one.signature, one.start_line) for one in found.values()] == [("struct A", 1), ("r::Int", 2), ("s", 3)]


def test_ocaml_has_exceptions_and_operators() -> None:
    found = definitions(b"exception Bad of string\nlet ( <+> ) a b = a\nlet (|>) x f = f x\n", "ocaml")
    assert {name: one.kind for name, one in found.items()} == {
        "Bad": "exception",
        "<+>": "function",
        "|>": "function",
    }


@pytest.mark.parametrize(("language", "text", "signatures", "doc"), LISTED)
def test_a_member_of_a_list_has_a_head_of_its_own(language: str, text: str, signatures: list[str], doc: str) -> None:
    _, *members = definitions(text.encode(), language).values()
    assert [one.signature for one in members] == signatures
    assert [one.start_line for one in members] == [3, 4]
    assert members[0].doc == doc


def test_haskell_has_operators_and_more_than_functions() -> None:
    text = (
        b"{-# LANGUAGE GADTs #-}\nmodule D where\n"
        b"data G a where { A :: G Int; B, C' :: Bool -> G Bool }\n"
        b"data a :+: b = L' a | b :*: a\n"
        b"type family Elem c\n"
        b"class K a where\n  (.:), run :: a -> a\n"
        b"instance K (Map k v) where\n  run x = x\n"
        b"a <+> b = a\n"
        b"x `plus` y = x\n"
        b"(.=) a b = a\n"
        b"pattern P a b = (a, b)\n"
        b'foreign import ccall "sin" c_sin :: Double -> Double\n'
    )
    found = {name.removeprefix("D."): one for name, one in definitions(text, "haskell").items()}
    assert {name: one.kind for name, one in found.items()} == {
        "D": "module",
        "G": "type",
        "G.A": "constructor",
        "G.B": "constructor",
        "G.C'": "constructor",
        ":+:": "type",
        ":+:.L'": "constructor",
        ":+:.:*:": "constructor",
        "Elem": "type",
        "K": "class",
        "K..:": "method",
        "K.run": "method",
        "K.Map": "impl",
        "K.Map.run": "method",
        "<+>": "function",
        "plus": "function",
        ".=": "function",
        "P": "constructor",
        "c_sin": "function",
    }
    assert found["D"].doc == ""


def test_an_operator_of_elixir_has_its_own_name() -> None:
    text = (
        b"defmodule A do\n  def a <~> b, do: a\n  defp left && right when is_list(left), do: 1\n  def +a, do: a\n"
        b"  def f(x) when x > 1, do: x\n  def unquote(name)(x), do: x\nend\n"
    )
    assert [one.name for one in definitions(text, "elixir").values()] == ["A", "<~>", "&&", "+", "f"]


def test_macros_with_fields_are_no_fields_of_c() -> None:
    text = b"struct h {\n  UV_HANDLE_FIELDS\n  UV_STREAM_FIELDS\n};\nstruct k {\n  UV_T X;\n  int y;\n};\n"
    assert set(definitions(text, "c")) == {"h", "k", "k.X", "k.y"}


def test_clauses_of_packages_of_scala_contain_one_another() -> None:
    text = b"package cats\npackage data\n\n// c\npackage more\n\nclass A\n"
    assert list(definitions(text, "scala")) == ["cats", "cats.data", "cats.data.more", "cats.data.more.A"]
