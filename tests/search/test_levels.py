"""Files and directories as answers: how they are ranked, and what is shown of each. With real stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from codeindexd.search.levels import Level, hits_for
from codeindexd.search.query import parse
from codeindexd.search.searcher import Answer, Searcher
from search.indexed_root import Indexed

pytestmark = pytest.mark.anyio

BODY = "    session.check()\n    return session\n" + "    value += 1\n" * 60


@pytest.fixture
async def indexed(tmp_path: Path) -> AsyncIterator[Indexed]:
    root = Indexed(tmp_path)
    for name in ("open", "close", "refresh"):
        root.save(f"web/session_{name}.py", f"def {name}_session(session):\n{BODY}")
    root.save(
        "web/sessions.py",
        "".join(f"def session_part_{n}(session):\n{BODY}\n\n" for n in range(5)) + "def other(): pass\n",
    )
    root.save("lib/session_file.py", f"def session_of_file(session):\n{BODY}")
    root.save("readme.py", "SESSION = 1\n")
    yield root
    root.close()


async def asked(root: Indexed, level: Level, limit: int = 10) -> Answer:
    return await Searcher({}, mask_secrets=True).search([root], parse("session"), limit, level=level)


async def test_every_file_is_listed_once_with_its_best_places(indexed: Indexed) -> None:
    answer = await asked(indexed, Level.FILE)
    assert answer.groups is not None
    paths = [group.path for group in answer.groups]
    assert len(paths) == len(set(paths)) == 6
    (several,) = [group for group in answer.groups if group.path == b"web/sessions.py"]
    assert len(several.hits) == 3
    assert {hit.chunk.path for hit in several.hits} == {b"web/sessions.py"}
    assert answer.hits == [hit for group in answer.groups for hit in group.hits]


async def test_as_many_files_are_found_as_asked_for(indexed: Indexed) -> None:
    answer = await asked(indexed, Level.FILE, limit=2)
    assert answer.groups is not None
    assert len(answer.groups) == 2
    whole = await asked(indexed, Level.FILE)
    assert whole.groups is not None
    assert [one.path for one in answer.groups] == [one.path for one in whole.groups][:2]


async def test_a_directory_with_several_good_files_comes_first(indexed: Indexed) -> None:
    answer = await asked(indexed, Level.DIRECTORY)
    assert answer.groups is not None
    assert answer.groups[0].path == b"web"
    assert answer.groups[0].files == 4
    assert {group.path for group in answer.groups} == {b"web", b"lib", b""}
    assert len({hit.chunk.path for hit in answer.groups[0].hits}) == 3


async def test_places_have_no_groups(indexed: Indexed) -> None:
    assert (await asked(indexed, Level.CHUNK)).groups is None


async def test_without_hits_there_are_no_groups_and_a_reason(indexed: Indexed) -> None:
    answer = await Searcher({}, mask_secrets=True).search([indexed], parse('"nowhere at all"'), 10, level=Level.FILE)
    assert (answer.groups, answer.hits) == ([], [])
    assert answer.searched == 6


def test_many_files_and_directories_cost_little_more_than_many_chunks() -> None:
    assert [hits_for(level, 10) for level in Level] == [10, 40, 100]
    assert [hits_for(level, 1000) for level in Level] == [1000, 2000, 2000]
    assert [hits_for(level, 5000) for level in Level] == [5000, 5000, 5000]
