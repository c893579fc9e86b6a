"""From the teacher's word vectors to a static model: centre, PCA, weights by frequency.

    python -m training.distil --vocabulary vocabulary.tsv --teacher teacher.npy --out DIR [--table table.npy]

Weights are smooth inverse frequencies (Arora, Liang and Ma, "A Simple but Tough-to-Beat Baseline for Sentence
Embeddings", ICLR 2017) over document frequencies; directions are those of a PCA, each divided by a power of its spread.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from training.export import Table, export


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--dimensions", type=int, default=256)
    parser.add_argument(
        "--whitening", type=float, default=0.25, help="0: plain PCA, 1: equal variance in all directions"
    )
    parser.add_argument(
        "--smoothing", type=float, default=0.003, help="document frequency at which a word has half the weight"
    )
    parser.add_argument("--table", type=Path, help="also write the float table, for training")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    words, frequencies = read_vocabulary(args.vocabulary)
    directions = reduce(np.load(args.teacher).astype(np.float32), args.dimensions, args.whitening)
    table = directions * (args.smoothing / (args.smoothing + frequencies))[:, None].astype(np.float32)
    if args.table:
        np.save(args.table, table)
    export(words, table, args.out, about={"made_by": "training.distil"})


def read_vocabulary(path: Path) -> tuple[list[str], Table]:
    """Return words and the share of files in which each occurs."""
    head, *lines = path.read_text().splitlines()
    pairs = [line.split("\t") for line in lines]
    return [word for word, _ in pairs], np.array([int(n) for _, n in pairs], np.float32) / int(head.split("\t")[1])


def reduce(vectors: Table, dimensions: int, whitening: float) -> Table:
    """Return the ``dimensions`` main directions of centred ``vectors``, as rows of unit length."""
    vectors = vectors - vectors.mean(axis=0)
    values, axes = np.linalg.eigh(np.cov(vectors, rowvar=False))
    top = np.argsort(-values)[:dimensions]
    reduced = (vectors @ axes[:, top]) / np.power(np.maximum(values[top], 1e-9), whitening / 2)
    unit: Table = (reduced / np.linalg.norm(reduced, axis=1, keepdims=True)).astype(np.float32)
    return unit


if __name__ == "__main__":
    main()
