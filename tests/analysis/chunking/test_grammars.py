"""Grammars are loaded on demand; a missing one means windows; fingerprints depend on those installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from codeindexd.analysis.chunking import grammars
from codeindexd.analysis.chunking.chunker import chunk
from codeindexd.analysis.chunking.grammars import LANGUAGES, fingerprint


@pytest.fixture
def _fresh_caches() -> Iterator[None]:
    caches = (grammars.load, grammars.fingerprint, grammars._version)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def test_every_grammar_is_installed_and_loads() -> None:
    assert [language for language in sorted(LANGUAGES) if grammars.load(language) is None] == []


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_rule_names_node_types_its_grammar_has(language: str) -> None:
    grammar = grammars.load(language)
    assert grammar is not None
    kinds = {grammar.language.node_kind_for_id(number) for number in range(grammar.language.node_kind_count)}
    rules = grammar.rules
    named = rules.definitions.keys() | rules.descend | rules.transparent
    assert named - kinds == set()


@pytest.mark.usefixtures("_fresh_caches")
def test_a_grammar_that_cannot_be_imported_means_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tree_sitter_python", None)
    (span,) = chunk(b"def f():\n    pass\n", "python")
    assert (span.kind, span.symbol, span.symbols) == ("window", "", ())


@pytest.mark.usefixtures("_fresh_caches")
def test_the_fingerprint_changes_with_the_grammar_and_the_chunker(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint("python"), fingerprint("go"), fingerprint("")
    installed = grammars._version
    monkeypatch.setattr(grammars, "_version", lambda name: "9" if name == "tree-sitter-python" else installed(name))
    grammars.fingerprint.cache_clear()
    assert fingerprint("python") != before[0]
    assert (fingerprint("go"), fingerprint("")) == before[1:]
    monkeypatch.setattr(grammars, "CHUNKER_VERSION", "next")
    grammars.fingerprint.cache_clear()
    assert fingerprint("") != before[2]


def test_fingerprints_differ_between_languages() -> None:
    names = [*LANGUAGES, "", "erlang", "jupyter"]
    assert len({fingerprint(name) for name in names}) == len(names)


def test_fingerprints_know_the_version_of_every_grammar() -> None:
    versions = {grammars._version(source.distribution) for source in grammars._SOURCES.values()}
    assert "absent" not in versions


def test_fingerprints_import_no_grammar() -> None:
    code = (
        "import sys; from codeindexd.analysis.chunking.grammars import LANGUAGES, fingerprint;"
        "[fingerprint(name) for name in LANGUAGES];"
        "print([name for name in sys.modules if name.startswith('tree_sitter_')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert done.stdout.strip() == "[]"
