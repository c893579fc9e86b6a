"""Packed ids are what a list of ids is."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import pytest

from codeindexd.analysis.history.packed_ids import PackedIds, packed


def ids(count: int, seed: str = "") -> list[bytes]:
    return [hashlib.sha1(f"{seed}{number}".encode()).digest() for number in range(count)]


def test_a_sequence_of_ids() -> None:
    plain = ids(50)
    found = packed(plain)
    assert len(found) == 50
    assert list(found) == plain
    assert [found[place] for place in range(-50, 50)] == [plain[place] for place in range(-50, 50)]
    for part in (slice(3, 9), slice(None), slice(40, 90), slice(9, 3), slice(-5, None), slice(0, 50, 7)):
        assert list(found[part]) == plain[part]
    assert found[:3] + found[3:] == found
    assert list(found.at(np.array([4, 0, 4]))) == [plain[4], plain[0], plain[4]]
    assert list(found.at(np.arange(50) % 2 == 0)) == plain[::2]
    with pytest.raises(IndexError):
        found[50]


def test_places() -> None:
    plain = ids(3000)
    random.Random(1).shuffle(plain)
    found = packed(plain)
    asked = [*plain[::3], *ids(100, "other"), plain[5]]
    expected = [plain.index(one) if one in plain else -1 for one in asked]
    assert found.places_of(packed(asked)).tolist() == expected
    assert found.place_of(plain[77]) == 77
    assert found.place_of(ids(1, "other")[0]) is None
    assert PackedIds().places_of(packed(asked[:2])).tolist() == [-1, -1]
    assert found.places_of(PackedIds()).tolist() == []


def test_ids_with_the_same_beginning() -> None:
    plain = [b"8 bytes " + bytes([number]) * 12 for number in range(20)]
    found = packed([*ids(10), *plain, *ids(10, "more")])
    for place, one in enumerate(plain, 10):
        assert found.place_of(one) == place
    assert found.place_of(b"8 bytes " + b"x" * 12) is None


def test_the_id_of_zeros_is_never_found() -> None:
    assert packed([bytes(20), *ids(2)]).places_of(packed([bytes(20), ids(2)[1]])).tolist() == [-1, 2]
    assert packed([bytes(20), *ids(2)]).place_of(bytes(20)) is None
