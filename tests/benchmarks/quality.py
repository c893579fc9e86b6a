#!/usr/bin/env python3
"""How good the answers are: NDCG@10 on annotated questions, by retriever, category and language.

    python tests/benchmarks/quality.py --annotations DIR --repositories DIR [--corpus FILE] [--only NAME,NAME...]
        [--model DIR] [--also NAME=KIND:DIR ...] [--hold NAME,NAME...] [--json FILE]

``--annotations`` holds one ``<name>.json`` a repository: [{"query", "relevant": [path], "secondary": [path],
"category"}]; ``--repositories`` the sources as ``<name>/<root>/...``; ``--corpus`` (default: corpus.json beside the
annotations) says name, language and root of each. Compared are the lexical index alone, the model alone and
reciprocal rank fusion of the two, each listing files by their best chunk, and what a real daemon answers to `search`,
where every hit takes a rank, also a second one of the same file (left out with ``--model``, which the daemon does not
have). ``--also`` adds a column for another model alone, over the same chunks; KIND is one of `embedders.create`. With
``--hold`` the repositories that were not used for choosing anything are averaged apart. The last row is no quality:
chunks a model embeds in a second of CPU time, from their text, all threads counted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "daemon"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import embedders

from codeindexd.analysis import chunking, secrets
from codeindexd.analysis.tokens import Tokenizer, path_words, split_identifier
from codeindexd.indexing.pipeline import embed_text
from codeindexd.storage.lexical import Lexical, LexicalChunk, LexicalQuery, LexicalSnapshot
from support.daemons import RealDaemon, real_daemon

CUT = 10
DEPTH = 100
MAX_FILE_BYTES = 1_000_000
MAX_CHUNK_BYTES = 4_000

Retriever = Callable[["Repository", str], list[str]]


@dataclass(frozen=True)
class Chunk:
    """What the retrievers know of a chunk; its id is its place in `Repository.chunks` plus one."""

    path: str
    file_id: int
    symbol: str


@dataclass(frozen=True)
class Repository:
    """One repository, indexed both ways."""

    name: str
    language: str
    root: str
    questions: Sequence[dict[str, Any]]
    chunks: Sequence[Chunk]
    lexical: LexicalSnapshot
    vectors: dict[str, embedders.Vectors]


@dataclass
class Speed:
    """How much a model has embedded, in how much CPU time."""

    chunks: int = 0
    seconds: float = 0.0

    @property
    def value(self) -> float:
        return self.chunks / max(self.seconds, 1e-9)


@dataclass(frozen=True)
class Score:
    """One question's NDCG@10."""

    repository: str
    language: str
    category: str
    value: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--repositories", type=Path, required=True)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--only", default="", help="these repositories alone")
    parser.add_argument("--model", type=Path, help="directory of another static model")
    parser.add_argument("--also", action="append", default=[], metavar="NAME=KIND:DIR", help="compare this model too")
    parser.add_argument("--hold", default="", help="repositories to average apart")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    args = parser.parse_args()
    corpus = json.loads((args.corpus or args.annotations.parent / "corpus.json").read_text())
    if only := frozenset(args.only.split(",")) - {""}:
        corpus = [entry for entry in corpus if entry["name"] in only]
    models = {"dense": embedders.Static(args.model), **dict(named(text) for text in args.also)}
    tokenizer = Tokenizer()
    retrievers = make_retrievers(models, tokenizer)
    speeds = {name: Speed() for name in models}
    scores: dict[str, list[Score]] = {name: [] for name in [*retrievers, *([] if args.model else ["search"])]}
    with contextlib.ExitStack() as stack:
        daemon = None if args.model else stack.enter_context(real_daemon())
        for entry in corpus:
            sources = args.repositories / entry["name"]
            if not sources.is_dir():
                print(f"missing: {sources}", file=sys.stderr)
                continue
            questions = json.loads((args.annotations / f"{entry['name']}.json").read_text())
            with tempfile.TemporaryDirectory() as scratch:
                repository = index(entry, sources, questions, models, speeds, Path(scratch))
                for name, retrieve in retrievers.items():
                    for item in questions:
                        found = list(dict.fromkeys(retrieve(repository, item["query"])))
                        scores[name].append(score(repository, item, found))
            if daemon is not None:
                answers = searched(daemon, sources, [item["query"] for item in questions])
                scores["search"] += [score(repository, *pair) for pair in zip(questions, answers, strict=True)]
    figures = summarise(scores, frozenset(args.hold.split(",")) - {""})
    figures["chunks a second"] = {name: speed.value for name, speed in speeds.items()}
    print(table(figures))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


def named(text: str) -> tuple[str, embedders.Embedding]:
    """A model of the command line, NAME=KIND:DIR."""
    name, _, rest = text.partition("=")
    kind, _, directory = rest.partition(":")
    return name, embedders.create(kind, Path(directory))


# indexing


def index(
    entry: dict[str, str],
    sources: Path,
    questions: Sequence[dict[str, Any]],
    models: dict[str, embedders.Embedding],
    speeds: dict[str, Speed],
    scratch: Path,
) -> Repository:
    """Cut, tokenise, embed and index every text file below ``sources``."""
    chunks: list[Chunk] = []
    documents: list[LexicalChunk] = []
    texts: list[str] = []
    tokenizer = Tokenizer()
    paths: list[tuple[int, str]] = []
    for file_id, (path, text) in enumerate(texts_below(sources), 1):
        paths.append((file_id, path_words(path.encode())))
        language = chunking.detect(path.encode(), text.split(b"\n", 1)[0][:200])
        for span in chunking.chunk(text, language, max_bytes=MAX_CHUNK_BYTES):
            body = text[span.start_byte : span.end_byte].decode()
            embedded = embed_text(span.symbol, body)
            terms = tokenizer.tokenize(embedded)
            texts.append(embedded)
            chunks.append(Chunk(path, file_id, span.symbol))
            documents.append(
                LexicalChunk(
                    chunk_id=len(chunks),
                    file_id=file_id,
                    words=" ".join(terms.words),
                    identifiers=" ".join(terms.identifiers),
                    symbol=" ".join(split_identifier(span.symbol)),
                    language=language,
                    kind=span.kind,
                    names=tuple(symbol.name for symbol in span.symbols),
                )
            )
    lexical = Lexical.create(scratch / "lexical", "quality")
    lexical.apply(1, delete_chunks=[], add_chunks=documents, delete_paths=[], add_paths=paths)
    snapshot = lexical.snapshot()
    lexical.close()
    vectors = {}
    for name, model in models.items():
        began = time.process_time()
        vectors[name] = model.documents(texts).astype(np.float16).astype(np.float32)
        speeds[name].seconds += time.process_time() - began
        speeds[name].chunks += len(texts)
    return Repository(entry["name"], entry["language"], entry["root"], questions, chunks, snapshot, vectors)


def texts_below(sources: Path) -> Iterator[tuple[str, bytes]]:
    """(path, masked UTF-8) of every text file, in a fixed order."""
    for file in sorted(sources.rglob("*")):
        if file.is_symlink() or not file.is_file() or file.stat().st_size > MAX_FILE_BYTES:
            continue
        decoded = chunking.decode(file.read_bytes())
        if decoded is not None and decoded.text.strip():
            yield file.relative_to(sources).as_posix(), secrets.mask(decoded.utf8)


# retrieval


def make_retrievers(models: dict[str, embedders.Embedding], tokenizer: Tokenizer) -> dict[str, Retriever]:
    """By name: question -> paths of chunks, best first, a path as often as it was found."""

    def lexical_ids(repository: Repository, question: str) -> list[int]:
        terms = tokenizer.tokenize(question)
        query = LexicalQuery(words=terms.words, identifiers=terms.identifiers)
        return [chunk_id for chunk_id, _, _ in repository.lexical.search(query, DEPTH)]

    def dense_ids(repository: Repository, question: str, name: str = "dense") -> list[int]:
        similarity = repository.vectors[name] @ models[name].question(question)
        return [int(row) + 1 for row in np.argsort(-similarity, kind="stable")[:DEPTH]]

    def paths_of(repository: Repository, ids: Sequence[int]) -> list[str]:
        return [repository.chunks[chunk_id - 1].path for chunk_id in ids]

    def alone(name: str) -> Retriever:
        return lambda repository, question: paths_of(repository, dense_ids(repository, question, name))

    def fused(repository: Repository, question: str) -> list[str]:
        reciprocal: defaultdict[int, float] = defaultdict(float)
        for found in (lexical_ids(repository, question), dense_ids(repository, question)):
            for place, chunk_id in enumerate(found, 1):
                reciprocal[chunk_id] += 1 / (60 + place)
        return paths_of(repository, sorted(reciprocal, key=lambda chunk_id: (-reciprocal[chunk_id], chunk_id)))

    return {
        "lexical": lambda repository, question: paths_of(repository, lexical_ids(repository, question)),
        **{name: alone(name) for name in models},
        "fused": fused,
    }


def searched(daemon: RealDaemon, sources: Path, questions: Sequence[str]) -> list[list[str]]:
    """For each question the paths of the daemon's first hits in ``sources``, which it indexes and forgets again."""
    path = str(sources.resolve())
    daemon.call("roots.add", path=path, wait=True)
    found = []
    for question in questions:
        hits = daemon.call("search", query=plain(question), roots=[path], limit=CUT)["hits"]
        found.append([hit["path"] for hit in hits])
    daemon.call("roots.remove", path=path)
    return found


def plain(question: str) -> str:
    """A question without what a query would take for a filter, a phrase or an expression."""
    return " ".join(question.replace('"', " ").replace("/", " ").split())


# scoring


def score(repository: Repository, item: dict[str, Any], found: Sequence[str]) -> Score:
    """NDCG@10 of the paths ``found``; relevant and secondary files count alike, each at its first rank."""
    targets = [raw if isinstance(raw, str) else raw["path"] for raw in (*item["relevant"], *item.get("secondary", ()))]
    places: dict[str, int] = {}
    for place, path in enumerate(found[:CUT], 1):
        places.setdefault(path, place)
    ranks = {places[path] for target in targets for path in (target, f"{repository.root}/{target}") if path in places}
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(CUT, len(targets)) + 1))
    gained = sum(1 / math.log2(place + 1) for place in ranks)
    return Score(repository.name, repository.language, item.get("category", "none"), gained / ideal if ideal else 0.0)


def summarise(scores: dict[str, list[Score]], held: frozenset[str]) -> dict[str, dict[str, float]]:
    """Group -> retriever -> mean; groups are all, held back and not, categories and languages."""
    groups: dict[str, Callable[[Score], bool]] = {"all": lambda one: True}
    if held:
        groups["chosen on"] = lambda one: one.repository not in held
        groups["held back"] = lambda one: one.repository in held
    everything = [one for ones in scores.values() for one in ones]
    for category in sorted({one.category for one in everything}):
        groups[category] = lambda one, wanted=category: one.category == wanted  # type: ignore[misc]
    for language in sorted({one.language for one in everything}):
        groups[language] = lambda one, wanted=language: one.language == wanted  # type: ignore[misc]
    figures: dict[str, dict[str, float]] = {}
    for group, belongs in groups.items():
        chosen = {name: [one.value for one in ones if belongs(one)] for name, ones in scores.items()}
        figures[group] = {name: sum(values) / max(1, len(values)) for name, values in chosen.items()}
        figures[group]["questions"] = len(next(iter(chosen.values()), []))
    return figures


def table(figures: dict[str, dict[str, float]]) -> str:
    """The figures as a Markdown table."""
    names = [name for name in next(iter(figures.values())) if name != "questions"]
    lines = [f"| | {' | '.join(names)} | questions |", "| --- |" + " ---: |" * (len(names) + 1)]
    for group, row in figures.items():
        values = " | ".join(shown(row.get(name)) for name in [*names, "questions"])
        lines.append(f"| {group} | {values} |")
    return "\n".join(lines)


def shown(value: float | None) -> str:
    """A share with three digits, a count or a speed without any, nothing where there is none."""
    if value is None:
        return ""
    return f"{value:.3f}" if value <= 1 else f"{value:,.0f}"


if __name__ == "__main__":
    main()
