"""The teacher's vectors of all words, averaged over the word alone and in a few short phrases.

    python -m training.teacher --vocabulary vocabulary.tsv --teacher DIR --out teacher.npy

``DIR`` is a sentence-transformers directory (all-MiniLM-L6-v2, Apache-2.0, was used for the bundled model).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

_FRAMES = ("{}", "{} function", "how to {}", "the {}")
_WEIGHTS = (0.55, 0.15, 0.15, 0.15)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--frames", type=int, default=len(_FRAMES), help="how many of the frames to use")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    teacher = SentenceTransformer(str(args.teacher), device="cpu")
    words = [line.split("\t")[0] for line in args.vocabulary.read_text().splitlines()[1:]]
    total = np.zeros((len(words), teacher.get_embedding_dimension() or 0), np.float32)
    for frame, weight in list(zip(_FRAMES, _WEIGHTS, strict=True))[: args.frames]:
        texts = [frame.format(word) for word in words]
        total += weight * teacher.encode(texts, batch_size=256, normalize_embeddings=True, show_progress_bar=False)
    np.save(args.out, total.astype(np.float16))


if __name__ == "__main__":
    main()
