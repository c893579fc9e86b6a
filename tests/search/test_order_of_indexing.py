"""Answers are a function of the tree and the query: files may be indexed in any order.

Scores may differ a little all the same, since BM25 counts deleted documents until they are merged away.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from codeindexd.search.query import parse
from codeindexd.search.searcher import Searcher
from search.indexed_root import Indexed

pytestmark = pytest.mark.anyio

WORDS = ["parse", "session", "open", "render", "close", "token"]
QUERIES = [
    "session",
    "open_session",
    "how is a session opened",
    "parse tokens and render them",
    "src",
    "Sessions are not closed\n\nI call open_session and then\nclose_session, and nothing happens.\n",
]


def files() -> dict[str, str]:
    """Thirty files, many of which are equally good answers."""
    draw = Random(1)
    found = {}
    for number in range(30):
        first, second = draw.choice(WORDS), draw.choice(WORDS)
        found[f"src/{first}/{number}.py"] = f"def {first}_{second}(value):\n    return {second}(value)\n"
    return found


async def answers(directory: Path, seed: int) -> list[list[tuple[bytes, int]]]:
    root = Indexed(directory)
    try:
        order = sorted(files().items())
        Random(seed).shuffle(order)
        for name, text in order:
            root.save(name, text)
        searcher = Searcher({}, mask_secrets=True)
        found = [await searcher.search([root], parse(query), 10) for query in QUERIES]
        return [[(hit.chunk.path, hit.place.start_line) for hit in one.hits] for one in found]
    finally:
        root.close()


async def test_answers_do_not_depend_on_the_order_of_indexing(tmp_path: Path) -> None:
    first = await answers(tmp_path / "first", 1)
    assert all(first)
    assert await answers(tmp_path / "second", 2) == first
