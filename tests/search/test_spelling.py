"""Misspelt names and words, over real stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from codeindexd.search.searchable_root import PinnedRoot
from codeindexd.search.spelling import correction, edit_distance, nearest_names
from search.indexed_root import Indexed


@pytest.fixture
def pinned(tmp_path: Path) -> Iterator[PinnedRoot]:
    root = Indexed(tmp_path)
    root.save("a.py", "class Blueprint:\n    def full_dispatch_request(self):\n        return self.connection\n")
    root.save("b.py", "def logic(session):\n    return session.deserialize()\n")
    root.save("c.py", "def reply_session(rely):\n    return rely\n")
    with root.pin_snapshot() as snapshot:
        assert snapshot is not None
        yield PinnedRoot(root, snapshot)
    root.close()


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ("", "", 0),
        ("name", "name", 0),
        ("name", "nmae", 1),
        ("name", "nam", 1),
        ("name", "names", 1),
        ("name", "nape", 1),
        ("name", "anme", 1),
        ("name", "mane", 2),
        ("name", "other", 3),
        ("name", "names of", 3),
        ("ca", "abc", 3),
    ],
)
def test_edits_are_counted_up_to_two(one: str, other: str, distance: int) -> None:
    assert edit_distance(one, other) == distance
    assert edit_distance(other, one) == distance


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("Blueprnit", ["blueprint"]),
        ("blueprnt", ["blueprint"]),
        ("full_dipsatch_reqest", ["full_dispatch_request"]),
        ("bluprnit", ["blueprint"]),
        ("Blueprint", []),
        ("nothing_like_it", []),
        ("log", []),
    ],
)
def test_the_names_with_fewest_edits_are_nearest(pinned: PinnedRoot, name: str, nearest: list[str]) -> None:
    assert nearest_names(pinned.snapshot, name) == nearest


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("sesion", "session"),
        ("conection", "connection"),
        ("full_dispatch_reqeust", "full_dispatch_request"),
        ("deserialise", "deserialize"),
        ("Blueprint", ""),
        ("dispatch_req", ""),  # a part of a name
        ("sessions", ""),  # another form of a word
        ("lgic", ""),  # too short to tell
        ("rely_session", "reply_session"),  # although code has both words
        ("relys_session", ""),  # two edits
        ("replySession", ""),  # in another convention
        ("relySession", ""),
        ("вход", ""),
    ],
)
def test_a_word_that_does_not_occur_is_corrected(pinned: PinnedRoot, typed: str, meant: str) -> None:
    assert correction([pinned], typed, lambda word: False) == meant


def test_a_word_of_the_language_is_not_taken_for_another_that_differs_in_letters(pinned: PinnedRoot) -> None:
    assert correction([pinned], "login", lambda word: False) == "logic"
    assert correction([pinned], "login", lambda word: True) == ""
    assert correction([pinned], "sesison", lambda word: True) == "session"


def test_a_secret_is_no_spelling(tmp_path: Path) -> None:
    root = Indexed(tmp_path)
    root.save("key.py", 'password = "Tr0ub4dorAndThree"\n')
    with root.pin_snapshot() as snapshot:
        assert snapshot is not None
        assert correction([PinnedRoot(root, snapshot)], "Tr0ub4dorAndThre", lambda word: False) == ""
    root.close()
