"""Merging segments: the same file as writing all documents at once, a bounded part of the lists at a time."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import numpy as np
import pytest
import xxhash

from codeindexd.analysis.trigrams import trigrams_of
from codeindexd.storage.text import segment
from codeindexd.storage.text.segment import Document, Segment, merge_segments, write_segment

_LETTERS = "etaoinshrdlucmfw"  # most trigrams of code are of few bytes


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    chosen = random.Random(5)
    every = ["".join(chosen.choices(_LETTERS, k=3_000)).encode() for _ in range(400)]
    return [Document(xxhash.xxh3_128_digest(text), trigrams_of(text)) for text in every]


@pytest.fixture
def halves(tmp_path: Path, documents: list[Document]) -> list[Segment]:
    middle = len(documents) // 3
    write_segment(tmp_path / "first", documents[:middle])
    write_segment(tmp_path / "second", documents[middle:])
    return [Segment(tmp_path / "first"), Segment(tmp_path / "second")]


def test_a_merged_segment_is_that_of_all_documents(
    tmp_path: Path, halves: list[Segment], documents: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_segment(tmp_path / "whole", documents)
    for bytes_at_once in (1, 10_000, 1 << 30):
        monkeypatch.setattr(segment, "_BYTES_AT_ONCE", bytes_at_once)
        assert merge_segments(tmp_path / "merged", halves, [np.ones(one.documents, np.bool_) for one in halves])
        assert (tmp_path / "merged").read_bytes() == (tmp_path / "whole").read_bytes()
        (tmp_path / "merged").unlink()


def test_a_segment_is_the_same_however_many_pairs_are_encoded_at_once(
    tmp_path: Path, documents: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_segment(tmp_path / "whole", documents)
    for pairs_at_once in (100, 7_000, 1 << 30):
        monkeypatch.setattr(segment, "_PAIRS_AT_ONCE", pairs_at_once)
        write_segment(tmp_path / "parts", documents)
        assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()
        (tmp_path / "parts").unlink()


def test_parts_have_equal_trigrams_together_and_a_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "_PAIRS_AT_ONCE", 10)
    trigrams = np.repeat(np.arange(50, dtype=np.uint32), 3)
    parts = [trigrams[part] for part in segment._parts(trigrams)]
    assert np.array_equal(np.concatenate(parts), trigrams)
    assert all(len(part) % 3 == 0 and len(part) <= 12 for part in parts)
    assert [len(trigrams[part]) for part in segment._parts(np.zeros(45, np.uint32))] == [45]
    assert [(part.start, part.stop) for part in segment._parts(trigrams[:0])] == [(0, 0)]


def test_a_merge_decodes_a_bounded_part_at_once(halves: list[Segment], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "_BYTES_AT_ONCE", 20_000)
    ranges = list(segment._ranges(halves))
    edges = np.array([low for low, _ in ranges] + [ranges[-1][1]], np.uint32)
    sizes = np.diff(sum(one.bytes_below(edges) for one in halves))
    assert sizes.sum() > 5 * 20_000
    largest_undivided = 16 * sum(map(_longest_list, halves))  # of 256 trigrams, those of the sixteen letters
    assert sizes.max() <= 20_000 + largest_undivided
    assert ranges[0][0] == 0
    assert ranges[-1][1] == 1 << 24
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(ranges))


def _longest_list(one: Segment) -> int:
    return int(np.diff(one._ends.astype(np.int64), prepend=0).max())
