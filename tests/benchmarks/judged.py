"""Questions with judgements, and how answers to them are scored.

Annotated questions and our own have NDCG@10 over hits, reports the share whose file is among the first k files. Each
question is either one to choose weights on or one to report on; which it is depends on its project alone.
"""

from __future__ import annotations

import json
import math
import random
import statistics
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CUT = 10
CHOSEN_ON = frozenset({
    "aeson", "aiohttp", "cats", "express", "fmtlib", "ktor", "monolog", "nvm", "rack", "tokio", "zod",
    "bat", "date-fns", "echo", "jq", "koa", "reqwest", "serilog", "slim", "spdlog", "tesla",
    "django/django", "sympy/sympy",
})  # fmt: skip
OWN = Path(__file__).with_name("questions.toml")
FURTHER = Path(__file__).with_name("further_questions.toml")
_RESAMPLES = 2_000


@dataclass(frozen=True)
class Hit:
    """A place in an answer."""

    path: str
    start_line: int = 0
    end_line: int = 0


@dataclass(frozen=True)
class Target:
    """A place that answers a question; without lines, any place in the file does."""

    path: str
    lines: tuple[int, int] | None = None

    def is_met_by(self, hit: Hit) -> bool:
        if hit.path != self.path:
            return False
        return self.lines is None or (hit.start_line <= self.lines[1] and hit.end_line >= self.lines[0])


@dataclass(frozen=True)
class Question:
    """A question, the project it is about, and the places that answer it; ``groups`` are the tables' rows it is in."""

    project: str
    text: str
    targets: tuple[Target, ...]
    groups: tuple[str, ...]

    @property
    def is_reported(self) -> bool:
        return self.project not in CHOSEN_ON


@dataclass(frozen=True)
class Report(Question):
    """A bug report, asked at the commit before its fix."""

    name: str
    commit: str


def own_questions() -> dict[str, list[Question]]:
    """Our own questions by repository, those answered by documents and those answered by code."""
    questions: defaultdict[str, list[Question]] = defaultdict(list)
    for row in tomllib.loads(OWN.read_text())["question"]:
        target = Target(row["path"], (row["lines"][0], row["lines"][1]))
        questions[row["repository"]].append(
            Question(row["repository"], row["question"], (target,), (f"answered by {row['answered_by']}",))
        )
    return dict(questions)


def further_questions() -> dict[str, list[Question]]:
    """Questions about other repositories, by repository, with all places that answer them."""
    questions: defaultdict[str, list[Question]] = defaultdict(list)
    for row in tomllib.loads(FURTHER.read_text())["question"]:
        targets = tuple(Target(path, (first, last)) for path, first, last in row["places"])
        questions[row["repository"]].append(Question(row["repository"], row["question"], targets, (row["category"],)))
    return dict(questions)


def annotated(entry: Mapping[str, str], items: Sequence[Mapping[str, Any]]) -> list[Question]:
    """The questions of one annotated repository; targets count by path alone."""
    questions = []
    for item in items:
        paths = [
            raw if isinstance(raw, str) else raw["path"] for raw in (*item["relevant"], *item.get("secondary", ()))
        ]
        groups = (item.get("category", "none"), entry["language"])
        questions.append(Question(entry["name"], plain(item["query"]), tuple(map(Target, paths)), groups))
    return questions


def reports(file: Path) -> list[Report]:
    """The bug reports in a file with one JSON object a line."""
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return [
        Report(row["repo"], row["question"], tuple(map(Target, row["files"])), (row["repo"],), row["id"], row["commit"])
        for row in rows
    ]


def plain(question: str) -> str:
    """A question without what a query would take for a filter, a phrase or an expression."""
    return " ".join(question.replace('"', " ").replace("/", " ").split())


def ndcg(question: Question, hits: Sequence[Hit], root: str = "") -> float:
    """NDCG@10: every hit takes a rank, each target counts at its first one. Targets may be relative to ``root``."""
    ranks = set()
    for target in question.targets:
        places = {target, Target(f"{root}/{target.path}", target.lines)} if root else {target}
        met = (rank for rank, hit in enumerate(hits[:CUT], 1) if any(place.is_met_by(hit) for place in places))
        ranks.add(next(met, 0))
    ranks.discard(0)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(CUT, len(question.targets)) + 1))
    return sum(1 / math.log2(rank + 1) for rank in ranks) / ideal if ideal else 0.0


def place_of_file(question: Question, hits: Sequence[Hit]) -> float:
    """The place of the last of a report's files among the files of an answer, from 1; infinite if one is missing."""
    files = list(dict.fromkeys(hit.path for hit in hits))
    return max(files.index(one.path) + 1 if one.path in files else math.inf for one in question.targets)


def mean_with_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, and the bounds between which 95 % of the means of resampled questions are (bootstrap, always the same)."""
    if not values:
        return 0.0, 0.0, 0.0
    draw = random.Random(0)
    means = sorted(statistics.fmean(draw.choices(values, k=len(values))) for _ in range(_RESAMPLES))
    return statistics.fmean(values), means[_RESAMPLES // 40], means[-_RESAMPLES // 40 - 1]


def by_group(questions: Iterable[Question], value: Callable[[Question], float]) -> dict[str, list[float]]:
    """Values by group; the first groups are all questions, those chosen on and those reported on."""
    values: dict[str, list[float]] = {"all": [], "chosen on": [], "reported on": []}
    for question in questions:
        halves = ("all", "reported on" if question.is_reported else "chosen on")
        for group in (*halves, *question.groups):
            values.setdefault(group, []).append(value(question))
    return {group: values[group] for group in (*list(values)[:3], *sorted(list(values)[3:]))}
