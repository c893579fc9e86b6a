"""The script in documents of other languages."""

from __future__ import annotations

import time

import pytest

from codeindexd.analysis.chunking.chunker import analyse
from codeindexd.analysis.chunking.embedded import script_in
from codeindexd.analysis.chunking.grammars import fingerprint

VUE = b'<template><a/></template>\n<script setup lang="ts">\nenum E { A }\n</script>\n<style>.a {}</style>\n'


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("vue", VUE, "3:6 enum E, 3:10 enum_member E.A"),
        ("svelte", b"<script>\n  export let name = 1\n  function f() {}\n</script>\n<p/>",
         "2:14 variable name, 3:12 function f"),
        ("astro", b"---\nconst title: string = 'x'\n---\n<h1/>\n", "2:7 constant title"),
        ("html", b"<p>x</p>\n<script type=module>function f() {}</script>\n<script>class A {}</script>",
         "2:30 function f, 3:15 class A"),
        ("html", b'<script type="application/json">{"a": 1}</script>', ""),
        ("html", b"<p>function f() {}</p>", ""),
    ],
)  # fmt: skip
def test_definitions_of_script_have_their_place_in_the_document(language: str, text: bytes, expected: str) -> None:
    found = analyse(text, language).definitions
    assert ", ".join(f"{one.line}:{one.column} {one.kind} {one.qualified}" for one in found) == expected


def test_all_around_the_script_is_blank() -> None:
    script = script_in(VUE, "vue")
    assert script is not None
    assert script.language == "typescript"
    assert (len(script.text), script.text.split()) == (len(VUE), [b"enum", b"E", b"{", b"A", b"}"])


def test_documents_depend_on_the_grammars_of_script() -> None:
    assert fingerprint("vue") != fingerprint("dart")


@pytest.mark.parametrize("text", [b"<script>" * 30_000, b"<script></script>" + b"<%<script>" * 30_000])
def test_script_that_never_ends_is_looked_for_once(text: bytes) -> None:
    began = time.process_time()
    assert script_in(text, "html") is None
    assert time.process_time() - began < 3
