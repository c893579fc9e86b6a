"""What an answer without hits says, over real stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from codeindexd.roots.registry import RootSpec
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
        ("symbol:alhpa", 2, "no definition in {root} is named alhpa; the closest names are alpha"),
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
