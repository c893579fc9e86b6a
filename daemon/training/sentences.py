"""The teacher's vectors of whole questions, from which `training.contrast` learns which questions are alike.

    python -m training.sentences --pairs pairs.jsonl... --teacher DIR --count 200000 --out DIR

Writes ``words.txt`` (a question a line) and ``vectors.npy`` (float16, one row of unit length each). Names of single
identifiers are left out: the teacher was trained on prose.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

_PROSE = frozenset({"doc", "inside", "heading", "commit", "test"})
_LEAST_WORDS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, nargs="+", required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    questions = prose_questions(args.pairs)
    chosen = random.Random(args.seed).sample(questions, min(args.count, len(questions)))
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "words.txt").write_text("".join(f"{question}\n" for question in chosen))
    teacher = SentenceTransformer(str(args.teacher), device="cpu")
    vectors = teacher.encode(chosen, batch_size=256, normalize_embeddings=True, show_progress_bar=False)
    np.save(args.out / "vectors.npy", np.asarray(vectors, np.float16))
    print(f"{len(chosen)} of {len(questions)} questions")


def prose_questions(files: list[Path]) -> list[str]:
    """Return the different questions of several words that people wrote as prose, each where it first occurs."""
    found: dict[str, None] = {}
    for file in files:
        with file.open() as lines:
            for line in lines:
                record = json.loads(line)
                if record["kind"] in _PROSE and record["q"].count(" ") + 1 >= _LEAST_WORDS:
                    found.setdefault(record["q"])
    return list(found)


if __name__ == "__main__":
    main()
