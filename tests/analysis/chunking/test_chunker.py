"""Guarantees for the chunks of any text in any language."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tree_sitter
from hypothesis import given, settings
from hypothesis import strategies as st
from tree_sitter import Language, Tree

from codeindexd.analysis.chunking import chunker
from codeindexd.analysis.chunking.chunker import DEFAULT_MAX_BYTES, chunk
from codeindexd.analysis.chunking.grammars import LANGUAGES
from codeindexd.types import Span

SAMPLES = Path(__file__).parent / "samples"
ALL = [*sorted(LANGUAGES), "", "jupyter", "dart"]


def check(text: bytes, spans: list[Span], max_bytes: int = DEFAULT_MAX_BYTES) -> None:
    """Assert the guarantees of ``chunk`` for these spans of this text."""
    assert bool(spans) == bool(text.strip())
    at, line = 0, 1
    for span in spans:
        body = text[span.start_byte : span.end_byte]
        assert (span.start_byte, span.start_line) == (at, line)
        assert body.strip()
        assert span.kind
        at, line = span.end_byte, span.end_line + 1
        assert body.endswith(b"\n") or at == len(text)
        assert span.end_line - span.start_line == body.count(b"\n") - body.endswith(b"\n")
        assert len(body.strip()) <= max_bytes or b"\n" not in body.strip()  # many blank rows join a neighbour
        assert all(0 <= symbol.line_offset <= span.end_line - span.start_line for symbol in span.symbols)
    assert not spans or at == len(text)


_CODE = """def f(x):
    return x
class A:
{
}

# note
x = (
import os
end
// c
function g() {
*/
é = '\u2028'
"""
_LINES = st.sampled_from(
    [*_CODE.encode().split(b"\n"), b"\t", b"\r", b"\x0c", b'"' * 3, b"\xff\xfe", b"y" * 90, b"\x1a"]
)
_TEXTS = st.one_of(st.binary(max_size=400), st.lists(_LINES, max_size=60).map(b"\n".join))


@settings(max_examples=250, deadline=None)
@given(text=_TEXTS, language=st.sampled_from(ALL), max_bytes=st.integers(1, 400), target=st.integers(1, 300))
def test_chunks_tile_any_bytes(text: bytes, language: str, max_bytes: int, target: int) -> None:
    spans = chunk(text, language, max_bytes=max_bytes, target_chars=target)
    for span in spans:  # only blank rows may be added to a single long line
        body = text[span.start_byte : span.end_byte].strip()
        assert len(body) <= max_bytes or len(body.split(b"\n")) <= 2
    check(text, spans, max_bytes=1 << 30)


@pytest.mark.parametrize("language", ALL)
@pytest.mark.parametrize("text", [b"", b"\n", b" \n\t\n", b"\r\n \x0c\n"])
def test_a_text_of_whitespace_has_no_chunks(text: bytes, language: str) -> None:
    assert chunk(text, language) == []


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n\n", b"\r\n"])
def test_missing_and_extra_final_newlines_belong_to_the_last_chunk(end: bytes) -> None:
    text = b"def f():\n    pass" + end
    (span,) = chunk(text, "python")
    assert (span.start_byte, span.end_byte, span.start_line) == (0, len(text), 1)
    assert (span.kind, span.symbol) == ("function", "f")


def test_only_newlines_end_lines() -> None:
    text = "a = 1\rb = 2\u2028c = 3\x0cd = 4\u0085e\n".encode() + b"def f():\r\n    pass\r\n"
    spans = chunk(text, "python")
    check(text, spans)
    assert spans[-1].end_line == 3


def test_a_line_that_is_too_long_is_its_own_chunk() -> None:
    long = b"x = '" + b"a" * 9000 + b"'\n"
    text = b"a = 1\n" * 10 + long + b"b = 2\n" * 10
    for language in ("python", "", "javascript"):
        spans = chunk(text, language)
        check(text, spans)
        assert any(text[s.start_byte : s.end_byte] == long for s in spans)


def test_one_line_files_are_one_chunk() -> None:
    for size in (100, 10_000, 300_000):
        text = b"!function(){" + b"var a=1;" * (size // 8) + b"}();"
        (span,) = chunk(text, "javascript")
        assert (span.start_byte, span.end_byte, span.end_line) == (0, len(text), 1)


def test_the_limit_holds_for_definitions_of_any_size() -> None:
    body = b"".join(b"    value_%d = compute(value_%d, option=%d)\n" % (n, n, n) for n in range(400))
    text = b"import os\n\n\ndef big(value_0):\n" + body + b"\n\ndef small():\n    return 1\n"
    spans = chunk(text, "python")
    check(text, spans)
    pieces = [s for s in spans if s.symbol == "big"]
    assert len(pieces) > 10
    assert all(600 <= s.end_byte - s.start_byte <= 1500 for s in pieces[:-1])
    assert [s.name for span in spans for s in span.symbols] == ["big", "small"]
    assert spans[-1].symbol == "small"


def test_a_large_class_is_split_into_head_and_methods() -> None:
    method = '    def method_%d(self):\n        """Does a thing."""\n        return self.value * %d + 1\n\n'
    head = (
        'class Large(Base):\n    """A class with a head of its own, which says what it is for."""\n\n'
        + "    a = 1\n" * 20
    )
    text = (head + "\n" + "".join(method % (n, n) for n in range(60))).encode()
    spans = chunk(text, "python")
    check(text, spans)
    assert (spans[0].kind, spans[0].symbol) == ("class", "Large")
    assert {(s.kind, s.symbol) for s in spans[1:]} == {("method", "Large")}
    assert all(len(s.symbols) >= 5 for s in spans[1:-1])
    names = [symbol.qualified for span in spans for symbol in span.symbols]
    assert names == ["Large", *(f"Large.method_{n}" for n in range(60))]


def test_comments_and_decorators_stay_with_the_definition() -> None:
    filler = "def filler_%d():\n" + "    work = 1\n" * 60 + "\n\n"
    text = (filler % 1 + "# Says what it does.\n@decorate\n@again(1)\n" + filler % 2).encode()
    first, second = chunk(text, "python")
    assert first.symbol == "filler_1"
    assert text[second.start_byte :].startswith(b"# Says what it does.\n@decorate")


def test_deep_nesting_does_not_recurse() -> None:
    for text, language in (
        (b"(" * 20_000 + b")" * 20_000, "python"),
        (b"[\n" * 5_000 + b"]\n" * 5_000, "json"),
        (b"".join(b" " * n + b"if x:\n" for n in range(400)), "python"),
        (b"{\n" * 3_000, "c"),
        (b"<div>\n" * 3_000, "html"),
        (b"".join(b"  " * n + b"a:\n" for n in range(200)), "yaml"),
        (b"> " * 3_000 + b"\n", "markdown"),
        (b"function f() {\n" * 2_000, "javascript"),
    ):
        check(text, chunk(text, language))


def test_text_that_takes_too_long_to_parse_is_cut_into_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"int f(int x) { return x; }\n" * 3000
    assert {s.kind for s in chunk(text, "c")} == {"function"}
    monkeypatch.setattr(chunker, "MAX_PARSE_SECONDS", -1.0)
    spans = chunk(text, "c")
    check(text, spans)
    assert {s.kind for s in spans} == {"window"}


@pytest.mark.parametrize("language", ["c", "yaml", "html", "ocaml", "json", "python"])
@pytest.mark.parametrize("piece", [b"x={(\n", b"- ", b"- \n", b"<a>\n", b"(*\n", b"[\n"])
def test_generated_nesting_does_not_crash_parsers(language: str, piece: bytes) -> None:
    text = piece * (120_000 // len(piece))
    check(text, chunk(text, language))


def test_a_header_with_classes_is_cpp() -> None:
    text = b"#pragma once\nnamespace net {\nclass Pool {\npublic:\n    int size() { return 1; }\n};\n}\n"
    names = [s.qualified for span in chunk(text, "c") for s in span.symbols]
    assert names == ["Pool", "Pool.size"]


@pytest.mark.parametrize("text", [b"class a\n" * 60_000, b"namespace" + b" " * 100_000, b"template\n" * 50_000])
def test_headers_are_classified_in_linear_time(text: bytes) -> None:
    began = time.process_time()
    assert chunker._CPP_HEADER.search(text) is None
    assert time.process_time() - began < 5


def test_a_parser_that_reads_often_gets_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The binding keeps every piece forever, and Haskell's scanner reads one per line."""
    given = 0

    class Parser:
        def __init__(self, language: Language) -> None:
            self._parser = tree_sitter.Parser(language)

        def parse(self, read: Callable[[int, object], bytes], **more: Any) -> Tree:
            def counted(offset: int, point: object) -> bytes:
                nonlocal given
                piece = read(offset, point)
                given += len(piece)
                return piece

            return self._parser.parse(counted, **more)

    monkeypatch.setattr(chunker, "Parser", Parser)
    text = b"x\n" + b"".join(b"let f%d x = x\n" % number for number in range(4000))
    assert chunk(text, "haskell")
    assert 0 < given < 16 << 20  # 4,000 times the rest of the text would be 120 MB
