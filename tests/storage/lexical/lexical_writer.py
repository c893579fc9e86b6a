"""A writer for the crash test of the lexical index, to be run by ``support.killing``."""

from __future__ import annotations

import random
from pathlib import Path

from codeindexd.storage.lexical import Lexical, LexicalChunk

STORE = "a-store"
_PER_GENERATION = 12


def held_after(generation: int) -> tuple[list[int], list[int]]:
    """Return the chunk ids and file ids after ``generation``; each adds some and removes half of the previous ones."""
    chunks, files = set[int](), set[int]()
    for number in range(1, generation + 1):
        removed, added = changes(number)
        chunks = (chunks - set(removed)) | set(added)
        files.add(number % 7)
    return sorted(chunks), sorted(files)


def changes(generation: int) -> tuple[list[int], list[int]]:
    """Return the chunk ids that ``generation`` removes and adds."""
    first = generation * _PER_GENERATION
    return list(range(first - _PER_GENERATION, first, 2)), list(range(first, first + _PER_GENERATION))


def apply(lexical: Lexical, generation: int) -> None:
    """Apply ``generation`` to ``lexical``, which is at the previous one."""
    removed, added = changes(generation)
    chance = random.Random(generation)
    chunks = [
        LexicalChunk(one, generation % 7, words=" ".join(chance.choices(["parse", "get", "user", "file"], k=30)))
        for one in added
    ]
    file = generation % 7
    lexical.apply(generation, removed, chunks, [file], [(file, f"src part{generation} py")])


def work(directory: Path) -> None:
    """Apply one generation after the other forever, printing each after its commit."""
    lexical = Lexical.open(directory, STORE)
    while True:
        generation = lexical.generation + 1
        apply(lexical, generation)
        print(generation, flush=True)
