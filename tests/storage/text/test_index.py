"""The text index against the plainest possible one: a set of trigrams per content."""

from __future__ import annotations

import os
import random
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import xxhash
from hypothesis import given

from codeindexd.analysis.trigrams import trigrams_of
from codeindexd.errors import AlreadyRunningError, StoreDamagedError, StoreFullError
from codeindexd.storage.text import All, And, Nothing, Or, Query, TextIndex, Trigram
from codeindexd.storage.text.index import Thresholds
from codeindexd.storage.text.postings import decode, decode_many, encode
from codeindexd.storage.text.segment import Document
from support.limits import largest_file

pytestmark = pytest.mark.processes

SMALL = Thresholds(recent=8, fan_in=3, largest=200, crowd=20)
WORDS = [b"alpha", b"beta", b"gamma", b"Delta", b"epsilon", b"zeta\n", b"\xc3\xa4pfel", b"xyz"]


def content_of(text: bytes) -> bytes:
    return xxhash.xxh3_128_digest(text)


def document(text: bytes) -> Document:
    return Document(content_of(text), trigrams_of(text))


def texts(count: int, seed: int = 0) -> list[bytes]:
    chosen = random.Random(seed)
    return [b" ".join(chosen.choices(WORDS, k=chosen.randrange(6))) + b"%d" % number for number in range(count)]


def holds(text: bytes, query: Query) -> bool:
    match query:
        case All():
            return True
        case Nothing():
            return False
        case Trigram():
            return query.value in trigrams_of(text)
        case And():
            return all(holds(text, part) for part in query.parts)
        case Or():
            return any(holds(text, part) for part in query.parts)


def trigram(word: bytes) -> Trigram:
    return Trigram(word[0] << 16 | word[1] << 8 | word[2])


QUERIES = [
    All(),
    Nothing(),
    trigram(b"alp"),
    trigram(b"qqq"),
    And((trigram(b"alp"), trigram(b"bet"))),
    Or((trigram(b"gam"), trigram(b"del"))),
    And((Or((trigram(b"eps"), trigram(b"xyz"))), trigram(b"lph"))),
]


def check(index: TextIndex, expected: list[bytes]) -> None:
    snapshot = index.snapshot()
    assert snapshot.contents() == set(map(content_of, expected))
    for query in QUERIES:
        found = [content for content, _ in snapshot.candidates(query)]
        assert len(found) == len(set(found))
        assert set(found) == {content_of(text) for text in expected if holds(text, query)}, query


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "text"


def make(place: Path) -> TextIndex:
    return TextIndex.open(place, "store", verify=True, thresholds=SMALL)


def test_documents_are_found_at_once_and_after_every_kind_of_end(place: Path) -> None:
    every = texts(100)
    index = make(place)
    for number, text in enumerate(every, 1):
        index.apply(number, [document(text)])
    check(index, every)
    index.close()
    again = make(place)
    assert again.generation == 100
    check(again, every)
    again.close()


def test_many_documents_in_memory_become_a_segment_in_quiet_times(place: Path) -> None:
    index = TextIndex.open(place, "uuid", verify=False, thresholds=Thresholds(recent=1_000, many=20))
    written = texts(30)
    index.apply(1, [document(text) for text in written[:10]])
    assert not index.maintain(None, lambda: False)
    assert not list(place.glob("*.trigrams"))
    index.apply(2, [document(text) for text in written[10:]])
    assert index.maintain(None, lambda: False)
    assert len(list(place.glob("*.trigrams"))) == 1
    check(index, written)
    index.close()


def test_after_a_kill_the_generation_tells_that_something_is_missing(place: Path) -> None:
    every = texts(20)
    index = make(place)
    index.apply(3, [document(text) for text in every[:16]])
    index.apply(4, [document(text) for text in every[16:]])
    index._lock, lock = -1, index._lock  # as a kill leaves it: memory is gone, the lock too
    os.close(lock)
    again = make(place)
    assert again.generation < 4
    assert again.missing_from(map(content_of, every)) == [content_of(text) for text in every[16:]]
    again.apply(4, [document(text) for text in every])
    check(again, every)
    again.close()


def test_merging_keeps_what_lives_and_drops_the_rest(place: Path) -> None:
    every = texts(150)
    index = make(place)
    for number, text in enumerate(every, 1):
        index.apply(number, [document(text)])
    index.flush()
    segments = len(list(place.glob("*.trigrams")))
    kept = every[::2]
    assert index.maintain(lambda: set(map(content_of, kept)), lambda: False)
    assert len(list(place.glob("*.trigrams"))) < segments
    snapshot = index.snapshot()
    assert set(map(content_of, kept)) <= snapshot.contents()
    assert index.missing_from([content_of(every[1])]) or content_of(every[1]) in snapshot.contents()
    for query in QUERIES:
        expected = {content_of(text) for text in every if holds(text, query)} & snapshot.contents()
        assert {content for content, _ in snapshot.candidates(query)} == expected
    index.apply(200, [document(text) for text in every])
    check(index, every)
    index.close()
    again = make(place)
    check(again, every)
    again.close()


def test_a_snapshot_outlives_merges(place: Path) -> None:
    every = texts(60)
    index = make(place)
    for number, text in enumerate(every, 1):
        index.apply(number, [document(text)])
    before = index.snapshot()
    expected = {query: set(before.candidates(query)) for query in QUERIES}
    index.maintain(lambda: frozenset(), lambda: False)
    assert {query: set(before.candidates(query)) for query in QUERIES} == expected
    index.close()


def test_crowds_are_merged_without_a_quiet_time(place: Path) -> None:
    index = make(place)
    for number, text in enumerate(texts(2_000), 1):
        index.apply(number, [document(text)])
    assert len(list(place.glob("*.trigrams"))) < 2_000 / SMALL.recent / 2
    index.close()


def test_digests_are_those_of_the_trigrams(place: Path) -> None:
    every = texts(30)
    index = make(place)
    index.apply(1, [document(text) for text in every])
    index.maintain(None, lambda: False)
    expected = {content_of(text): xxhash.xxh3_64_intdigest(trigrams_of(text).tobytes()) for text in every}
    assert index.snapshot().digests() == expected
    index.close()


@pytest.mark.parametrize("how", ["flipped", "cut", "emptied", "missing"])
def test_damage_is_noticed(place: Path, how: str) -> None:
    index = make(place)
    index.apply(1, [document(text) for text in texts(20)])
    index.close()
    (path, *_) = sorted(place.glob("*.trigrams"))
    data = bytearray(path.read_bytes())
    if how == "missing":
        path.unlink()
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes({"flipped": data, "cut": data[:-30], "emptied": b""}[how])
    with pytest.raises(StoreDamagedError):
        make(place)
    index = TextIndex.create(place, "store")
    check(index, [])
    index.close()


def test_an_index_of_another_catalog_is_refused(place: Path) -> None:
    make(place).close()
    with pytest.raises(StoreDamagedError):
        TextIndex.open(place, "another", verify=False)


def test_only_one_process_opens_it(place: Path) -> None:
    index = make(place)
    with pytest.raises(AlreadyRunningError):
        make(place)
    index.close()


def test_a_full_disk_loses_nothing_and_is_tried_again(place: Path) -> None:
    every = texts(20)
    index = make(place)
    with largest_file(300), pytest.raises(StoreFullError):
        index.apply(1, [document(text) for text in every])
    check(index, every)
    index.apply(2, [])
    index.close()
    again = make(place)
    assert again.generation == 2
    check(again, every)
    again.close()


def test_flags_of_masked_contents_survive_everything(place: Path) -> None:
    every = texts(100)
    index = make(place)
    for number, text in enumerate(every, 1):
        index.apply(number, [Document(content_of(text), trigrams_of(text), is_masked=number % 3 == 0)])
    index.maintain(None, lambda: False)
    index.close()
    again = make(place)
    expected = {content_of(text): number % 3 == 0 for number, text in enumerate(every, 1)}
    assert dict(again.snapshot().candidates(All())) == expected
    again.close()


def test_orphans_go(place: Path) -> None:
    make(place).close()
    (place / "00000099.trigrams").write_bytes(b"half a merge")
    make(place).close()
    assert not (place / "00000099.trigrams").exists()


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 299)), max_size=300), st.integers(300, 40_000))
def test_lists_survive_encoding(pairs: list[tuple[int, int]], documents: int) -> None:
    ordered = sorted(set(pairs))
    trigrams = np.array([one for one, _ in ordered], np.uint32)
    numbers = np.array([number * (documents // 300) for _, number in ordered], np.uint32)
    distinct, lengths, data = encode(trigrams, numbers, documents)
    counts, decoded = decode_many(data, lengths.astype(np.int64), documents)
    assert np.repeat(distinct, counts).tolist() == trigrams.tolist()
    assert decoded.tolist() == numbers.tolist()
    at = 0
    for value, length in zip(distinct.tolist(), lengths.tolist(), strict=True):
        assert decode(data[at : at + length], documents).tolist() == numbers[trigrams == value].tolist()
        at += length


def test_a_merge_does_not_drop_a_content_that_comes_back_meanwhile(place: Path) -> None:
    every = texts(60)
    index = make(place)
    for number, text in enumerate(every, 1):
        index.apply(number, [document(text)])
    index.flush()
    back = every[0]

    def live() -> set[bytes]:
        alive = set(map(content_of, every[30:]))
        index.apply(61, [document(back)])  # after the answer was computed
        return alive

    index.maintain(live, lambda: False)
    assert content_of(back) in index.snapshot().contents()
    assert index.missing_from([content_of(back)]) == []
    assert index.maintain(lambda: set(map(content_of, [back, *every[30:]])), lambda: False)
    check(index, [text for text in every if content_of(text) in index.snapshot().contents()])
    index.close()
    again = make(place)
    assert again.missing_from([content_of(back)]) == []
    again.close()


def test_masked_contents_are_known(tmp_path: Path) -> None:
    masked = Document(content_of(b"secret"), trigrams_of(b"secret"), is_masked=True)
    with_recent = TextIndex.create(tmp_path / "text", "store")
    with_recent.apply(1, [masked, document(b"plain")])
    for _ in range(2):  # in memory, then in a segment
        snapshot = with_recent.snapshot()
        assert snapshot.is_masked(masked.content)
        assert not snapshot.is_masked(content_of(b"plain"))
        assert not snapshot.is_masked(content_of(b"unknown"))
        with_recent.flush()
    with_recent.close()
