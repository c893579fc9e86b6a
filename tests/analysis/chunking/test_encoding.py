"""Decoding gives the text of every encoding, and the source offset of every line."""

from __future__ import annotations

import codecs
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeindexd.analysis.chunking.chunker import chunk
from codeindexd.analysis.chunking.encoding import DecodedText, count_line_ends, decode, source_text

TEXT = "# grüße\ndef f():\n    return 'é ü'\n\n\n# " + "x" * 40 + "\nclass A:\n    pass\n"
SOURCES = {
    "utf-8": TEXT.encode(),
    "utf-8-sig": codecs.BOM_UTF8 + TEXT.encode(),
    "utf-16-le": codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
    "utf-16-be": codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
    "cp1252": TEXT.encode("cp1252"),
    "gb18030": "// 用户登录时检查密码是否正确\nint login(int a) {\n  return a;\n}\n// 返回值：成功返回零\n".encode(
        "gb18030"
    ),
}


def decoded(data: bytes) -> DecodedText:
    result = decode(data)
    assert result is not None
    return result


def rebuilt(data: bytes) -> str:
    """Return the text joined from the source bytes of its chunks, which must tile the file."""
    result = decoded(data)
    spans = [result.to_source_span(span) for span in chunk(result.utf8, "python", target_chars=20)]
    assert spans[0].start_byte == 0
    assert spans[-1].end_byte == len(data)
    assert all(before.end_byte == after.start_byte for before, after in itertools.pairwise(spans))
    return "".join(source_text(data[span.start_byte : span.end_byte], result.encoding) for span in spans)


@pytest.mark.parametrize("encoding", SOURCES)
def test_encodings_are_recognised_and_chunks_map_to_their_bytes(encoding: str) -> None:
    data = SOURCES[encoding]
    text = data.decode("utf-16" if encoding.startswith("utf-16") else encoding)
    result = decoded(data)
    assert (result.encoding, result.text) == (encoding, text)
    assert rebuilt(data) == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_byte_order_mark_is_recognised(encoding: str) -> None:
    data = TEXT.encode(encoding)
    assert decoded(data).encoding == encoding
    assert rebuilt(data) == TEXT


def test_plain_utf8_is_not_copied_or_mapped() -> None:
    data = TEXT.encode()
    result = decoded(data)
    assert result.utf8 is data
    assert result.to_source(17) == 17


@pytest.mark.parametrize(
    "data",
    [
        b"\x7fELF\x02\x01\x01\0\0\0\0",
        b"text\0text",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        codecs.BOM_UTF8 + b"a\0b",
        codecs.BOM_UTF16_LE + b"a\0b",
        codecs.BOM_UTF16_LE + b"\0\xd8a\0",
        codecs.BOM_UTF32_LE + "a".encode("utf-32-le"),
        bytes(range(1, 32)) * 4 + b"\xff\xfe\xfd",
        b"\0" * 100,
    ],
)
def test_binary_files_are_not_decoded(data: bytes) -> None:
    assert decode(data) is None


@pytest.mark.parametrize("text", ["", "a", "\n", "a\r\nb\r\n", "a\rb\n", "\x0c\n", "a\u2028b\n", "\x1b[1mhi\n"])
def test_odd_texts_are_decoded(text: str) -> None:
    assert decoded(text.encode()).text == text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16-le", "utf-16-be"])
def test_lines_that_end_in_carriage_returns_alone_are_lines(encoding: str) -> None:
    text = "def a():\r    return 'é'\r\rdef b():\r    return 2\r"
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    data = mark + text.encode(encoding)
    result = decoded(data)
    assert (result.encoding, result.text) == (encoding, text.replace("\r", "\n"))
    assert rebuilt(data) == result.text
    spans = [result.to_source_span(span) for span in chunk(result.utf8, "python", target_chars=20)]
    assert [(span.start_line, span.end_line, span.symbol) for span in spans] == [(1, 3, "a"), (4, 5, "b")]
    assert count_line_ends(data[: spans[1].start_byte], encoding) == 3


def test_an_offset_that_cannot_be_mapped_is_an_error() -> None:
    with pytest.raises(ValueError, match="not at the start of a line"):
        decoded(SOURCES["utf-16-le"]).to_source(3)


def test_undecodable_bytes_become_replacement_characters() -> None:
    assert source_text(b"a\xff", "utf-8") == "a\ufffd"
    assert source_text(b"a\0b", "utf-16-le") == "a\ufffd"


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=30).map(lambda t: f"a\n{t}\n" * 3))
def test_any_text_survives_any_marked_encoding(text: str) -> None:
    for encoding, mark in (("utf-8", b""), ("utf-8", codecs.BOM_UTF8), ("utf-16-le", codecs.BOM_UTF16_LE)):
        if text.startswith("\ufeff"):
            continue
        data = mark + text.encode(encoding)
        assert decoded(data).text == text
        assert rebuilt(data) == text


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_decoding_any_bytes_never_raises_and_is_valid_utf8(data: bytes) -> None:
    result = decode(data)
    if result is not None:
        result.utf8.decode("utf-8")
        for span in chunk(result.utf8, ""):
            result.to_source_span(span)
