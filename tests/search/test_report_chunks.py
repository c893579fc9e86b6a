"""Reports over real stores: the headline and the body find the file together, and tests and documents step back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from codeindexd.search.query import parse
from codeindexd.search.searchable_root import SearchableRoot
from codeindexd.search.searcher import Searcher
from search.indexed_root import Indexed

pytestmark = pytest.mark.anyio

REPORT = """Trailing commas are lost when a list is written

I write a list with the writer and read it again:

    writer = ListWriter(out)
    writer.write_items([1, 2, 3])

The last comma is missing, see {place}.
"""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Indexed]:
    indexed = Indexed(tmp_path)
    indexed.save("src/writer.py", "class ListWriter:\n    def write_items(self, items):\n        return items\n")
    indexed.save("src/reader.py", "class ListReader:\n    def read_items(self, text):\n        return text\n")
    indexed.save("src/util/lists.py", "def is_list(value):\n    return isinstance(value, list)\n")
    indexed.save(
        "tests/test_writer.py",
        "def test_trailing_commas_are_lost_when_a_list_is_written():\n    writer = ListWriter(out)\n"
        "    writer.write_items([1, 2, 3])\n",
    )
    indexed.save("docs/lists.md", "# Lists\n\nTrailing commas are lost when a list is written by `ListWriter`.\n")
    yield indexed
    indexed.close()


async def found(root: Indexed, text: str, limit: int = 10) -> list[str]:
    answer = await Searcher({}, mask_secrets=True).search([root], parse(text), limit)
    return [hit.chunk.path.decode() for hit in answer.hits]


async def test_source_comes_before_tests_and_documents_that_say_the_same(root: Indexed) -> None:
    answer = await found(root, REPORT.format(place="above"))
    assert answer[0] == "src/writer.py"
    assert {"tests/test_writer.py", "docs/lists.md"} <= set(answer)


@pytest.mark.parametrize("place", ["src/reader.py", "`reader.py`", "/home/me/project/src/reader.py"])
async def test_a_file_that_is_named_rises(root: Indexed, place: str) -> None:
    assert "src/reader.py" in (await found(root, REPORT.format(place=place)))[:2]


async def test_a_named_file_is_found_although_nothing_else_speaks_for_it(root: Indexed) -> None:
    root.save("src/other.py", "def nothing():\n    return None\n")
    assert "src/other.py" in await found(root, REPORT.format(place="src/other.py"))
    assert "src/other.py" not in await found(root, f"path:src/util/** {'word ' * 30}\n" + REPORT.format(place="it"), 1)


async def test_every_file_comes_once_before_further_chunks(root: Indexed) -> None:
    root.save("src/big.py", "\n\n".join(f"def write_list_{n}(items):\n    return items[{n}]\n" * 20 for n in range(40)))
    answer = await found(root, REPORT.format(place="above"), 6)
    assert len(answer) == len(set(answer)) == 6


async def test_filters_hold_for_reports(root: Indexed) -> None:
    answer = await Searcher({}, mask_secrets=True).search(
        [root], parse(REPORT.format(place="src/writer.py"), paths=["docs/**"]), 10
    )
    assert [hit.chunk.path for hit in answer.hits] == [b"docs/lists.md"]


async def test_a_long_question_how_to_do_something_is_answered_by_documents_as_well(root: Indexed) -> None:
    text = "How do I write a list with ListWriter so that trailing commas are not lost when the list is written? "
    assert (await found(root, text + "I have tried several other ways already and none of them has worked."))[
        0
    ] == "docs/lists.md"


async def test_a_file_that_similar_commits_changed_rises(root: Indexed) -> None:
    def past_files(searched: SearchableRoot, text: str) -> dict[bytes, float]:
        assert searched is root
        assert text.startswith("Trailing commas")  # the headline
        return {b"src/reader.py": 1.0, b"gone.py": 0.9}

    async def place(searcher: Searcher) -> int:
        answer = await searcher.search([root], parse(REPORT.format(place="above")), 10)
        return [hit.chunk.path for hit in answer.hits].index(b"src/reader.py")

    root.save("src/comma.py", "def lose_trailing_commas_of_a_list_that_is_written():\n    return ListWriter\n")
    without = await place(Searcher({}, mask_secrets=True))
    assert await place(Searcher({}, mask_secrets=True, past_files=past_files)) < without


async def test_similar_commits_are_looked_for_once_however_deep_the_search_goes(root: Indexed) -> None:
    asked: list[str] = []

    def past_files(searched: SearchableRoot, text: str) -> dict[bytes, float]:
        asked.append(text)
        return {}

    for number in range(170):  # copies of each other, so that the best candidates have few different texts
        root.save(
            f"copies/{number}.py", "def lose_trailing_commas_of_a_list_that_is_written():\n    return ListWriter\n"
        )
    searcher = Searcher({}, mask_secrets=True, past_files=past_files)
    answer = await searcher.search([root], parse(REPORT.format(place="above")), 10)
    assert {hit.chunk.path for hit in answer.hits} >= {b"src/writer.py"}
    assert len(asked) == 1
