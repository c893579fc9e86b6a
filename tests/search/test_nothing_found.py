"""What an answer without hits says, over real stores."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from codeindexd.roots.registry import RootSpec
from codeindexd.search.nothing_found import RootNote, fold_notes
from codeindexd.search.query import parse
from codeindexd.search.searcher import Answer, Searcher
from codeindexd.types import Entry, FileUpdate, NodeKind, Outcome, Transaction
from search.indexed_root import Indexed

pytestmark = pytest.mark.anyio


@pytest.fixture
async def indexed(tmp_path: Path) -> AsyncIterator[Indexed]:
    root = Indexed(tmp_path)
    root.save("src/a.py", "def alpha():\n    return 'First Value'\n")
    root.save("b.py", "class Beta:\n    pass\n")
    yield root
    root.close()


async def answer(indexed: Indexed, text: str, *others: Indexed) -> Answer:
    found = await Searcher({}, mask_secrets=True).search([indexed], parse(text), 10, others=others)
    assert found.hits == []
    return found


@pytest.mark.parametrize(
    ("text", "searched", "note"),
    [
        ("lang:go alpha", 0, "no indexed file of {root} is in go; most are in python"),
        ("path:nowhere/** alpha", 0, "no indexed file of {root} matches the path nowhere/**"),
        ("kind:trait alpha", 2, "no definition in {root} is of the kind trait"),
        ("symbol:alhpa", 2, "no definition in {root} is named alhpa; the closest name is alpha"),
        ("symbol:betta", 2, "no definition in {root} is named betta; the closest name is Beta"),
        ("symbol:zzzzzzz", 2, "no definition in {root} is named zzzzzzz"),
        ('"First value!"', 2, None),
        (
            "/first VALUE/",
            2,
            "/first VALUE/ matches in another case, or not together with the rest of the query: src/a.py:2",
        ),
        ('"First Value" path:b.py', 1, '"First Value" matches only outside the filters: src/a.py:2'),
    ],
)
async def test_the_part_that_excludes_everything_is_named(
    indexed: Indexed, text: str, searched: int, note: str | None
) -> None:
    found = await answer(indexed, text)
    assert found.searched == searched
    assert found.notes == ([] if note is None else [note.format(root=indexed.directory)])


async def test_files_that_are_not_indexed_are_counted(indexed: Indexed) -> None:
    waiting = FileUpdate(Entry(b"c.py", NodeKind.FILE, b"1" * 16), Outcome.UNPROCESSED)
    indexed.index.commit(Transaction(updates=[waiting]))
    assert (await answer(indexed, '"nowhere: at all"')).notes == ["1 file not indexed yet"]


async def test_a_root_that_was_not_searched_and_has_a_match_is_named(indexed: Indexed, tmp_path: Path) -> None:
    other = Indexed(tmp_path / "other")
    other.spec = RootSpec("two", other.directory, 1, 2)
    other.save("c.py", "x = 'nowhere: but here'\n")
    notes = (await answer(indexed, '"nowhere: but here"', other)).notes
    assert notes == [f"{other.directory} has a match, and was not searched"]
    assert (await answer(indexed, '"nowhere: at all"', other)).notes == []
    other.close()


def more_roots(indexed: Indexed, number: int) -> list[Indexed]:
    """Return roots with other paths and the content of ``indexed``."""
    roots = [copy.copy(indexed) for _ in range(number)]
    for at, root in enumerate(roots):
        root.spec = RootSpec(f"r{at}", Path(f"/roots/r{at}"), 1, 10 + at)
    return roots


async def test_roots_that_were_not_looked_at_are_counted(indexed: Indexed, tmp_path: Path) -> None:
    one = Indexed(tmp_path / "one")
    one.save("z.py", "x = 1\n")
    others = more_roots(indexed, 20)
    notes = (await answer(one, "symbol:alpha", *others)).notes
    assert notes[1:] == [
        "/roots/r0, /roots/r1, /roots/r2, /roots/r3, /roots/r4 and 11 more roots have a match, and were not searched",
        "4 more roots were not looked at",
    ]
    assert (await answer(one, "lang:go", *others)).notes[1:] == []
    one.close()


async def test_the_same_reason_in_many_roots_is_one_note(indexed: Indexed) -> None:
    roots = more_roots(indexed, 18)
    searcher = Searcher({}, mask_secrets=True)
    for text, notes in [
        ("lang:go alpha", ["no indexed file of 18 roots is in go"]),
        (
            "path:no/** lang:go alpha",
            ["no indexed file of 18 roots is in go", "no indexed file of 18 roots matches the path no/**"],
        ),
        (
            "symbol:alhpa",
            ["no definition in 18 roots is named alhpa", "2 more roots were not examined for what comes close"],
        ),
    ]:
        assert (await searcher.search(roots, parse(text), 10)).notes == notes


def test_places_that_come_close_in_many_roots_are_one_note() -> None:
    notes = [RootNote('"x" matches only outside the filters: ', detail=f"{name}.py:1") for name in "abc"]
    assert fold_notes(notes) == ['"x" matches only outside the filters: a.py:1, and in 2 more roots']
    assert fold_notes(notes[:1]) == ['"x" matches only outside the filters: a.py:1']
