"""``kill -9`` at any moment: the generation and the contents always belong together."""

from __future__ import annotations

import random
from pathlib import Path

from codeindexd.lexical import Lexical, LexicalQuery
from support.killing import kill_after
from support.lexical_writer import STORE, held_after

_KILLS = 42


def test_kills_never_part_the_generation_from_the_contents(tmp_path: Path) -> None:
    chance = random.Random(20)
    last = 0
    for _ in range(_KILLS):
        printed = kill_after(chance.randint(1, 6), "support.lexical_writer", [str(tmp_path)])
        lexical = Lexical.open(tmp_path, STORE)
        snapshot = lexical.snapshot()
        chunks, files = held_after(snapshot.generation)
        assert snapshot.generation in (printed, printed + 1), "a printed commit is lost, or one came out of nowhere"
        assert snapshot.generation > last
        assert snapshot.chunk_ids().tolist() == chunks
        assert snapshot.file_ids().tolist() == files
        words = LexicalQuery(words=["parse", "get", "user", "file"])
        assert sorted(one for one, *_ in snapshot.search(words, 10**6)) == chunks
        last = snapshot.generation
        if chance.random() < 0.5:
            lexical.check()
            lexical.close()
        else:
            lexical._let_go()  # as a process that ends without closing


def test_orphans_of_a_killed_writer_are_collected(tmp_path: Path) -> None:
    for _ in range(5):
        kill_after(7, "support.lexical_writer", [str(tmp_path)])
    lexical = Lexical.open(tmp_path, STORE)
    generation = lexical.generation
    live = {path.name.split(".")[0] for path in tmp_path.glob("*.term")}
    assert len(live) <= lexical.snapshot()._searcher.num_segments
    assert generation >= 35
    lexical.close()
