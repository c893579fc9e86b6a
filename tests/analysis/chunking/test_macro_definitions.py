"""What macros of C and C++ define, and the functions they refer to by a part of a name."""

from __future__ import annotations

import pytest

from codeindexd.analysis.chunking.chunker import analyse
from codeindexd.analysis.chunking.macro_definitions import used_by_macros

CASES = [
    ("c", b"DEFINE_HASHTABLE(table, 5);\nstatic DEFINE_PER_CPU(int, per[2]);\nDECLARE_STATIC_KEY_FALSE(key);\n",
     "1:18 variable table, 2:28 variable per, 3:26 declaration key"),
    ("c", b"DEFINE_SHOW_ATTRIBUTE(state);\nTRACE_EVENT(start,\n\tx);\nSYSCALL_DEFINE1(end,\n#if X\n int, a)\n",
     "1:23 variable state_fops, 2:13 function start, 2:13 function trace_start, 4:17 function end"),
    ("c", b"static DEVICE_ATTR_RO(speed);\n", "1:23 variable speed, 1:23 variable dev_attr_speed"),
    ("c", b"\nBPF_CALL_2(look, u64, a, u64, b)\n{\n\treturn a;\n}\nTEST_IMPL(udp) {\n\treturn 0;\n}\n",
     "2:12 function look, 6:11 function udp"),
    ("c", (b"#define GET(u, l)\t\\\nstatic int Is##u(int a)\t\\\n{ int b##u; return F_##l; }\t\\\nint last_##l;\n"
           b"#define BOTH(u, l) GET(u, l) SET(u)\n#define SET(u) void Set##u(void) { }\n"
           b"GET(One, one)\nBOTH(Two, two)\nvoid f(void)\n{\n\tGET(No, no)\n}\n"),
     ("1:9 macro GET, 5:9 macro BOTH, 6:9 macro SET, 7:5 function IsOne, 7:5 variable last_one, 8:6 function IsTwo,"
      " 8:6 variable last_two, 8:6 function SetTwo, 9:6 function f")),
    ("c", b"#define LOOP(x) x##_t LOOP(x)\nLOOP(a)\nLOOP(b)\n", "1:9 macro LOOP"),
    ("cpp", b"TEST(Suite, Name) { f(); }\nTEST_F(Fixture, Other) {}\nstruct URL { URL(Base) {} };\n",
     "1:13 function Suite.Name, 2:17 function Fixture.Other, 3:8 struct URL, 3:14 constructor URL.URL"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "expected"), CASES)
def test_what_macros_define_is_known_where_they_are_used(language: str, text: bytes, expected: str) -> None:
    found = analyse(text, language).definitions
    assert ", ".join(f"{one.line}:{one.column} {one.kind} {one.qualified}" for one in found) == expected


def test_functions_that_macros_refer_to_by_a_part_of_their_names() -> None:
    text = b"DEFINE_SHOW_ATTRIBUTE(a);\nstatic DEVICE_ATTR_RW(b);\nDEFINE_SEQ_ATTRIBUTE(c);\nDEVICE_ATTR_WO(d);\n"
    assert [name.decode() for _, name in used_by_macros(text)] == ["a_show", "b_show", "b_store", "c_sops", "d_store"]
