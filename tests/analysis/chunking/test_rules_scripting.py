"""Functions that are the values of members: of prototypes, object literals and tables."""

from __future__ import annotations

import time

import pytest

from codeindexd.analysis.chunking.chunker import analyse

CASES = [
    ("javascript", "Foo.prototype = { bar: function () {}, baz() {}, n: 1 }", "method Foo.bar, method Foo.baz"),
    ("javascript", "ns.Foo.prototype = {\n async a() {},\n *b() {}\n}", "method ns.Foo.a, method ns.Foo.b"),
    ("javascript", "Object.assign(Foo.prototype, { a() {}, b: () => 1 })", "method Foo.a, method Foo.b"),
    ("javascript", "Foo.prototype = Object.assign(Object.create(Bar.prototype), { a() {} })", "method Foo.a"),
    ("javascript", "$.extend(app, { a() {} })", "method app.a"),
    ("javascript", "Object.assign(exports, {\na() {} }, {\nb() {} })", "method a, method b"),
    ("javascript", "Object.defineProperty(Foo.prototype, 'a', { get() {} })", "method get"),
    ("javascript", "exports.x = { a() {} }", "method x.a"),
    ("javascript", "export default { data() {}, methods: { a (b = f(1)) {} } }", "method data, method methods.a"),
    ("javascript", "const x = {\n if(a) { b }\n}", "constant x"),
    ("typescript", "const x: X = { a(b: (c: C) => D): E { } }", "constant x, method x.a"),
    ("lua", "local M = { f = function() end, n = 1 }", "variable M, function M.f"),
    ("lua", "M.a = {\n ['f'] = function() end,\n g = { h = function() end },\n}",
     "field M.a, function M.a.f, function M.a.g.h"),
    ("lua", "local a, b = { f = function() end }, { g = function() end }",
     "variable a, variable b, function b.g, function a.f"),
    ("lua", "x[1] = { [k] = function() end, [2] = function() end, function() end, f = function() end }", "function f"),
    ("lua", "return { f = function() end }", "function f"),
    ("lua", "local M = {\n f = function() end,\n}\nfunction M.g() end", "variable M, function M.f, function M.g"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "expected"), CASES)
def test_functions_have_the_name_of_what_they_are_members_of(language: str, text: str, expected: str) -> None:
    found = analyse(text.encode(), language).definitions
    assert ", ".join(f"{one.kind} {one.qualified}" for one in found) == expected


def test_names_of_quoted_keys_have_exact_places() -> None:
    (function,) = analyse(b'return { ["a-b"] = function() end }', "lua").definitions
    assert (function.name, function.column) == ("a-b", 12)


@pytest.mark.parametrize("text", [b"{a(", b",a():", b"{a(b,", b"{a((", b"{ ", b"{async "])
def test_looking_for_methods_takes_linear_time(text: bytes) -> None:
    start = time.thread_time()
    analyse(text * 60_000, "javascript", max_bytes=1_000)
    assert time.thread_time() - start < 20
