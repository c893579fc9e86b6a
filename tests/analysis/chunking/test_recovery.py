"""Definitions in text that its grammar does not understand: macros, conditional parts, conflicts, unfinished edits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeindexd.analysis.chunking.chunker import analyse
from codeindexd.analysis.chunking.noise import (
    with_main_branches,
    without_item_macros,
    without_noise,
    without_suspects,
)

CASES = [
    # macros before and after names, and on lines of their own
    ("cpp", (b"namespace db {\nclass DB_EXPORT Status {\n public:\n"
     b"  bool ok() const { return true; }\n  int code_;\n};\n}\n"),
     "namespace db, class db.Status, method db.Status.ok, field db.Status.code_"),
    ("cpp", b"LIB_EXPORT template <typename T> class A {\n  T f();\n  T g() {}\n};\n",
     "class A, declaration A.f, method A.g"),
    ("cpp", b"class __declspec(dllexport) A {\n  void f() {}\n};\n", "class A, method A.f"),
    ("cpp", (b"LIB_BEGIN_NAMESPACE\nnamespace ui {\nclass Panel {\n"
     b"public:\n  void paint() {}\n};\n}\nLIB_END_NAMESPACE\n"),
     "namespace ui, class ui.Panel, method ui.Panel.paint"),
    ("cpp", (b"LIB_BEGIN\n\nclass LIB_API B : public W\n{\n  Q_OBJECT\n"
     b"public:\n  int w() const { return 1; }\n};\nLIB_END\n"),
     "class B, method B.w"),
    ("cpp", (b"class A {\n  LIB_INLINE int f() { return 1; }\n"
     b"  void g() LIB_NOEXCEPT {}\n};\n"),
     "class A, method A.f, method A.g"),
    ("cpp", (b"namespace a {\ntemplate <typename T> struct P {\n  LIB_CONSTEXPR P(int x, int y, unsigned z,\n"
     b"                  const S& s)\n      : x_((x >> 24) + g(y)), y_(0) {\n    if (x == y) {\n      auto w = h(s);\n"
     b"      if (w > x) {\n        y_ = w - x;\n      }\n"
     b"    } else if (y > x) {\n      x_ = (z >> 24) + h(s);\n    }\n  }\n"
     b"  int x_;\n};\n\ntemplate <typename C>\nLIB_CONSTEXPR LIB_INLINE auto write(C c) -> int {\n  return c;\n}\n}\n"),
     "namespace a, struct a.P, constructor a.P.P, field a.P.x_, function a.write"),
    ("c", (b"SYSCALL_DEFINE3(read, unsigned int, fd, char __user *, buf, size_t, n)\n"
     b"{\n\treturn 0;\n}\nint f(void)\n{\n}\n"),
     "function read, function f"),
    ("c", b"static DEFINE_PER_CPU(int, counter);\nstatic DEFINE_MUTEX(lock);\nmodule_init(start);\n",
     "variable counter, variable lock"),
    ("c", (b"int old(a, b)\n  int a;\n  char *b;\n{\n"
     b"  return a;\n}\nint f(void) { return 1; }\n"),
     "function old, function f"),
    # annotations of Linux and glibc
    ("c", (b"static __always_inline __alloc_size(1) void *take(int n) { return __take(n); }\n"
     b"static __init __printf(1, 2) __cold void tell(const char *f, ...)\n{\n}\n"),
     "function take, function tell"),
    ("c", (b"extern int __must_check get(const char __user *from);\n__printf(1, 2) void say(const char *f, ...);\n"
     b"static inline __alloc_size(1) void * __must_check make(int n) { if (n) __fill(n); return __p; }\n"
     b"bool flag __read_mostly = 1;\nint end(void) __releases(&a->lock);\n"
     b"struct s { __u32 a; void __iomem *b __aligned(8); } __packed;\nint __attr(int x) __wur;\n"),
     ("declaration get, declaration say, function make, variable flag, declaration end, struct s, field s.a,"
      " field s.b, declaration __attr")),
    ("c", b"#define own(x) \\\n\t__own(x, 1)\n\nstatic int after(int a)\n{\n\treturn a;\n}\n",
     "macro own, function after"),
    # macros among members, lists that macros write, C++ in headers of C
    ("c", (b"#define FIELDS \\\n  /* public */ \\\n  int a; \\\n  /* private */ \\\n  int b; \\\n\n"
     b"struct s {\n  FIELDS\n  MORE_FIELDS\n};\nstruct t {\n  int c;\n  /* these */\n  MORE_FIELDS\n};\n"),
     "macro FIELDS, struct s, struct t, field t.c"),
    ("c", (b"typedef enum {\n#define X(n) P_##n,\n  ALL(X)\n#undef X\n  EXTRA_MEMBERS\n  LAST\n"
     b"#define LAST LAST\n} kind;\nLIB_EXTERN int f(kind k);\n"),
     "enum kind, enum_member kind.LAST, declaration f"),
    ("c", (b"#ifdef __cplusplus\nextern \"C++\" {\ninline int g(T a) { return static_cast<int>(a); }\n#endif\n"
     b"int f(int a);\n#ifdef __cplusplus\n}\n#endif\n"),
     "function g, declaration f"),
    # items in macros of Rust
    ("rust", (b"cfg_rt! {\n    /// Spawns.\n    #[track_caller]\n    pub fn spawn() {\n"
     b"        if true {\n        }\n    }\n}\n"
     b"impl Task {\n    cfg_net! {\n        pub(crate) async fn join(self) {}\n    }\n\n    fn abort(self) {}\n}\n"),
     "function spawn, impl Task, method Task.join, method Task.abort"),
    ("rust", b"fn f() {\n    quote! {\n        pub fn #name() {}\n    }\n}\nmy! {\n    pub static ref X: u8 = 1;\n}\n",
     "function f"),
    ("rust", b"my! {\n    pub fn a() {}\n    b => { 1 } ; c\n}\nfn d() {}\n", "function d"),
    # calling conventions of pointers to functions
    ("c", b"typedef LONG (NTAPI *query)\n  (HANDLE h, int x);\nstatic int (WINAPI * const run)(void);\n",
     "type query, variable run"),
    # types with the parameters of their template on the same line
    ("cpp", b"WRAP(\nint f(void)\n{\n\tint a = 0;\ntemplate <class T = a<b>> struct A {\n\tint a;\n};\n",
     "function WRAP, function f, struct A"),
    # conditional parts inside lists
    ("c", (b"int f(int a,\n#ifdef X\n  int b\n#else\n  long b\n#endif\n"
     b") {\n  return 1;\n}\nint g(void) { return 1; }\n"),
     "function f, function g"),
    ("c", b"#if A\nint f(int a) {\n#else\nint f(long a) {\n#endif\n  return 1;\n}\nint g(void) { return 1; }\n",
     "function f, function f, function g"),
    # members of types in branches that are not kept
    ("c", (b"#if A\nint f(int a) {\n  a = twice(twice(a));\n#else\nstruct s {\n  int b;\n};\nenum e {\n  ONE\n};\n"
     b"int f(long a) {\n#endif\n  return 1;\n}\n"),
     "function f, struct s, field s.b, enum e, enum_member e.ONE, function f"),
    ("cpp", (b"#if A\nint f(int a) {\n  a = twice(twice(a));\n#else\nnamespace n {\n"
     b"class C {\n  int b;\n  int get() { return 1; }\n};\n}\n"
     b"int f(long a) {\n#endif\n  return 1;\n}\n"),
     "function f, namespace n, class n.C, field n.C.b, method n.C.get, function f"),
    # the tag of a type in a declaration defines nothing
    ("c", (b"#define WRAP(x) x\nWRAP(\nint f(void)\n{\n\tstruct buf *one = 0;\nstruct buf *two = one;\nenum mode m;\n"
     b"struct real {\n\tint a;\n};\nstruct buf *last(struct buf *b)\n{\n\treturn b;\n}\n"),
     "macro WRAP, function f, struct real, function last"),
    # SQL of servers whose dialect the grammar does not know
    ("sql", (b"DELIMITER $$\nCREATE DEFINER=`root`@`%` PROCEDURE shop.add_order(IN x INT)\nBEGIN\n"
     b"  INSERT INTO orders VALUES (x);\nEND$$\nDELIMITER ;\nCREATE TABLE after_it (a int);\n"),
     "function shop.add_order, table after_it"),
    ("sql", (b"CREATE DOMAIN posint AS integer CHECK (VALUE > 0);\n"
     b"create table [dbo].[T] ([A] INT IDENTITY(1,1));\nGO\n"),
     "type posint, field A, table T"),
    # conflicts
    ("rust", (b"fn a() {\n<<<<<<< HEAD\n  let x = 1;\n=======\n"
     b"  let x = 2;\n>>>>>>> topic\n}\nfn b() {}\n"),
     "function a, function b"),
    ("python", (b"<<<<<<< ours\ndef a(): pass\n||||||| base\ndef x(): pass\n"
     b"=======\ndef y(): pass\n>>>>>>> theirs\ndef b(): pass\n"),
     "function a, function b"),
    # Kotlin
    ("kotlin", b"fun interface Clicker { fun onClick() }\nclass Screen { fun draw() {} }\nfun helper() {}\n",
     "interface Clicker, method Clicker.onClick, class Screen, method Screen.draw, function helper"),
    ("kotlin", (b"class S { fun area(x: Any) = when (x) { is Int if x > 1 -> 1\n"
     b" else -> 2 }\n fun size() {} }\nfun other() {}\n"),
     "class S, method S.area, method S.size, function other"),
    # unfinished edits
    ("python", (b"class A:\n    def f(self):\n        x = (1,\n\n"
     b"    def g(self):\n        pass\n\ndef h():\n    pass\n"),
     "class A, method A.f, method A.g, function h"),
    ("go", b"package p\nfunc a() {\n\tif x {\n}\nfunc b() {\n}\n", "package p, function p.a, function p.b"),
    ("java", (b"class A {\n  void f() {\n    foo(\n  }\n"
     b"  void g() {\n  }\n}\nclass B {}\n"),
     "class A, method A.f, method A.g, class B"),
    ("rust", b"fn a() {\n  let x = foo(;\n}\nfn b() {\n  if y {\n}\nfn c() {}\nstruct S { a: i32 }\n",
     "function a, function b, function c, struct S, field S.a"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "expected"), CASES)
def test_definitions_around_the_noise_are_found(language: str, text: bytes, expected: str) -> None:
    found = analyse(text, language).definitions
    assert ", ".join(f"{one.kind} {one.qualified}" for one in found) == expected
    for one in found:
        assert text.split(b"\n")[one.line - 1][one.column - 1 :].startswith(one.name.encode())


@pytest.mark.parametrize(
    ("text", "is_partial"),
    [(b"def f(): pass\n", False), (b"class A:\n    x = (\n", True), (b"def f(:\n  = 3 3 }{\n\ndef g(): pass\n", True)],
)
def test_what_was_not_understood_is_said(text: bytes, is_partial: bool) -> None:
    assert analyse(text, "python").is_partial is is_partial


def test_a_class_with_a_macro_names_its_chunk() -> None:
    (span,) = analyse(b"class LIB_API Status {\n  bool ok() { return 1; }\n};\n", "cpp").spans
    assert (span.kind, span.symbol) == ("class", "Status")


def test_no_comment_names_a_chunk() -> None:
    """A class in which something is not understood, a macro, and a name after a comment look like one function."""
    body = b"".join(b"  if (a%d) {\n    b();\n  }\n" % number for number in range(200))
    text = b"struct P {\n  A(= 3;\n" + body + b"}\nLIB_EXPORT\n\n// A::b is\n// T::c\nT<int>::val() {\n  return 1;\n}\n"
    assert all("//" not in span.symbol for span in analyse(text, "cpp").spans)


def test_members_of_a_list_are_not_taken_for_macros() -> None:
    text = b"enum e {\n  FIRST_ONE,\n  LAST_ONE\n};\nint f = g(A_B,\n  C_D\n);\n"
    assert without_suspects(without_noise(text, "c"), "c") == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"#if 0\na a a\n#elif X\nb\n#else\nc\n#endif\nd\n", "b d"),
        (b"#if A\na\n#else\nb\n#endif\nd\n", "a d"),
        (b"#if A\na\n#else\nb b b b b\n#if B\nc\n#endif\n#endif\nd\n", "b b b b b c d"),
        (b"#if A\na a a a a a a a a a a a\n#else\nb\n#if B\nc\n#endif\n#endif\nd\n", "a a a a a a a a a a a a d"),
        (b"#ifdef __cplusplus\na a a\n#endif\nd\n", "d"),
        (b"a\n#endif\n#else\n#if A\nb\n", "a #endif #else b"),
    ],
)
def test_the_first_branch_that_counts_or_a_much_longer_one_is_kept(text: bytes, expected: str) -> None:
    assert b" ".join(with_main_branches(text, "c").split()) == expected.encode()


def test_a_stub_for_other_platforms_hides_nothing() -> None:
    body = b"".join(b"  int a%d = s->b + %d;\n" % (number, number) for number in range(40))
    functions = b"int f(struct s *s) {\n%s}\n\nint g(struct s *s) {\n%s}\n" % (body, body)
    text = b"#if OTHER\nint f(void) {\n  return 0;\n}\n#else\n" + functions + b"int x(\n#endif\n"
    assert [span.symbol for span in analyse(text, "c").spans] == ["f", "g"]


_LINES = st.sampled_from(
    [
        b"#if A",
        b"#else",
        b"#endif",
        b"<<<<<<< a",
        b"=======",
        b">>>>>>> b",
        b"|||||||",
        b"LIB_BEGIN",
        b"class X_API A {",
        b"X_Y int f() {",
        b"}",
        b"fun interface A",
        b"is A if b -> c",
        b"int f() A_B;",
        b"",
        b"\xff",
        b"F_G((",
        b"cfg! {",
        b"pub fn f() {",
    ]
)


@given(st.lists(_LINES, max_size=30).map(b"\n".join), st.sampled_from(["c", "cpp", "csharp", "kotlin", "python"]))
def test_blanking_keeps_every_offset(text: bytes, language: str) -> None:
    for blank in (without_noise, without_suspects, with_main_branches, lambda text, _: without_item_macros(text)):
        blanked = blank(text, language)
        assert len(blanked) == len(text)
        assert all(new in (old, ord(" "), ord(";")) for old, new in zip(text, blanked, strict=True))
        assert blanked.count(b"\n") == text.count(b"\n")
