"""One realistic file per language: the exact chunks, with lines, kinds, symbols and definitions."""

from __future__ import annotations

from pathlib import Path

import pytest

from codeindexd.analysis.chunking import grammars
from codeindexd.analysis.chunking.chunker import chunk
from codeindexd.analysis.chunking.grammars import LANGUAGES
from codeindexd.search.query import KINDS
from codeindexd.types import Span

SAMPLES = Path(__file__).parent / "samples"
NAMES = sorted(path.stem for path in SAMPLES.glob("*.sample"))
TARGET = 300  # smaller than the default, so that short samples have several chunks


def rendered(spans: list[Span]) -> str:
    """Return chunks as text: ``lines kind symbol``, then their definitions, indented, with their first lines."""
    out = []
    for span in spans:
        out.append(f"{span.start_line}-{span.end_line} {span.kind} {span.symbol}".rstrip())
        out += [f"    {span.start_line + s.line_offset} {s.kind} {s.qualified}" for s in span.symbols]
    return "\n".join(out) + "\n"


@pytest.mark.parametrize("name", NAMES)
def test_chunks_follow_the_definitions(name: str) -> None:
    spans = chunk((SAMPLES / f"{name}.sample").read_bytes(), name, target_chars=TARGET)
    assert rendered(spans) == (SAMPLES / f"{name}.expected").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_names_of_definitions_are_the_last_part_of_their_path(name: str) -> None:
    for span in chunk((SAMPLES / f"{name}.sample").read_bytes(), name):
        for symbol in span.symbols:
            assert symbol.qualified.endswith(symbol.name)


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_can_be_asked_for(name: str) -> None:
    spans = chunk((SAMPLES / f"{name}.sample").read_bytes(), name, target_chars=TARGET)
    assert {span.kind for span in spans} | {symbol.kind for span in spans for symbol in span.symbols} <= KINDS


def test_every_language_with_a_grammar_has_a_sample() -> None:
    assert set(NAMES) >= LANGUAGES - {"ocaml_interface"} - set(grammars._OPTIONAL)  # those are in test_rules_optional
