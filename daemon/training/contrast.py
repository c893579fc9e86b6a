"""Contrastive training of the word table on mined pairs: a question must be nearest to its own answer.

    python -m training.contrast --vocabulary vocabulary.tsv --table table.npy --pairs pairs.jsonl --out DIR

InfoNCE with in-batch negatives, in both directions. A batch consists of groups of pairs from one package, so most
negatives of a question come from the same repository: these are the hard negatives of a search in one repository.

With ``--sentences`` (see `training.sentences`), the cosines between questions are drawn to those of the teacher as well
(relational knowledge distillation: Park et al., CVPR 2019).
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from codeindexd.analysis.embedding.static import StaticModel
from training.distil import read_vocabulary
from training.export import export

Ids = NDArray[np.int32]


@dataclass(frozen=True)
class Side:
    """Texts as bags of rows: text n owns ids[offsets[n]:offsets[n + 1]] with their counts."""

    ids: Ids
    counts: NDArray[np.float32]
    offsets: NDArray[np.int64]

    def bags(self, chosen: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return (ids, weights, offsets) of some texts, as an embedding bag takes them."""
        parts = [np.arange(self.offsets[n], self.offsets[n + 1]) for n in chosen]
        where = np.concatenate(parts)
        starts = np.cumsum([0] + [len(part) for part in parts[:-1]])
        return (
            torch.from_numpy(self.ids[where].astype(np.int64)),
            torch.from_numpy(self.counts[where]),
            torch.from_numpy(starts.astype(np.int64)),
        )


@dataclass(frozen=True)
class Pairs:
    """Questions and answers, with the package of each pair."""

    questions: Side
    answers: Side
    packages: list[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="the distilled model, which splits unknown words")
    parser.add_argument("--vocabulary", type=Path, required=True)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, nargs="+", required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=2048)
    parser.add_argument("--group", type=int, default=32, help="consecutive pairs from one package")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--temperature", type=float, default=0.06)
    parser.add_argument("--sentences", type=Path, help="questions with the teacher's vectors")
    parser.add_argument("--sentence-weight", type=float, default=10.0, help="of their loss beside the contrastive one")
    parser.add_argument("--kinds", default="", help="train on these kinds of pairs only, comma-separated")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--checkpoint-every", type=int, default=500)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    words, _ = read_vocabulary(args.vocabulary)
    kinds = frozenset(args.kinds.split(",")) - {""}
    rows = RowsOfWords(words, StaticModel.load(args.model))
    pairs = read_pairs(args.pairs, rows, kinds)
    sentences = read_sentences(args.sentences, rows) if args.sentences else None
    print(f"{len(pairs.packages)} pairs", flush=True)
    table = torch.nn.Parameter(torch.from_numpy(np.load(args.table)).to(args.device))
    with torch.no_grad():
        table /= table.norm(dim=1).median()
    optimiser = torch.optim.Adam([table], lr=args.rate, betas=(0.9, 0.98), fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, args.rate, total_steps=args.steps, pct_start=0.05)
    since, total = time.monotonic(), 0.0
    random = np.random.default_rng(args.seed)
    batches = batches_of(pairs.packages, args.batch, args.group, random)
    for step in range(1, args.steps + 1):
        chosen = next(batches)
        loss = info_nce(
            pool(table, pairs.questions.bags(chosen)), pool(table, pairs.answers.bags(chosen)), args.temperature
        )
        if sentences:
            some = random.choice(len(sentences.vectors), min(args.batch, len(sentences.vectors)), replace=False)
            vectors = pool(table, sentences.questions.bags(some))
            loss = loss + args.sentence_weight * relational(vectors, sentences.vectors[some])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        total += loss.item()
        if step % 50 == 0:
            print(f"step {step} loss {total / 50:.4f} {(time.monotonic() - since) / step:.3f} s/step", flush=True)
            total = 0.0
        if step % args.checkpoint_every == 0 or step == args.steps:
            about = {"made_by": "training.contrast", "steps": step, "seed": args.seed}
            export(words, table.detach().cpu().numpy(), args.out, about=about)
            np.save(args.out.with_suffix(".table.npy"), table.detach().cpu().numpy())


def pool(table: torch.Tensor, bags: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Return unit vectors of bags of rows, weighted by the square root of their counts, as the runtime does."""
    ids, counts, offsets = (part.to(table.device) for part in bags)
    summed = torch.nn.functional.embedding_bag(ids, table, offsets, mode="sum", per_sample_weights=counts.sqrt())
    return torch.nn.functional.normalize(summed, dim=1)


def info_nce(questions: torch.Tensor, answers: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the cross entropy of finding each question's answer in the batch, and each answer's question."""
    scores = questions @ answers.T / temperature
    own = torch.arange(len(scores), device=scores.device)
    return (torch.nn.functional.cross_entropy(scores, own) + torch.nn.functional.cross_entropy(scores.T, own)) / 2


def relational(vectors: torch.Tensor, teacher: NDArray[np.float16]) -> torch.Tensor:
    """Return the mean squared difference of the cosines between ``vectors`` from those between the teacher's."""
    wanted = torch.from_numpy(teacher.astype(np.float32)).to(vectors.device)
    return torch.nn.functional.mse_loss(vectors @ vectors.T, wanted @ wanted.T)


def batches_of(packages: list[str], batch: int, group: int, random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield endless batches of ``batch`` pairs, in groups from one package; every pair occurs before any repeats."""
    members: defaultdict[str, list[int]] = defaultdict(list)
    for n, package in enumerate(packages):
        members[package].append(n)
    while True:
        groups = []
        for own in members.values():
            order = random.permutation(own)
            groups += [order[at : at + group] for at in range(0, len(order), group)]
        flat = np.concatenate([groups[n] for n in random.permutation(len(groups))])
        for at in range(0, len(flat) - batch + 1, batch):
            yield flat[at : at + batch]


class RowsOfWords:
    """The rows of the table for each word; words without a row are split as the runtime does."""

    def __init__(self, words: list[str], model: StaticModel) -> None:
        self._model = model
        self._place = {model.rows_of(word)[0]: n for n, word in enumerate(words)}
        self._rows: dict[str, tuple[int, ...]] = {word: (n,) for n, word in enumerate(words)}

    def bag(self, text: str) -> Counter[int]:
        """Return how often each row occurs in space-separated words; never empty."""
        bag: Counter[int] = Counter()
        for word in text.split():
            if word not in self._rows:
                self._rows[word] = tuple(self._place[row] for row in self._model.rows_of(word) if row in self._place)
            bag.update(self._rows[word])
        return bag or Counter({0: 1})


def read_pairs(paths: list[Path], rows: RowsOfWords, kinds: frozenset[str]) -> Pairs:
    """Return the pairs of these kinds, or of all if there are none, as rows of the table."""
    questions, answers, packages = [], [], []
    for path in paths:
        with path.open() as lines:
            for record in map(json.loads, lines):
                if not kinds or record["kind"] in kinds:
                    packages.append(record["package"])
                    questions.append(rows.bag(record["q"]))
                    answers.append(rows.bag(record["d"]))
    return Pairs(_side(questions), _side(answers), packages)


@dataclass(frozen=True)
class Sentences:
    """Questions as rows of the table, with the teacher's vectors."""

    questions: Side
    vectors: NDArray[np.float16]


def read_sentences(directory: Path, rows: RowsOfWords) -> Sentences:
    """Return what `training.sentences` wrote."""
    questions = _side([rows.bag(line) for line in (directory / "words.txt").read_text().splitlines()])
    return Sentences(questions, np.load(directory / "vectors.npy"))


def _side(bags: list[Counter[int]]) -> Side:
    ids = np.fromiter((row for bag in bags for row in bag), np.int32)
    counts = np.fromiter((count for bag in bags for count in bag.values()), np.float32)
    return Side(ids, counts, np.concatenate([[0], np.cumsum([len(bag) for bag in bags])]).astype(np.int64))


if __name__ == "__main__":
    main()
