"""Questions about a project that name it, over real stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from codeindexd.search.pinning import pinned_part
from codeindexd.search.project_name import without_project_name
from codeindexd.search.query import parse
from codeindexd.search.searcher import Searcher
from search.indexed_root import Indexed

pytestmark = pytest.mark.anyio


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Indexed]:
    indexed = Indexed(tmp_path, "Gyro-1.2")
    indexed.save("lib/gyro.py", "class Gyro:\n    # how which where running the tests\n    pass\n")
    yield indexed
    indexed.close()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("where does gyro keep its cache", "where does keep its cache"),
        ("which backends does gyro know?", "which backends does know?"),
        ("how do I install Gyro", "how do I install"),
        ("running the tests of Gyro, all of them", "running the tests of , all of them"),
        ("where does Gyro keep its cache", None),  # a class
        ("what is gyro", None),  # too little would be left
        ("errors of gyro.cache in requests", None),
        ("errors of pkg/gyro in requests", None),
        ("how gyroscopes keep their cache", None),
    ],
)
async def test_the_name_of_the_project_is_left_out(root: Indexed, text: str, left: str | None) -> None:
    async with pinned_part([root]) as part:
        assert without_project_name(part.pinned[0], text) == (left or text)


async def test_what_code_defines_is_no_mere_project_name(root: Indexed) -> None:
    root.save("gyro.sh", "gyro() {\n  true\n}\n")
    async with pinned_part([root]) as part:
        assert (
            without_project_name(part.pinned[0], "where does gyro keep its cache") == "where does gyro keep its cache"
        )
        assert without_project_name(part.pinned[0], "how do I install gyro on Linux") == "how do I install on Linux"


async def test_a_word_of_questions_is_no_name(tmp_path: Path) -> None:
    indexed = Indexed(tmp_path, "server")
    indexed.save("a.py", "x = 1\n")
    async with pinned_part([indexed]) as part:
        assert without_project_name(part.pinned[0], "how is the server started") == "how is the server started"
    indexed.close()


async def test_the_section_that_answers_comes_before_those_with_the_name(root: Indexed) -> None:
    root.save("docs/use.md", "# Use\n\nTo install it, run the script as root: how to do so differs.\n")
    for number in range(5):
        root.save(f"docs/gyro_{number}.md", f"# Gyro and gyro {number}\n\nGyro, the gyro of gyros, is gyro.\n")
    asking = Searcher({}, mask_secrets=True)
    text = "how do I install gyro"
    first = (await asking.search([root], parse(text), 10)).hits[0]
    assert first.chunk.path == b"docs/use.md"


async def test_among_several_roots_the_name_tells_which_is_meant(root: Indexed, tmp_path: Path) -> None:
    other = Indexed(tmp_path / "other", "pump")
    other.save("docs/use.md", "# Use\n\nTo install it, run the script as root: how to do so differs.\n")
    root.save("docs/gyro.md", "# Gyro\n\nTo install gyro, install gyro: how to turn the gyro differs, too.\n")
    hits = (await Searcher({}, mask_secrets=True).search([root, other], parse("how do I install gyro"), 10)).hits
    assert hits[0].chunk.path == b"docs/gyro.md"
    other.close()


async def test_what_would_find_nothing_else_keeps_the_name(root: Indexed) -> None:
    async with pinned_part([root]) as part:
        assert without_project_name(part.pinned[0], "do fluxes bend gyro") == "do fluxes bend gyro"
