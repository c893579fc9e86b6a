"""The bundled model over the chunks of the standard library: speed beside model2vec, loading, memory of its own.

    python tests/benchmarks/bench_embedding.py [DIR]

``DIR`` (or the environment variable MODEL2VEC) is a word-piece model of model2vec, made as `embedders` says; without it
its figures are left out. Times are CPU time of this process, all threads counted, the least of some interleaved rounds;
each round begins with a fresh model, whose memory of words is empty.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "daemon"))

import embedders

from codeindexd.analysis.chunking.chunker import chunk
from codeindexd.analysis.chunking.encoding import decode
from codeindexd.analysis.embedding.static import StaticModel, first_line
from codeindexd.analysis.tokens import Tokenizer
from codeindexd.indexing.pipeline import embed_text

DAEMON = Path(__file__).resolve().parents[2] / "daemon"
ROUNDS = 3
TIMED, FED = 8_000, 40_000
BATCH = 24  # chunks of a file of the standard library

_CHILD = """
import json, sys, time
import numpy

def anonymous():
    try:
        with open("/proc/self/smaps_rollup") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) / 1024
    except OSError:
        return float("nan")

before = anonymous()
from codeindexd.analysis.embedding.static import StaticModel
from codeindexd.analysis.tokens import Tokenizer

began = time.perf_counter()
model = StaticModel.load()
took = time.perf_counter() - began
for line in sys.stdin:
    model.embed(json.loads(line))
print(json.dumps([took * 1e3, anonymous() - before]))
"""


def run() -> dict[str, float]:
    """Chunks a second, milliseconds, megabytes; ``_share`` is the part of model2vec's time that ours takes."""
    batches = list(batches_of_chunks(FED))
    timed = batches[:: max(1, FED // TIMED)]
    figures = _speeds(timed, os.environ.get("MODEL2VEC", ""))
    figures["embedding_load_ms"] = min(_child([])[0] for _ in range(5))
    figures["embedding_anonymous_mb"] = _child(batches)[1]
    return figures


def _speeds(batches: Sequence[list[str]], word_pieces: str) -> dict[str, float]:
    texts = [text for batch in batches for text in batch]
    tokenizer = Tokenizer()
    words = [[tokenizer.words(text) for text in batch] for batch in batches]
    titles = [[tokenizer.words(first_line(text)) for text in batch] for batch in batches]
    theirs = None
    if word_pieces and importlib.util.find_spec("model2vec") is not None:
        theirs = embedders.WordPieces(Path(word_pieces))
    else:
        print("to compare with model2vec: see embedders.py, then set MODEL2VEC", file=sys.stderr)
    seconds: dict[str, float] = {}

    def measure(name: str, work: Callable[[], object]) -> None:
        began = time.process_time()
        work()
        seconds[name] = min(seconds.get(name, float("inf")), time.process_time() - began)

    for _ in range(ROUNDS):
        if theirs is not None:
            measure("model2vec", lambda: theirs.documents(texts))
        text_model, word_model = StaticModel.load(), StaticModel.load()
        measure("embedding", lambda model=text_model: [model.embed(batch) for batch in batches])  # type: ignore[misc]
        measure(
            "embedding_of_words",
            lambda model=word_model: [  # type: ignore[misc]
                model.embed_words(*pair) for pair in zip(words, titles, strict=True)
            ],
        )
    figures = {f"{name}_chunks_per_s": len(texts) / spent for name, spent in seconds.items()}
    if theirs is not None:
        figures["embedding_share"] = seconds["embedding"] / seconds["model2vec"]
        figures["embedding_of_words_share"] = seconds["embedding_of_words"] / seconds["model2vec"]
    return figures


def _child(batches: Sequence[list[str]]) -> tuple[float, float]:
    """(ms to load, MB of anonymous memory beyond numpy's or NaN where nothing tells) of a process that embeds these."""
    fed = "".join(json.dumps(batch) + "\n" for batch in batches)
    environment = {**os.environ, "PYTHONPATH": str(DAEMON)}
    done = subprocess.run(
        [sys.executable, "-c", _CHILD], input=fed, capture_output=True, check=True, text=True, env=environment
    )
    took, memory = json.loads(done.stdout)
    return took, memory


def batches_of_chunks(limit: int) -> Iterator[list[str]]:
    """What the daemon would embed of the standard library, up to ``limit`` chunks, ``BATCH`` at a time."""
    batch: list[str] = []
    found = 0
    for path in sorted(Path(hashlib.__file__).parent.rglob("*.py")):
        decoded = None if "site-packages" in path.parts else decode(path.read_bytes())
        if decoded is None:
            continue
        for span in chunk(decoded.utf8, "python"):
            batch.append(embed_text(span.symbol, decoded.utf8[span.start_byte : span.end_byte].decode()))
            found += 1
            if len(batch) == BATCH:
                yield batch
                batch = []
            if found == limit:
                return
    if batch:
        yield batch


if __name__ == "__main__":
    if len(sys.argv) > 1:
        os.environ["MODEL2VEC"] = sys.argv[1]
    for name, value in run().items():
        print(f"{name:36} {value:12.3f}")
