"""Import statements of every language, as the names they bind."""

from __future__ import annotations

import pytest

from codeindexd.analysis.references import imports
from codeindexd.analysis.references.imports import ImportReader

CASES = [
    (imports.python, "import a.b as c, d", [("a", "b", "c"), ("", "d", "")]),
    (imports.python, "from ..x import (y as z,\n  w)", [("..x", "y", "z"), ("..x", "w", "")]),
    (imports.python, "from q import *", [("q", "*", "")]),
    (imports.javascript, "import D, {a as b, type C} from './x'", [("./x", "a", "b"), ("./x", "C", ""), ("./x", "D", "")]),  # noqa: E501
    (imports.javascript, "import * as ns from 'y'", [("y", "*", "ns")]),
    (imports.javascript, "export {q} from './z'", [("./z", "q", "")]),
    (imports.javascript, "export * from './z'", [("./z", "*", "")]),
    (imports.javascript, "import './style.css'", [("./style.css", "style", "")]),
    (imports.javascript, "r = require('./r')", [("./r", "r", "")]),
    (imports.javascript, "{u, v: w} = require('./m')", [("./m", "u", ""), ("./m", "v", "w")]),
    (imports.go, 'f "a/b"', [("a", "b", "f")]),
    (imports.go, '"github.com/x/y/v2"', [("github.com/x", "y", "")]),
    (imports.go, '. "a/b"', [("a/b", "*", "")]),
    (imports.rust, "use a::b::{C, d::E as F, self};", [("a::b", "C", ""), ("a::b::d", "E", "F"), ("a", "b", "")]),
    (imports.rust, "pub use crate::x::*;", [("crate::x", "*", "")]),
    (imports.rust, "use a::{b::{c, d}, e};", [("a::b", "c", ""), ("a::b", "d", ""), ("a", "e", "")]),
    (imports.java, "import static a.b.C.m;", [("a.b.C", "m", "")]),
    (imports.java, "import a.b.*;", [("a.b", "*", "")]),
    (imports.java, "import a.b.C as D", [("a.b", "C", "D")]),
    (imports.scala, "import a.b.{C => D, E}, x.y._", [("a.b", "C", "D"), ("a.b", "E", ""), ("x.y", "*", "")]),
    (imports.swift, "@testable import struct A.B", [("A", "B", "")]),
    (imports.c, '#include "a/b.h"', [("a", "b.h", "")]),
    (imports.c, "using ns::Name;", [("ns", "Name", "")]),
    (imports.csharp, "using A.B;", [("A.B", "*", "")]),
    (imports.csharp, "using X = A.B.C;", [("A.B", "C", "X")]),
    (imports.php, "use A\\B\\{C, D as E};", [("A\\B", "C", ""), ("A\\B", "D", "E")]),
    (imports.php, "use function A\\f;", [("A", "f", "")]),
    (imports.ruby, "require 'a/b'", [("a", "b", "")]),
    (imports.ruby, "require_relative 'c'", [(".", "c", "")]),
    (imports.lua, 'local m = require("a.b")', [("a", "b", "m")]),
    (imports.elixir, "alias A.{B, C}", [("A", "B", ""), ("A", "C", "")]),
    (imports.elixir, "alias A.B, as: C", [("A", "B", "C")]),
    (imports.elixir, "import A, only: [f: 1]", [("", "A", "")]),
    (imports.bash, 'source "$DIR/lib/a.sh"', [("lib", "a.sh", "")]),
    (imports.julia, "using A.B: c, d", [("A.B", "c", ""), ("A.B", "d", "")]),
    (imports.julia, 'include("f.jl")', [("", "f.jl", "")]),
    (imports.haskell, "import qualified A.B as C", [("A", "B", "C"), ("A.B", "*", "")]),
    (imports.ocaml, "open A.B", [("A.B", "*", "")]),
    (imports.zig, 'const a = @import("x/a.zig");', [("x", "a.zig", "a")]),
]  # fmt: skip


@pytest.mark.parametrize(("read", "text", "expected"), CASES)
def test_an_import_is_read(read: ImportReader, text: str, expected: list[tuple[str, str, str]]) -> None:
    assert [(one.module, one.name, one.alias) for one in read(text)] == expected


@pytest.mark.parametrize(("read", "text", "expected"), CASES)
def test_an_offset_is_inside_the_statement(read: ImportReader, text: str, expected: list[tuple[str, str, str]]) -> None:
    assert all(0 <= one.offset <= len(text) for one in read(text))


@pytest.mark.parametrize(("read", "text", "expected"), CASES)
def test_half_a_statement_raises_nothing(read: ImportReader, text: str, expected: list[tuple[str, str, str]]) -> None:
    for cut in range(len(text)):
        list(read(text[:cut]))
