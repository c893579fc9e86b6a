"""References as bytes and back."""

from __future__ import annotations

import contextlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeindexd.analysis.chunking.chunker import analyse
from codeindexd.analysis.references.codec import NO_REFERENCES, BrokenReferencesError, are_equal, decode, encode, joined
from codeindexd.types import ReferenceKind

SOURCE = b"from a import b as c\n\n\ndef f():\n    c(x.y)\n    return f\n"


def test_references_survive_encoding() -> None:
    columns = analyse(SOURCE, "python").references
    assert len(columns)
    assert list(decode(encode(columns))) == list(columns)


def test_no_references_are_no_bytes() -> None:
    assert encode(NO_REFERENCES) == b""
    assert len(decode(b"")) == 0


def test_references_are_found_by_name_kind_and_line() -> None:
    columns = decode(encode(analyse(SOURCE, "python").references))
    assert [(one.kind, one.line) for one in columns.named("c")] == [(ReferenceKind.ALIAS, 1), (ReferenceKind.CALL, 5)]
    assert [one.name for one in columns.of_kind(ReferenceKind.IMPORT)] == ["b"]
    assert [one.name for one in columns.on_lines(6, 6)] == ["f"]
    assert columns.named("missing") == []


def test_equal_text_has_equal_bytes() -> None:
    text = SOURCE + b"".join(b"import m%d as n%d\ng%d(h%d.i, j=k.l)\n" % (n, n, n, n) for n in range(50))
    assert len({encode(analyse(text, "python").references) for _ in range(20)}) == 1


def test_parts_are_joined_with_their_lines() -> None:
    columns = analyse(SOURCE, "python").references
    both = joined([columns, columns.on_other_lines(lambda line: line + 100)])
    assert list(both)[: len(columns)] == list(columns)
    assert [one.line for one in both][len(columns) :] == [one.line + 100 for one in columns]


@given(st.binary(max_size=200))
def test_other_bytes_are_rejected(data: bytes) -> None:
    for raw in (data, zlib.compress(data)):
        if raw:
            with pytest.raises(BrokenReferencesError):
                decode(raw)


@given(st.integers(min_value=0, max_value=2_000), st.integers(min_value=0, max_value=255))
def test_a_changed_byte_is_rejected_or_decoded(place: int, value: int) -> None:
    data = bytearray(zlib.decompress(encode(analyse(SOURCE, "python").references)))
    data[place % len(data)] = value
    with contextlib.suppress(BrokenReferencesError):
        list(decode(zlib.compress(bytes(data))))


def test_equality_does_not_depend_on_compression() -> None:
    encoded = encode(analyse(SOURCE, "python").references)
    assert are_equal(encoded, zlib.compress(zlib.decompress(encoded), 9))
    assert not are_equal(encoded, b"")
    assert not are_equal(encoded, zlib.compress(b"other"))
