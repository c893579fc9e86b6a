#!/usr/bin/env python3
"""How good the answers are: on annotated questions, on our own, and on bug reports.

    python tests/benchmarks/quality.py --annotations DIR --repositories DIR [--corpus FILE] [--only NAME,NAME...]
        [--whole DIR] [--further DIR] [--reports FILE --git PATTERN [--every N]]
        [--model DIR] [--also NAME=KIND:DIR ...] [--json FILE]

``--annotations`` holds one ``<name>.json`` a repository: [{"query", "relevant": [path], "secondary": [path],
"category"}]; ``--repositories`` the sources as ``<name>/<root>/...``; ``--corpus`` (default: corpus.json beside the
annotations) says name, language and root of each. ``--whole`` holds whole trees of the repositories in questions.toml,
as ``<name>/...``, for our own questions, and ``--further`` those in further_questions.toml. ``--reports`` is a file of
bug reports, {"id", "repo", "commit", "question", "files"} a line, each asked at its commit; ``--git`` says where git
directories are, for example ``clones/{owner}+{name}/repo``; ``--every 5`` takes every fifth report of a project only.

The first table (NDCG@10) compares the lexical index alone, the model alone and reciprocal rank fusion of the two, each
listing files by their best chunk. ``--also`` adds a column for another model alone, over the same chunks; KIND is one
of `embedders.create`. Its last row is no quality: chunks a model embeds in a second of CPU time, from their text, all
threads counted. The other tables say what a real daemon answers to `search`, with 95 % intervals, and what it would
answer without each signal of its ranking, the candidates staying as they are (left out with ``--model``, which the
daemon does not have). Every hit takes a rank, also a second one of the same file. Two runs print the same quality.
"""

from __future__ import annotations

import argparse
import json
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

import answers
import embedders
import judged

from codeindexd.analysis import secrets
from codeindexd.analysis.chunking.chunker import chunk
from codeindexd.analysis.chunking.encoding import decode
from codeindexd.analysis.chunking.languages import detect
from codeindexd.analysis.tokens import Tokenizer, path_words, split_identifier
from codeindexd.indexing.pipeline import embed_text
from codeindexd.storage.lexical import Lexical, LexicalChunk, LexicalQuery, LexicalSnapshot

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

    root: str
    questions: Sequence[judged.Question]
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--repositories", type=Path, required=True)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--only", default="", help="these repositories alone")
    parser.add_argument("--whole", type=Path, help="whole trees, for our own questions")
    parser.add_argument("--further", type=Path, help="whole trees, for further questions about other repositories")
    parser.add_argument("--reports", type=Path, help="bug reports")
    parser.add_argument("--git", default="{owner}+{name}/repo", help="where the git directory of a project is")
    parser.add_argument("--every", type=int, default=1, help="take every n-th report of a project")
    parser.add_argument("--model", type=Path, help="directory of another static model")
    parser.add_argument("--also", action="append", default=[], metavar="NAME=KIND:DIR", help="compare this model too")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    args = parser.parse_args()
    corpus = json.loads((args.corpus or args.annotations.parent / "corpus.json").read_text())
    if only := frozenset(args.only.split(",")) - {""}:
        corpus = [entry for entry in corpus if entry["name"] in only]
    corpus = [entry for entry in corpus if is_there(args.repositories / entry["name"])]
    figures: dict[str, Any] = {"retrievers": retrievers_alone(args, corpus)}
    print(answers.table(figures["retrievers"]), flush=True)
    if not args.model:
        figures |= answered(args, corpus)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


def is_there(sources: Path) -> bool:
    if not sources.is_dir():
        print(f"missing: {sources}", file=sys.stderr)
    return sources.is_dir()


def retrievers_alone(args: argparse.Namespace, corpus: Sequence[dict[str, str]]) -> dict[str, dict[str, float]]:
    """NDCG@10 of each retriever by group, and how fast the models are."""
    models = {"dense": embedders.Static(args.model), **dict(named(text) for text in args.also)}
    retrievers = make_retrievers(models, Tokenizer())
    speeds = {name: Speed() for name in models}
    questions: list[judged.Question] = []
    scores: dict[str, dict[int, float]] = {name: {} for name in retrievers}
    for entry in corpus:
        items = json.loads((args.annotations / f"{entry['name']}.json").read_text())
        of_repository = judged.annotated(entry, items)
        with tempfile.TemporaryDirectory() as scratch:
            sources = args.repositories / entry["name"]
            repository = index(entry, sources, of_repository, models, speeds, Path(scratch))
            for name, retrieve in retrievers.items():
                for question in of_repository:
                    found = list(dict.fromkeys(retrieve(repository, question.text)))
                    hits = [judged.Hit(path) for path in found]
                    scores[name][id(question)] = judged.ndcg(question, hits, repository.root)
        questions += of_repository
    figures: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for name, of_question in scores.items():
        for group, values in judged.by_group(questions, lambda one, found=of_question: found[id(one)]).items():
            figures[group] |= {name: sum(values) / max(1, len(values)), "questions": len(values)}
    figures["chunks a second"] = {
        name: speeds[name].value if name in speeds else 0.0 for name in [*scores, "questions"]
    }
    return dict(figures)


def answered(args: argparse.Namespace, corpus: Sequence[dict[str, str]]) -> dict[str, Any]:
    """Print and return what a real daemon answers to each set of questions that is there."""
    figures: dict[str, Any] = {}
    with answers.asked() as daemon:
        found = list(answers.annotated_answers(daemon, args.annotations, args.repositories, corpus))
        figures["annotated questions"] = answers.ndcg_figures(found)
        if args.whole:
            found = list(answers.answers_about(daemon, args.whole, judged.own_questions()))
            figures["own questions"] = answers.ndcg_figures(found)
        if args.further:
            found = list(answers.answers_about(daemon, args.further, judged.further_questions()))
            figures["further questions"] = answers.ndcg_figures(found)
        if args.reports:
            reports = judged.reports(args.reports)
            found = list(answers.report_answers(daemon, reports, args.git, args.every))
            figures["reports"] = answers.report_figures(found)
    for title, one in figures.items():
        print(f"\n## {title}\n\n{answers.table(one['groups'])}")
        print(f"\nWithout a signal, by paths alone:\n\n{answers.table(one['without'])}")
    return figures


def named(text: str) -> tuple[str, embedders.Embedding]:
    """A model of the command line, NAME=KIND:DIR."""
    name, _, rest = text.partition("=")
    kind, _, directory = rest.partition(":")
    return name, embedders.create(kind, Path(directory))


# indexing


def index(
    entry: dict[str, str],
    sources: Path,
    questions: Sequence[judged.Question],
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
        language = detect(path.encode(), text.split(b"\n", 1)[0][:200])
        for span in chunk(text, language, max_bytes=MAX_CHUNK_BYTES):
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
    return Repository(entry["root"], questions, chunks, snapshot, vectors)


def texts_below(sources: Path) -> Iterator[tuple[str, bytes]]:
    """(path, masked UTF-8) of every text file, in a fixed order."""
    for file in sorted(sources.rglob("*")):
        if file.is_symlink() or not file.is_file() or file.stat().st_size > MAX_FILE_BYTES:
            continue
        decoded = decode(file.read_bytes())
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


if __name__ == "__main__":
    main()
