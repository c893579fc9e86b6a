"""``kill -9`` at any moment: the generation and the content always match."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeindexd.storage.lexical import Lexical, LexicalQuery
from storage.lexical.lexical_writer import STORE, held_after
from support.killing import killer, quick_directory

pytestmark = pytest.mark.processes

_KILLS = 42


@pytest.fixture
def quick() -> Iterator[Path]:
    with quick_directory() as directory:
        yield directory


def test_after_a_kill_generation_and_content_match(quick: Path) -> None:
    chance = random.Random(20)
    last = 0
    with killer("storage.lexical.lexical_writer", quick) as kill_after:
        for _ in range(_KILLS):
            printed = kill_after(chance.randint(1, 6))
            lexical = Lexical.open(quick, STORE)
            snapshot = lexical.snapshot()
            chunks, files = held_after(snapshot.generation)
            assert snapshot.generation in (printed, printed + 1), "a printed commit is lost, or there is one too many"
            assert snapshot.generation > last
            assert snapshot.chunk_ids().tolist() == chunks
            assert snapshot.file_ids().tolist() == files
            words = LexicalQuery(words=["parse", "get", "user", "file"])
            assert sorted(one for one, *_ in snapshot.search(words, 10**6)) == chunks
            last = snapshot.generation
            if chance.random() < 0.5:
                lexical.close()
            else:
                lexical._unlock()  # as a process that ends without closing


def test_orphans_of_a_killed_writer_are_collected(quick: Path) -> None:
    with killer("storage.lexical.lexical_writer", quick) as kill_after:
        for _ in range(5):
            kill_after(7)
    lexical = Lexical.open(quick, STORE)
    assert lexical.generation >= 35
    assert len(list(quick.glob("*.term"))) <= lexical.snapshot()._searcher.num_segments
    lexical.close()
