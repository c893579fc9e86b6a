"""The references in small files of every language."""

from __future__ import annotations

import sys

import pytest
from tree_sitter import Parser

from codeindexd.analysis.chunking.chunker import analyse
from codeindexd.analysis.chunking.grammars import load
from codeindexd.analysis.references.extract import is_too_deep
from codeindexd.analysis.references.rules import LANGUAGES
from codeindexd.types import Reference, ReferenceKind

CALL, USE, IMPORT, INHERIT, ALIAS = ReferenceKind

CASES: dict[str, tuple[str, set[str], set[str], set[str]]] = {
    # language: source, calls, base classes, imports (module:name)
    "bash": (". ./lib.sh\nf() {\n  g x | h\n}\n", {"g", "h"}, set(), {".:lib.sh"}),
    "c": ('#include "a/b.h"\nint f(int x) {\n  return g(x) + x;\n}\n', {"g"}, set(), {"a:b.h"}),
    "cpp": ("class A : public ns::B {\n  void m() { n::f(1); p->q(); new C(); }\n};\n", {"f", "q", "C"}, {"B"}, set()),
    "csharp": ("using A.B;\nclass C : D, IE {\n  void M() { F(1); x.G(); new H(); }\n}\n", {"F", "G", "H"}, {"D", "IE"}, {"A.B:*"}),  # noqa: E501
    "elixir": ("defmodule A do\n  alias X.Y\n  use Z\n  def f(x), do: g(x) |> Y.h()\nend\n", {"g", "h"}, {"Z"}, {"X:Y"}),  # noqa: E501
    "go": ('package p\nimport f "a/b"\ntype T struct { Base }\nfunc (t *T) m() { g(); f.H(); t.k() }\n', {"g", "H", "k"}, {"Base"}, {"a:b"}),  # noqa: E501
    "haskell": ("module M where\nimport Data.Map (lookup)\nf x = g x\n", {"g"}, set(), {"Data:Map", "Data.Map:lookup"}),
    "java": ("import a.b.C;\nclass D extends E implements F {\n  void m() { g(); h.i(); new J(); }\n}\n", {"g", "i", "J"}, {"E", "F"}, {"a.b:C"}),  # noqa: E501
    "javascript": ("import a, {b as c} from './m';\nclass D extends E { m() { f(); this.g(); new H(); } }\n", {"f", "g", "H"}, {"E"}, {"./m:a", "./m:b"}),  # noqa: E501
    "julia": ("using A: b\nstruct S <: T\nend\nfunction f(x)\n  g(x)\nend\n", {"g"}, {"T"}, {"A:b"}),
    "kotlin": ("import a.b.C\nclass D : E(), F {\n  fun m() { g(); h.i() }\n}\n", {"g", "i"}, {"E", "F"}, {"a.b:C"}),
    "lua": ('local m = require("a.b")\nlocal function f()\n  g(); m.h(); o:i()\nend\n', {"g", "h", "i"}, set(), {"a:b"}),  # noqa: E501
    "ocaml": ("open A\nlet f x = g (M.h x)\n", {"g", "h"}, set(), {"A:*"}),
    "php": ("<?php\nuse A\\B;\nclass C extends D implements E { use F; function m() { g(); $this->h(); new I(); J::k(); } }\n", {"g", "h", "I", "k"}, {"D", "E", "F"}, {"A:B"}),  # noqa: E501
    "python": ("from a import b as c\nimport d.e\n\nclass F(G, h.I):\n    def m(self):\n        c(); self.n(); d.e.k()\n", {"c", "n", "k"}, {"G", "I"}, {"a:b", "d:e"}),  # noqa: E501
    "ruby": ("require 'a/b'\nclass C < D\n  include E\n  def m(x)\n    f(x)\n    g\n    h.i x\n  end\nend\n", {"f", "g", "h", "i"}, {"D", "E"}, {"a:b"}),  # noqa: E501
    "rust": ("use a::b::{C, D as E};\nimpl Tr for C {\n  fn m(&self) { f(); self.g(); C::h(); mac!(k(1)); }\n}\n", {"f", "g", "h", "mac", "k"}, {"Tr"}, {"a::b:C", "a::b:D"}),  # noqa: E501
    "scala": ("import a.b.{C, D => E}\nclass F extends G with H {\n  def m = i(j.k)\n}\n", {"i", "k"}, {"G", "H"}, {"a.b:C", "a.b:D"}),  # noqa: E501
    "sql": ("SELECT f(a) FROM t;\n", {"f"}, set(), set()),
    "swift": ("import A\nclass B: C, D {\n  func m() { e(); self.f(); g.h() }\n}\n", {"e", "f", "h"}, {"C", "D"}, {":A"}),  # noqa: E501
    "tsx": ("import {A} from './a';\nconst B = () => <A x={c()} />;\n", {"A", "c"}, set(), {"./a:A"}),
    "typescript": ("import type {A} from './a';\nclass B extends C implements D { m(): A { return e(); } }\n", {"e"}, {"C", "D"}, {"./a:A"}),  # noqa: E501
    "zig": ('const m = @import("a.zig");\nfn f() void { g(); m.h(); }\n', {"g", "h"}, set(), {":a.zig"}),
}  # fmt: skip


def references(source: str, language: str) -> list[Reference]:
    return list(analyse(source.encode(), language).references)


def names(found: list[Reference], kind: ReferenceKind) -> set[str]:
    return {one.name for one in found if one.kind is kind}


@pytest.mark.parametrize("language", CASES)
def test_calls_bases_and_imports_of_each_language(language: str) -> None:
    source, calls, bases, imports = CASES[language]
    found = references(source, language)
    assert names(found, CALL) == calls
    assert names(found, INHERIT) == bases
    assert {f"{one.qualifier}:{one.name}" for one in found if one.kind is IMPORT} == imports


MARKED = [
    ("javascript", "class A {\n #p = 1\n get() { return this.#p + this.#m() }\n #m() { return #p in this }\n}\n",
     {"3 USE this.p", "3 CALL this.m", "4 USE .p"}),
    ("typescript", "class A {\n #p = 1\n get() { return this.#p }\n}\n", {"3 USE this.p"}),
    ("php", "<?php\necho User::$current;\nself::$on = $x;\n", {"2 USE .User", "2 USE User.current", "3 USE self.on"}),
    ("elixir", "defmodule A.B do\n use C.D.E\n def f(x), do: G.H.i(J.K)\n defimpl L.M, for: N do\n end\nend\n",
     {"2 INHERIT C.D.E", "3 USE G.H", "3 CALL G.H.i", "3 USE J.K", "4 INHERIT L.M", "4 USE .N"}),
]  # fmt: skip


@pytest.mark.parametrize(("language", "source", "expected"), MARKED)
def test_a_name_begins_behind_the_marks_of_its_language(language: str, source: str, expected: set[str]) -> None:
    found = references(source, language)
    assert {f"{one.line} {one.kind.name} {one.qualifier}.{one.name}" for one in found} == expected


def test_variables_of_swift_hide_members() -> None:
    found = references(
        "class S {\n func request() {}\n var other = 1\n"
        " func f() {\n  for request in xs { request.g() }\n  let other = T()\n  other.h()\n  self.request()\n }\n"
        " func g() { request(); other.q() }\n"
        " var c: Int { let other = 1; return other }\n"
        " func h() { xs.map { other in other } }\n"
        "}\n",
        "swift",
    )
    assert {(one.line, one.name) for one in found if one.name in ("request", "other")} == {
        (8, "request"),
        (10, "request"),
        (10, "other"),
    }


def test_a_class_of_kotlin_may_delegate_to_a_value() -> None:
    found = references("class A(val b: B) : B by b, C(1), D {\n}\n", "kotlin")
    assert names(found, INHERIT) == {"B", "C", "D"}


def test_every_language_with_rules_is_tested() -> None:
    assert CASES.keys() == LANGUAGES - {"ocaml_interface"}


def test_a_reference_has_its_line_and_receiver() -> None:
    source = "import os\n\n\ndef f():\n    os.path.join(1)\n    self.x.get()\n    g().h()\n    chain\n"
    found = {one.name: one for one in references(source, "python") if one.kind is CALL}
    assert (found["join"].qualifier, found["join"].line) == ("os.path", 5)
    assert (found["get"].qualifier, found["get"].line) == ("self.x", 6)
    assert (found["g"].qualifier, found["g"].line) == ("", 7)
    assert (found["h"].qualifier, found["h"].line) == ("g()", 7)


def test_a_chain_over_several_lines_keeps_its_receiver() -> None:
    found = references("function f() {\n  query\n    .where(a)\n    .limit(1);\n}\n", "javascript")
    assert {one.name: (one.qualifier, one.line) for one in found if one.kind is CALL} == {
        "where": ("query", 3),
        "limit": (".", 4),
    }


@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("javascript", "function f() {}\nx = [...f(1), {...f(2)}];\n"),
        ("typescript", "function f(): any {}\nlet x = {...f(1)};\n"),
        ("rust", "fn f() -> u8 { 1 }\nfn g() { for i in 0..f() { h(A { b: 1, ..f() }); } }\n"),
        ("ruby", "def f; end\n(1..f()).each { |x| g(x) }\n"),
        ("kotlin", "fun f() = 1\nfun g() { for (i in 0..f()) h(i) }\n"),
        ("lua", 'local function f() end\nprint("a"..f())\n'),
        ("swift", "func f() -> Int { 1 }\nlet r = 0...f()\n"),
    ],
)
def test_what_follows_a_range_or_a_spread_has_no_receiver(language: str, source: str) -> None:
    found = [one for one in references(source, language) if one.name == "f" and one.kind is CALL]
    assert found
    assert {one.qualifier for one in found} == {""}


def test_a_definition_is_no_reference_to_itself() -> None:
    assert references("def f():\n    pass\n\n\nclass C:\n    x = 1\n", "python") == []


def test_recursion_on_the_line_of_the_definition_is_a_reference() -> None:
    assert [one.name for one in references("def f(): return f()\n", "python")] == ["f"]


def test_a_plain_name_counts_if_the_file_defines_or_imports_it() -> None:
    source = "from a import known\n\n\ndef mine(): ...\n\n\ndef f(local):\n    use = [known, mine, local, other]\n"
    assert names(references(source, "python"), USE) == {"known", "mine"}


def test_a_plain_name_in_c_counts_unless_it_is_a_variable() -> None:
    source = "struct ops o = { .open = my_open };\nint f(int x) {\n  int y = x;\n  return run(y, callback);\n}\n"
    assert {"my_open", "callback"} <= names(references(source, "c"), USE)
    assert not {"x", "y"} & names(references(source, "c"), USE)


def test_the_specification_of_a_function_in_elixir_is_no_call() -> None:
    source = "defmodule A do\n  @spec f(integer) :: t when t: any\n  @spec g(x) :: y\n  def f(x), do: g(x)\nend\n"
    assert [(one.name, one.line) for one in references(source, "elixir") if one.kind is CALL] == [("g", 4)]


def test_names_in_the_list_of_exports_count() -> None:
    source = "__all__ = [\n    'f',\n    \"other\",\n]\n\n\ndef f(): ...\n"
    assert [(one.name, one.line) for one in references(source, "python")] == [("f", 2)]


def test_an_alias_leads_to_what_it_names() -> None:
    found = references("from a import b as c\n", "python")
    assert [(one.kind, one.name, one.qualifier) for one in found] == [(IMPORT, "b", "a"), (ALIAS, "c", "b")]


def test_comments_and_strings_hold_no_references() -> None:
    assert references("# f()\nx = 'g()'\n", "python") == []


def test_what_is_blanked_before_parsing_counts() -> None:
    source = (
        "int a(void)\n{\n  return 1;\n}\nEXPORT_IT(a);\n#if X\nint b(int c) {\n#else\n#include <q.h>\n"
        'int b(long c) {\n  a("d("); // e(\n  s->f = g;\n#endif\n}\nint h(void) __must_check;\n'
    )
    found = {(one.line, one.kind, one.qualifier, one.name) for one in references(source, "c") if one.line > 4}
    assert found >= {
        (5, USE, "", "a"), (9, IMPORT, "", "q.h"), (11, CALL, "", "a"), (12, USE, "s", "f"), (12, USE, "", "g"),
        (15, USE, "", "__must_check"),
    }  # fmt: skip
    assert not {"d", "e", "if", "int"} & {name for _, _, _, name in found}


@pytest.mark.parametrize(
    ("language", "source", "expected"),
    [
        ("bash", 'W=1\nf() { local X=1; echo "$X ${W}"; W=2; }\nX=2\n', {(2, USE, "W")}),
        ("elixir", "defmodule A do\n  @limit 3\n  def f(b), do: 1 + b + @limit\nend\n", {(3, USE, "limit")}),
        ("go", "package p\ntype I interface { B }\nvar x = R[K]{}\n",
         {(2, INHERIT, "B"), (3, USE, "R"), (3, USE, "K")}),
        ("haskell", "f, g :: Int\nf = 1\ng = f\n", {(1, USE, "Int"), (3, USE, "f")}),
        ("javascript", "const a = () => <div><B/></div>;\n", {(1, CALL, "B")}),
        ("php", "<?php class A { function f() { add([$this, 'g'], [B::class, 'h']); } }\n",
         {(1, CALL, "add"), (1, USE, "g"), (1, USE, "B"), (1, USE, "h")}),
        ("python", "class A: pass\ndef f(x: list['A'] | None, y: 'B | A', z='A') -> 'A': pass\n",
         {(2, USE, "A")}),
        ("ruby", "class A\n  rescue_from E, with: :f\n  alias :g :f\n  def f; end\nend\n",
         {(2, CALL, "rescue_from"), (2, USE, "E"), (2, USE, "f"), (3, USE, "f")}),
        ("rust", "fn f() { A::<u8>::new(1) }\nimpl A {}\n", {(1, USE, "A"), (1, CALL, "new"), (2, USE, "A")}),
    ],
)  # fmt: skip
def test_names_in_idioms_are_references(language: str, source: str, expected: set[tuple[int, int, str]]) -> None:
    assert {(one.line, one.kind, one.name) for one in references(source, language)} == expected


def test_pairs_and_types_with_arguments_are_receivers() -> None:
    php = references("<?php class A { function f() { add([$this, 'g'], [B::class, 'h']); } }\n", "php")
    assert {(one.qualifier, one.name) for one in php} >= {("$this", "g"), ("B", "h")}
    rust = references("fn f() { A::<Vec<u8>>::new(1); x.y::<u8>().z(); }\n", "rust")
    assert ("A", "new") in {(one.qualifier, one.name) for one in rust}


def test_an_export_under_another_name_is_an_alias() -> None:
    found = references("function a() {}\nexport { a as b };\n", "javascript")
    assert (ALIAS, "b", "a") in {(one.kind, one.name, one.qualifier) for one in found}


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ('source "$(dirname "$0")/lib/a.sh"', "lib:a.sh"),
        ('. "${BASH_SOURCE%/*}/a.sh" || exit', ":a.sh"),
        ("source $DIR/a.sh", ":a.sh"),
        ("source './b/a.sh'", "./b:a.sh"),
        ('source "b"$X"/a.sh"', "b:a.sh"),
    ],
)
def test_a_sourced_file_may_be_found_by_a_command(line: str, path: str) -> None:
    assert [f"{one.qualifier}:{one.name}" for one in references(line + "\n", "bash") if one.kind is IMPORT] == [path]


def test_bodies_of_macros_refer() -> None:
    source = (
        "#define A 0x1F\n#define B(x) (1 << SHIFT) /* comment */\n#define C(a) go(a, #a, P_##a) + p->q\n"
        '#define D \\\n\tcall(1); \\\n\t"text"\n#define E (-1L)\n'
    )
    found = {(one.line, one.kind, one.qualifier, one.name) for one in references(source, "c")}
    assert found == {
        (2, USE, "", "SHIFT"),
        (3, CALL, "", "go"),
        (3, USE, "", "p"),
        (3, USE, "p", "q"),
        (5, CALL, "", "call"),
    }


def test_macros_refer_to_functions_by_a_part_of_their_names() -> None:
    source = "DEFINE_SHOW_ATTRIBUTE(a);\nstatic DEVICE_ATTR_RW(b);\nDEFINE_SEQ_ATTRIBUTE(c);\n"
    found = {(one.line, one.name) for one in references(source, "c")}
    assert found >= {(1, "a_show"), (2, "b_show"), (2, "b_store"), (3, "c_sops")}


def test_code_inside_a_string_template_counts() -> None:
    assert names(references("const s = `a ${f(1)}`;\n", "javascript"), CALL) == {"f"}


def test_lines_of_a_multi_line_import_are_exact() -> None:
    found = references("from a import (\n    b,  # c\n    d,\n)\n", "python")
    assert [(one.name, one.line) for one in found] == [("b", 2), ("d", 3)]


def test_a_language_without_rules_has_no_references() -> None:
    assert references('{"a": 1}', "json") == []


@pytest.mark.parametrize("language", sorted(CASES))
def test_broken_code_raises_nothing(language: str) -> None:
    source = CASES[language][0]
    for cut in range(0, len(source), 7):
        references(source[cut:] + "\0(.:::" + source[:cut], language)


def test_a_plain_name_is_no_reference_to_a_member() -> None:
    found = references("class C:\n def f(self, limit):\n  self.limit = limit\n  return self.limit\n", "python")
    assert [(one.name, one.qualifier, one.line) for one in found] == [("limit", "self", 4)]


def test_symbols_of_ruby_stand_for_methods_of_the_file() -> None:
    text = """class C
  before_action :a, if: :other
  private :a
  attr_reader :b
  def a(a) = list.map(&:a)
  def c = options.fetch(:a, { a: 1, :a => 2 })
end
"""
    found = [one for one in references(text, "ruby") if one.name in ("a", "b")]
    assert [(one.kind, one.line, one.qualifier) for one in found] == [(USE, 2, ""), (USE, 3, ""), (USE, 5, "")]


def test_variables_of_the_receiver_in_ruby_are_references() -> None:
    found = references("class C\n def f(limit)\n  @limit = limit\n  @limit + @@other\n end\nend\n", "ruby")
    assert [(one.kind, one.name, one.qualifier, one.line) for one in found] == [
        (USE, "limit", "@self", 4),
        (USE, "other", "@self", 4),
    ]


def test_members_in_the_body_of_a_class_are_references() -> None:
    found = references(
        "class C:\n def a(self): ...\n b = property(a)\n c = a\n @a.setter\n def a(self): ...\n", "python"
    )
    assert [(one.line, one.qualifier) for one in found if one.name == "a"] == [(3, ""), (4, ""), (5, "")]


def test_lists_of_exports_may_have_comments_and_no_brackets() -> None:
    text = "def a(): ...\ndef b(): ...\n__all__ = 'a', 'c'\n__all__ += [  # (]\n    'b',\n]\n"
    found = references(text, "python")
    assert [(one.name, one.line) for one in found if one.name != "__all__"] == [("a", 3), ("b", 5)]


SHADOWED = [
    ("python", "def a(): ...\ndef f(a):\n return a()\n", set()),
    ("python", "def a(): ...\ndef f():\n a = 1\n g(a)\n return x.a\n", {5}),
    ("python", "def a(): ...\ndef f():\n for a in x: g(a)\n with y as a: pass\ndef h(): return a\n", {5}),
    ("python", "def a(): ...\ndef f():\n global a\n a = g(a)\n", {3, 4}),
    ("python", "def a(): ...\nb = a\na = g(a)\nclass C:\n a = a\n", {2, 3, 5}),
    ("python", "def a(): ...\ndef f():\n global a\n a = 1\ndef g(a): return a\n", {3, 4}),
    ("python", "def a(): ...\ndef f(a):\n def g():\n  global a\n  return a\n return a\n", {4, 5}),
    ("python", "def f():\n def a(): ...\n def g():\n  nonlocal a\n  a = g(a)\n return a\n", {4, 5, 6}),
    ("python", "def a(): ...\ndef f():\n from x import a\n a = g(a)\ndef h(a): return a\n", {4}),
    ("python", "def a(): ...\ndef f(a):\n def g():\n  import a\n  return a\n return a\n", {5}),
    ("python", "from x import a\ndef f(a): return a\ndef g(): return a\n", {3}),
    ("python", "from x import a\ndef f(b: a, a=a): return a\ng(lambda a=a: a)\n", {2, 3}),
    ("python", "def a(): ...\ndef f(a):\n def g():\n  def a(): ...\n  return a\n return a\n", {5}),
    ("python", "def a(): ...\ndef f(a):\n class C:\n  def a(self): ...\n return a\n", set()),
    ("python", "from x import *\ndef f(a): return a\ndef g(): return a\n", {3}),
    ("python", "def a(): ...\nb = [a for a in x] + [c for b, (a, c) in a if a]\nd = a\n", {3}),
    ("python", "def a(): ...\ndef f():\n if a := g(): return a\n", set()),
    ("python", "def f():\n def a(): ...\n a = g(a)\n return a\n", {3, 4}),
    ("python", "def a(a=1):\n return a\n", set()),
    ("javascript", "function a() {}\nfunction f() { const a = 1; return a }\nconst g = a => a\na()\n", {4}),
    ("javascript", "get(x, function host() {\n const p = 1 })\nfunction f() {\n var host = this.host\n return host }\n",
     set()),
    ("typescript", "function a() {}\nfunction f(a: number) { return a }\nclass C { m({ a }) { return a } }\na()\n",
     {4}),
    ("javascript", "const a = require('./a')\nfunction f() { const a = require('./a'); return a() }\n", {2}),
    ("javascript", "import a from 'a'\nfunction f(a, b = a) {\n return a }\n", set()),
    ("javascript", "import a from 'a'\nfunction f() { const a = require('a')\n return a }\n", {3}),
    ("javascript", "import a from 'a'\nfunction f() { const [a] = x\n g(a) }\nfunction h({ b: a }) { a() }\n", set()),
    ("python", "def a(): ...\nclass C:\n def f(self, a):\n  self.a = a\n", set()),
    ("typescript", "type a = 1\nfunction f(a: number) {\n const b: a = a }\n", {3}),
    ("c", "struct a { int b; };\nint f(struct a *a) {\n return a->b; }\nint g() { return a(1); }\n", {2, 4}),
    ("c", "int a(int b);\nstruct s { int a; };\nint f(int a) { return a; }\nint g(int b) {\n return a(b); }\n", {5}),
    ("cpp", "struct C { int a; C(int a) : a(a) {\n b([a](int x) { return a; }); } };\nint f() { return C(1).a; }\n",
     {1, 3}),
    ("csharp", "class C { int a; C(int a) { this.a = a; }\n int P { get { var a = 1; return a; } }\n int F() => a; }\n",
     {3}),
    ("go", "package p\ntype T struct { a int }\nfunc f(a int) T { return T{a: a} }\nfunc g() { a := h; a() }\n", {3}),
    ("java", "class C { int a; C(int a) { this.a = a; }\n int f(int a) { return a(a); }\n int g() { return a; } }\n",
     {2, 3}),
    ("kotlin", "class C(val a: Int) {\n fun f(a: () -> Int) = a()\n fun g(a: Int) { this.a + a }\n fun h() = a\n}\n",
     {4}),
    ("lua", "local a = 1\nlocal function f(a) return a() end\nlocal function g() a = a + 1 end\n", {3}),
    ("lua", "local a = 1\nf(function() local a = 1; for a in x do a() end end)\nf(function() a = 1 end)\n", {3}),
    ("ruby", "class C\n def a; end\n def f(a)\n  a\n  a(1)\n  @a = a end\n def g = a\nend\n", {5, 7}),
    ("ruby", "class C < D\n def f(a) = a\n def g; (a, b), *c = x; a; end\n def h; x { |a| a }\n a; end\nend\n", {5}),
    ("ruby", "def f; for a in x do end; a; end\ndef g; a; end\n", {2}),
    ("scala", "class C(val a: Int) {\n def f(a: Int) = a\n def g = a\n def h(x: Any) = x match { case a => a }\n}\n",
     {3, 4}),
    ("typescript", "import a from 'a'\nfunction f() { for (const a of b)\n a() }\nfunction g([a]: T) { a() }\n", set()),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "lines"), SHADOWED)
def test_a_variable_of_a_function_is_no_reference(language: str, text: str, lines: set[int]) -> None:
    found = [one for one in references(text, language) if one.name in ("a", "host") and one.qualifier != "this"]
    assert {one.line for one in found if one.kind in (CALL, USE)} == lines


def test_variables_are_not_imported_by_wildcards() -> None:
    found = references("from x import *\ndef f(a, *b):\n c = d\n return a, b, c, e\n", "python")
    assert {one.name for one in found if one.kind is USE} == {"d", "e"}


def test_references_on_many_levels_are_found() -> None:
    branches = "".join(f"else if (x == {number})\n  run_{number}();\n" for number in range(1_500))
    found = analyse(f"void f(int x) {{\nif (x)\n  run();\n{branches}}}\n".encode(), "c")
    assert len({one.name for one in found.references if one.kind is CALL}) == 1_501
    assert not found.is_partial


def test_levels_that_are_passed_over_make_an_analysis_partial() -> None:
    found = analyse(b"x = (\n" + b"".join(b"f%d() +\n" % number for number in range(40_000)) + b"0)\n", "python")
    assert len(found.references.names) < 40_000
    assert found.is_partial


def test_nothing_is_passed_over_in_a_language_without_rules() -> None:
    grammar = load("json")
    assert grammar is not None
    root = Parser(grammar.language).parse(b"[\n" * 30_000 + b"]\n" * 30_000).root_node
    assert is_too_deep(root, "javascript")
    assert not is_too_deep(root, "json")


def test_many_variables_of_one_name_take_no_disproportionate_time() -> None:
    text = "def a(a): return a\n"
    few, many = (_steps(text * count) for count in (500, 4_000))
    assert many < 16 * few  # eight times the text; comparing each with each would take 64 times


def _steps(text: str) -> int:
    """Return the number of function calls that finding the references in a text takes."""
    count = 0

    def called(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        references(text, "python")
    finally:
        sys.setprofile(before)
    return count
