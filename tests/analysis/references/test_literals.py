"""Members that literals name belong to the type of the literal."""

from __future__ import annotations

import pytest

from codeindexd.analysis.chunking.chunker import analyse

CASES = [
    ("c", "struct a x = { .b = 1, .c = { .d = 2 }, .e.f = 3 };\n", {"a.b", "a.c", "a.e", ".d", "e.f"}),
    ("c", 'struct a x[] = { [0] = { .b = 1 }, { .c = "}" } /* } */ , { .d = 1 } };\n', {"a.b", "a.c", "a.d"}),
    ("c", "const a_t x = {\n\t.b = &(struct c){ .d = 1 },\n\t.e = f,\n};\n", {"a_t.b", "c.d", "a_t.e"}),
    ("csharp", "class A { void f() { var s = new N.B<int>(1) { C = 2, D = { 1 } }; } }\n", {"B.C", "B.D"}),
    ("go", 'package p\nvar h = []H{{A: 1}, I{B: 1}}\nvar m = map[string]*K{"a": {C: d}}\nvar g = &q.T[int]{E: 1}\n',
     {"H.A", "I.B", "K.C", "T.E"}),
    ("rust", "fn f() { a::B::<u8> { x: 1, y }; let Self { z, w: q, .. } = s; C { v: D { u: 1 } } }\n",
     {"B.x", "B.y", "Self.z", "Self.w", "C.v", "D.u"}),
]  # fmt: skip


@pytest.mark.parametrize(("language", "source", "members"), CASES)
def test_members_have_the_type_of_their_literal_as_receiver(language: str, source: str, members: set[str]) -> None:
    found = {f"{one.qualifier}.{one.name}".replace("..", ".") for one in analyse(source.encode(), language).references}
    assert members <= found
