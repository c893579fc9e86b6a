"""The lexical index at the size of a standard library: 33,000 chunks of some 150 words."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from codeindexd.storage.lexical import Lexical, LexicalChunk, LexicalQuery

CHUNKS = 33_000
_PER_FILE = 18


def run() -> dict[str, float]:
    """Milliseconds unless a name says otherwise; medians."""
    with TemporaryDirectory() as directory:
        return _measured(Path(directory) / "lexical")


def _measured(directory: Path) -> dict[str, float]:
    chunks = _chunks()
    lexical = Lexical.open(directory, "store")
    before, began = _anonymous_mb(), time.perf_counter()
    for generation, start in enumerate(range(0, CHUNKS, 1000), 1):
        part = chunks[start : start + 1000]
        lexical.apply(generation, (), part, (), [(c.file_id, f"src part{c.file_id} py") for c in part[::_PER_FILE]])
    figures = {
        "lexical_bulk_chunks_per_s": CHUNKS / (time.perf_counter() - began),
        "lexical_writer_anonymous_mb": _anonymous_mb() - before,
        "lexical_disk_bytes_per_chunk": sum(path.stat().st_size for path in directory.iterdir()) / CHUNKS,
    }
    generation = lexical.generation
    figures["lexical_save_ms"] = _median_ms(
        lambda: lexical.apply(generation, [chunks[7].chunk_id], [chunks[7]]), repeat=40
    )
    snapshot = lexical.snapshot()
    question = {"words": ["w5", "w77", "w1234"], "identifiers": ["w99"]}
    half = np.arange(1, CHUNKS, 2)
    for name, query in {
        "lexical_query_ms": LexicalQuery(**question),
        "lexical_query_language_ms": LexicalQuery(**question, language="python"),
        "lexical_query_1000_files_ms": LexicalQuery(**question, file_ids=range(1, 1001)),
        "lexical_query_half_of_chunks_ms": LexicalQuery(**question, chunk_ids=half),
        "lexical_query_phrase_ms": LexicalQuery(**question, phrases=[["w5", "w6"]]),
        "lexical_query_pasted_file_ms": LexicalQuery(words=[f"w{n}" for n in range(20_000)]),
    }.items():
        figures[name] = _median_ms(lambda query=query: snapshot.search(query, 100), repeat=50)  # type: ignore[misc]
    figures["lexical_all_ids_ms"] = _median_ms(snapshot.chunk_ids, repeat=5)
    figures["lexical_check_ms"] = _median_ms(lexical.check, repeat=3)
    lexical.close()
    began = time.perf_counter()
    Lexical.open(directory, "store").close()
    figures["lexical_reopen_ms"] = (time.perf_counter() - began) * 1e3
    return figures


def _chunks() -> list[LexicalChunk]:
    chance = random.Random(1)

    def words(count: int) -> str:
        return " ".join(f"w{int(chance.paretovariate(0.6)) % 20_000}" for _ in range(count))

    return [
        LexicalChunk(
            chunk_id=number + 1,
            file_id=number // _PER_FILE + 1,
            words=words(150),
            identifiers=words(15),
            symbol=words(3),
            language="python",
            kind="function",
            names=(f"Client{number % 100}.{words(1)}",),
        )
        for number in range(CHUNKS)
    ]


def _median_ms(function: Callable[[], object], *, repeat: int) -> float:
    function()
    took = []
    for _ in range(repeat):
        began = time.perf_counter()
        function()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e3


def _anonymous_mb() -> float:
    """Anonymous memory of this process; 0 where /proc does not tell."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0
