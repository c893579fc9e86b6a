"""The filter of long runs: it never denies a literal that a line has, and denies nearly all others."""

from __future__ import annotations

import random

import hypothesis.strategies as st
from hypothesis import given

from codeindexd.analysis import long_runs
from codeindexd.analysis.long_runs import long_runs_of, may_contain

_TEXTS = st.binary(max_size=300) | st.text("abC_\nä", max_size=300).map(str.encode)


@given(_TEXTS, st.data())
def test_what_a_line_contains_is_never_denied(text: bytes, data: st.DataObject) -> None:
    line = data.draw(st.sampled_from(text.split(b"\n")))
    start = data.draw(st.integers(0, len(line)))
    end = data.draw(st.integers(start, len(line)))
    found = long_runs_of(text)
    assert may_contain(found, line[start:end])
    assert may_contain(found, line[start:end].swapcase())


def test_pieces_of_a_large_text_overlap() -> None:
    marks = [b"mark%d" % number for number in range(10)]
    for shift, mark in enumerate(marks):
        text = b"." * (long_runs._PIECE_BYTES - shift) + mark + b"." * 100
        assert may_contain(long_runs_of(text), mark)


def test_most_literals_that_a_large_text_lacks_are_denied() -> None:
    chosen = random.Random(3)
    names = ["".join(chosen.choices("abcdefghijklmnopqrstuvwxyz_", k=16)).encode() for _ in range(60_000)]
    text, others = b"\n".join(names[:50_000]), names[50_000:]
    found = long_runs_of(text)
    assert all(may_contain(found, name) for name in names[:50_000:97])
    assert sum(may_contain(found, name) for name in others) < len(others) / 50


def test_runs_do_not_cross_lines() -> None:
    assert not may_contain(long_runs_of(b"abc\ndef\n"), b"abcdef")


def test_nothing_is_denied_without_a_run_or_a_filter() -> None:
    assert may_contain(long_runs_of(b"alpha beta"), b"gamma")
    assert not may_contain(long_runs_of(b"alpha beta"), b"gamma!")
    assert may_contain(b"", b"gamma!")


def test_the_filter_is_as_large_as_its_text_needs() -> None:
    sizes = [len(long_runs_of(random.Random(1).randbytes(size))) for size in (0, 100, 10_000, 1 << 20)]
    assert sizes == [128, 128, 8192, long_runs._MOST_BITS // 8]
