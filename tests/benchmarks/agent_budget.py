"""How much of what was wanted is in an answer of so many tokens: ours, plain grep's, and another server's.

``python tests/benchmarks/agent_budget.py --annotations DIR --repositories DIR``: questions with judgements as for
``quality.py``. For each budget, the recall is the share of a question's wanted files that the answer names, averaged
over the questions. Compared are

- ``search``: our tool, asked with ``max_tokens``;
- ``ripgrep``: an agent without an index, simulated: it searches each word of the question with ripgrep, and reads 50
  lines around the first match of the best files, those with the most different words first, until the budget is spent
  (what ripgrep printed is not counted);
- ``semble`` (with ``--semble PYTHON``, the interpreter of an environment that has it): its own search, called as its
  server calls it, once with as many results as fit the budget.

All answers are measured with the same estimate of tokens (``codeindexd.mcp.tokens``).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import statistics
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2] / "daemon")]

import anyio  # noqa: E402
import judged  # noqa: E402

from codeindexd.client import AsyncClient  # noqa: E402
from codeindexd.mcp import tokens  # noqa: E402
from codeindexd.mcp.scope import Project  # noqa: E402
from codeindexd.mcp.tool import Call  # noqa: E402
from codeindexd.mcp.toolset import TOOLS  # noqa: E402
from support.daemons import RealDaemon, real_daemon  # noqa: E402

BUDGETS = (500, 1_000, 2_000, 4_000)
WINDOW_LINES = 50
STOP_WORDS = frozenset({
    "and", "are", "can", "does", "for", "from", "has", "have", "how", "into", "its", "not", "that", "the", "their",
    "there", "this", "was", "what", "when", "where", "which", "who", "why", "will", "with",
})  # fmt: skip
SEMBLE = """
import json, sys
from semble.index import SembleIndex
from semble.utils import format_results
request = json.loads(sys.stdin.read())
index = SembleIndex.from_path(request["path"])
for question in request["questions"]:
    results = index.search(question, top_k=100, max_snippet_lines=10)
    shown = [json.dumps(format_results(question, results[:k], 10, index.sources)) for k in request["sizes"]]
    print(json.dumps({"texts": shown, "paths": [one.chunk.file_path for one in results]}), flush=True)
"""
SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100)

Answerer = Callable[[str, int], set[str]]
"""Returns the files that an answer to a question within a budget names, relative to the repository."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path, required=True, help="a directory with NAME.json files")
    parser.add_argument("--corpus", type=Path, help="default: corpus.json beside the annotations")
    parser.add_argument("--repositories", type=Path, required=True, help="a directory with the annotated repositories")
    parser.add_argument("--only", default="", help="names of repositories, separated by commas")
    parser.add_argument("--semble", type=Path, metavar="PYTHON", help="compare semble, which this interpreter has")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    args = parser.parse_args()
    corpus = json.loads((args.corpus or args.annotations.parent / "corpus.json").read_text())
    if only := frozenset(args.only.split(",")) - {""}:
        corpus = [entry for entry in corpus if entry["name"] in only]
    recalls: defaultdict[tuple[str, int], list[tuple[judged.Question, float]]] = defaultdict(list)
    with real_daemon() as daemon:
        for entry in corpus:
            sources = (args.repositories / entry["name"]).resolve()
            if not sources.is_dir():
                print(f"missing: {sources}", file=sys.stderr)
                continue
            questions = judged.annotated(entry, json.loads((args.annotations / f"{entry['name']}.json").read_text()))
            daemon.call("roots.add", path=str(sources), wait=True)
            answerers: dict[str, Answerer] = {"search": ours(daemon, sources), "ripgrep": grep_agent(sources)}
            if args.semble:
                answerers["semble"] = semble(args.semble, sources, [question.text for question in questions])
            for name, answer in answerers.items():
                for question in questions:
                    for budget in BUDGETS:
                        found = recall(question, answer(question.text, budget), entry["root"])
                        recalls[name, budget].append((question, found))
            daemon.call("roots.remove", path=str(sources))
            print(f"{entry['name']}: {summary(recalls, questions)}", file=sys.stderr, flush=True)
    figures = table(recalls)
    print(rendered(figures))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


def recall(question: judged.Question, found: set[str], root: str) -> float:
    """The share of the wanted files that were found. Targets may be relative to ``root``."""
    met = [one for one in question.targets if one.path in found or f"{root}/{one.path}" in found]
    return len(met) / len(question.targets)


# answers


def ours(daemon: RealDaemon, sources: Path) -> Answerer:
    """Our tool, as a host calls it."""

    async def answered(question: str, budget: int) -> Mapping[str, Any]:
        async with AsyncClient(daemon.socket, start=False) as client:
            call = Call(client, Project((str(sources),)), lambda *_: None)
            arguments = {"query": question, "max_tokens": budget, "sync": False}
            answer = await TOOLS["search"].call(call, arguments)
        assert tokens.count(answer.text) <= budget
        return answer.structured

    def answer(question: str, budget: int) -> set[str]:
        structured = anyio.run(answered, question, budget)
        places = [hit["place"] for hit in structured["hits"]] + structured.get("further", [])
        return {place.rpartition(":")[0] if ":" not in place else place.split(":")[0] for place in places}

    return answer


def grep_agent(sources: Path) -> Answerer:
    """An agent with ripgrep and a way to read lines of a file."""

    def answer(question: str, budget: int) -> set[str]:
        words = [word for word in re.findall(r"\w{3,}", question.lower()) if word not in STOP_WORDS]
        matches: defaultdict[str, Counter[str]] = defaultdict(Counter)
        first: dict[str, int] = {}
        for word in words:
            for path, line in lines_with(word, sources):
                matches[path][word] += 1
                first.setdefault(path, line)
        best = sorted(matches, key=lambda path: (-len(matches[path]), -sum(map(math.log1p, matches[path].values()))))
        found = set()
        for path in best:
            lines = (sources / path).read_text(errors="replace").splitlines()
            start = max(0, first[path] - WINDOW_LINES // 2)
            text = "\n".join([path, *lines[start : start + WINDOW_LINES]])
            budget -= tokens.count(text)
            if budget < 0:
                break
            found.add(path)
        return found

    return answer


def lines_with(word: str, sources: Path) -> Iterator[tuple[str, int]]:
    """The path and number of each line that contains a word."""
    command = ["rg", "-i", "-n", "--no-heading", "--fixed-strings", "--max-columns", "300", "--", word, "."]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True, errors="replace", check=False)
    for line in done.stdout.splitlines():
        path, _, rest = line.removeprefix("./").partition(":")
        number = rest.partition(":")[0]
        if number.isdecimal():
            yield path, int(number)


def semble(python: Path, sources: Path, questions: Sequence[str]) -> Answerer:
    """semble's search, with the most results whose answer fits the budget."""
    request = json.dumps({"path": str(sources), "questions": questions, "sizes": SIZES})
    done = subprocess.run(
        [python, "-c", SEMBLE], input=request, capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    answers = {question: json.loads(line) for question, line in zip(questions, done.stdout.splitlines(), strict=True)}

    def answer(question: str, budget: int) -> set[str]:
        texts, paths = answers[question]["texts"], answers[question]["paths"]
        size = max((size for size, text in zip(SIZES, texts, strict=True) if tokens.count(text) <= budget), default=0)
        return {str(Path(path)) for path in paths[:size]}

    return answer


# figures


def table(recalls: Mapping[tuple[str, int], Sequence[tuple[judged.Question, float]]]) -> dict[str, dict[str, float]]:
    """The mean recall by answerer and budget, over all questions and over those of each half."""
    figures: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for (name, budget), values in recalls.items():
        for half, kept in (("all", None), ("chosen on", False), ("reported on", True)):
            chosen = [value for question, value in values if kept is None or question.is_reported is kept]
            if chosen:
                figures[f"{name}, {half}"][f"{budget:,}"] = statistics.fmean(chosen)
    return dict(sorted(figures.items()))


def summary(recalls: Mapping[tuple[str, int], Sequence[tuple[judged.Question, float]]], of: Sequence[Any]) -> str:
    ids = {id(question) for question in of}
    parts = []
    for (name, budget), values in recalls.items():
        parts.append(f"{name} {budget} {statistics.fmean(value for one, value in values if id(one) in ids):.3f}")
    return ", ".join(parts)


def rendered(figures: Mapping[str, Mapping[str, float]]) -> str:
    rows = [f"| recall within tokens | {' | '.join(f'{budget:,}' for budget in BUDGETS)} |"]
    rows.append("| --- |" + " ---: |" * len(BUDGETS))
    rows += [f"| {name} | {' | '.join(f'{value:.3f}' for value in row.values())} |" for name, row in figures.items()]
    return "\n".join(rows)


if __name__ == "__main__":
    main()
