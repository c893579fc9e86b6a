"""Shapes of hostile texts. Each takes a number of repetitions, so that superlinear time shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

_BRACKETS = {
    b"(": b")",
    b"[": b"]",
    b"{": b"}",
    b"<": b">",
    b"begin\n": b"end\n",
    b"do\n": b"end\n",
    b"<div>": b"</div>",
}
_OPENERS = (
    *(b'"', b"'", b"`", b'"""', b"'''", b"/*", b"<!--", b"<<EOF\n", b"<<~EOF\n", b"[[", b"--[==[", b"(*", b"{-", b"#|"),
    *(b"${", b"#{", b"`${", b"$(", b'r#"', b"%w(", b"%{", b"<?php ", b"<script>", b"<style>", b"{{", b"{%", b"```\n"),
    *(b"=begin\n", b'@"', b'$"{', b"<![CDATA[", b"$$", b"$BODY$", b"\\begin{x}", b"~~~\n", b"/", b"%r{", b"s/"),
)
_HEADS = (
    *(
        b"if x:\n",
        b"if (x) ",
        b"else if (x) ",
        b"#if X\n",
        b"#ifdef X\n",
        b"case x of\n",
        b"let x = ",
        b"fn f() {",
        b"while x do ",
    ),
    *(
        b"x => ",
        b"x -> ",
        b"\\x -> ",
        b"not ",
        b"!",
        b"*",
        b"&",
        b"-",
        b"~",
        b"lambda: ",
        b"await ",
        b"return ",
        b"a.",
        b"a::",
    ),
    *(
        b"a<",
        b"a?",
        b"a=",
        b"a,",
        b"a|",
        b"a+",
        b"a ",
        b"a\n",
        b"a;",
        b"@a\n",
        b"@a ",
        b"# ",
        b"> ",
        b"- ",
        b"* ",
        b"1. ",
        b"a: ",
    ),
    *(
        b"- - ",
        b"? ",
        b"&a [",
        b"*a ",
        b"|",
        b"| a ",
        b"<a ",
        b"<a>",
        b"</a>",
        b'a="b" ',
        b"import a\n",
        b"use a;\n",
        b"a()\n",
    ),
    *(
        b"def f\n",
        b"class A\n",
        b"class A {",
        b"module A\n",
        b"struct A { ",
        b"namespace a {",
        b"template <",
        b"impl A {",
        b"enum {",
    ),
    *(
        b"typedef ",
        b"const ",
        b"async ",
        b"yield ",
        b"new ",
        b"select (",
        b"with a as (",
        b"begin ",
        b"f x = ",
        b"where\n",
        b"of\n",
    ),
    *(
        b"[a](",
        b"![",
        b"**",
        b"_",
        b"\\",
        b"\\\n",
        b";",
        b"\r",
        b"\r\n",
        b"\t",
        b" ",
        b"\x0c",
        b"\0",
        b"\xff",
        b"\xe2\x80\xae",
    ),
    *(
        b"\xcc\x81",
        b"\xcc\x81\xcc\xa3",
        b"\xef\xb7\xba",
        b"\xea\xb0\x80",
        b"\xe4\xb8\xad",
        b"\xf0\x9f\x98\x80",
        b"aA",
        b"a1",
        b"_a",
    ),
)
_LINES = (
    *(
        b"def f%d(x): return x\n",
        b"function f%d() {}\n",
        b"int f%d(void) { return 0; }\n",
        b"class C%d {}\n",
        b"fn f%d() {}\n",
    ),
    *(
        b"f%d x = x\n",
        b"let f%d x = x\n",
        b"key%d: value\n",
        b"[table%d]\n",
        b"- item %d\n",
        b"# heading %d\n",
        b"| %d | a | b |\n",
    ),
    *(
        b"INSERT INTO t VALUES (%d, 'a', NULL);\n",
        b'{"a": %d},\n',
        b"<tr><td>%d</td></tr>\n",
        b".c%d { color: red }\n",
        b"x%d = 1\n",
    ),
    *(
        b"#define A%d 1\n",
        b"resource a b%d {}\n",
        b"case %d:\n",
        b"  - &a%d [*a, *a]\n",
        b"%d\n",
        b"const C%d = 1;\n",
        b"type T%d = A\n",
    ),
    *(
        b"@attr(%d)\n",
        b"## h%d\n===\n",
        b"```\n%d\n```\n",
        b"$v%d = 1;\n",
        b"sub f%d { 1 }\n",
        b"func f%d() {}\n",
        b"pub struct S%d;\n",
    ),
)

Shape = Callable[[int], bytes]


def _nested(opening: bytes, closing: bytes) -> Shape:
    return lambda count: opening * count + b"x" + closing * count


def _unclosed(head: bytes, opener: bytes) -> Shape:
    return lambda count: head + (opener + b"a\n") * count


def _indented(head: bytes) -> Shape:
    def shape(count: int) -> bytes:  # the square root, for the text grows with the square of the depth
        return b"".join(b" " * depth + head for depth in range(int(count**0.5)))

    return shape


def _repeated(piece: bytes) -> Shape:
    return lambda count: piece * count


def _listed(line: bytes) -> Shape:
    return lambda count: b"".join([line % number for number in range(count)])


def _one_line(line: bytes) -> Shape:
    return lambda count: b"".join([(line % number).replace(b"\n", b" ") for number in range(count)])


def _shapes() -> dict[str, Shape]:
    out: dict[str, Shape] = {}
    for opening, closing in _BRACKETS.items():
        out[f"nested {opening!r}"] = _nested(opening, closing)
        out[f"unclosed {opening!r}"] = _unclosed(b"x = ", opening)
        out[f"lines of {opening!r}"] = _nested(opening + b"\n", closing + b"\n")
    for opener in _OPENERS:
        out[f"open {opener!r}"] = _unclosed(b"x = ", opener)
        out[f"run of {opener!r}"] = _repeated(opener)
    for head in _HEADS:
        out[f"repeated {head!r}"] = _repeated(head)
        out[f"stairs of {head!r}"] = _indented(head.rstrip(b"\n") + b"\n")
        out[f"lines of {head!r}"] = _repeated(head.rstrip(b"\n") + b"\n")
    for line in _LINES:
        out[f"many {line!r}"] = _listed(line)
        out[f"one line of {line!r}"] = _one_line(line)
    out["yaml bomb"] = lambda count: (
        b"a0: &a0 [x]\n"
        + b"".join(
            b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, max(2, count // 60))
        )
    )
    out["digits"] = lambda count: b"0123456789" * (count // 10 + 1)
    out["bom in bom"] = lambda count: b"\xef\xbb\xbf" * count
    return out


SHAPES: Mapping[str, Shape] = _shapes()

_DICTIONARY = (*_BRACKETS, *_BRACKETS.values(), *_OPENERS, *_HEADS)


def mutated(data: bytes, other: bytes, random: Random) -> bytes:
    """Return ``data`` with a few flips, cuts, repeats, swaps and tokens, and ranges of ``other``."""
    out = bytearray(data)
    for _ in range(random.randrange(1, 9)):
        at = random.randrange(len(out) + 1)
        length = int(2 ** random.uniform(0, 12))
        to = min(len(out), at + length)
        match random.randrange(9):
            case 0:
                del out[at:to]
            case 1:
                out[at:at] = out[at : at + min(length, 200)] * int(2 ** random.uniform(0, 9))
            case 2:
                out[at:at] = random.choice(_DICTIONARY) * int(2 ** random.uniform(0, 11))
            case 3:
                start = random.randrange(len(other) + 1)
                out[at:to] = other[start : start + length]
            case 4:
                out[at:to] = bytes(reversed(out[at:to]))
            case 5:
                out[at:to] = bytes(byte ^ (1 << random.randrange(8)) for byte in out[at : min(to, at + 40)])
            case 6:
                out[at:to] = out[at:to].replace(b"\n", random.choice((b"\r\n", b"\r", b" ", b"\n\n", b"\\\n")))
            case 7:
                out[at:at] = b" " * random.randrange(300)
            case _:
                del out[to:]  # cut in the middle of whatever it is
    return bytes(out)


def recoded(data: bytes, random: Random) -> bytes:
    """Return ``data`` in another encoding, not always a valid one."""
    text = data.decode("utf-8", "replace")
    match random.randrange(6):
        case 0:
            return text.encode("utf-16")
        case 1:
            return text.encode("utf-16-be")[random.randrange(2) :]
        case 2:
            return b"\xef\xbb\xbf" + data
        case 3:
            return text.encode("latin-1", "replace") + bytes([random.randrange(128, 256)])
        case 4:
            return text.encode("utf-32")
        case _:
            return data[: len(data) // 2] + text.encode("utf-16-le")[: len(data) // 2]
