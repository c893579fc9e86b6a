"""Definitions in the languages of the extra ``[languages]``, as ``optional_samples/wanted.txt`` lists them."""

from __future__ import annotations

from pathlib import Path

import pytest

from codeindexd.analysis.chunking import grammars
from codeindexd.analysis.chunking.chunker import analyse
from codeindexd.analysis.chunking.grammars import LANGUAGES, languages_to_install
from codeindexd.analysis.chunking.languages import detect

SAMPLES = Path(__file__).with_name("optional_samples")
WANTED = {
    name: lines.splitlines()
    for name, _, lines in (
        part.partition("\n") for part in ("\n" + (SAMPLES / "wanted.txt").read_text()).split("\n== ")[1:]
    )
}


def outline(name: str) -> list[str]:
    """Return the definitions of a sample, "line:column kind qualified.name last-line" each."""
    text = (SAMPLES / name).read_bytes()
    found = analyse(text, detect(name.encode())).definitions
    return [f"{one.line}:{one.column} {one.kind} {one.qualified} {one.end_line}" for one in found]


@pytest.mark.parametrize("name", WANTED)
def test_definitions(name: str) -> None:
    assert outline(name) == WANTED[name]


@pytest.mark.parametrize("name", WANTED)
def test_names_are_where_the_definition_says(name: str) -> None:
    text = (SAMPLES / name).read_bytes()
    analysis = analyse(text, detect(name.encode()))
    assert not analysis.is_partial
    for one in analysis.definitions:
        row = text.split(b"\n")[one.line - 1]
        assert row[one.column - 1 :].startswith(one.name.encode()) or one.kind == "constructor"


def test_every_language_has_a_sample() -> None:
    sampled = {detect(name.encode()) for name in WANTED}
    alike = {"gradle": "groovy", "starlark": "bazel", "systemverilog": "verilog"}
    assert {alike.get(one, one) for one in grammars._OPTIONAL} == sampled
    assert set(grammars._OPTIONAL) <= LANGUAGES


def test_a_language_whose_grammar_is_absent_can_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert languages_to_install() == frozenset()
    monkeypatch.setattr(grammars, "_version", lambda name: "absent" if name == "tree-sitter-dart" else "1")
    languages_to_install.cache_clear()
    assert languages_to_install() == {"dart"}
    languages_to_install.cache_clear()


def test_a_declared_accessor_of_dart_is_defined_once() -> None:
    text = (
        b"abstract class S {\n  double get area;\n  set size(int v);\n  static int count = 0;\n  final double r;\n}\n"
    )
    _, *members = analyse(text, "dart").definitions
    assert [one.signature for one in members] == [
        "double get area",
        "set size(int v)",
        "static int count = 0",
        "final double r",
    ]
