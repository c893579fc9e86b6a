"""What a real daemon answers to questions with judgements, and what each signal of its ranking earns."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import judged
from msgspec.structs import fields, replace

from codeindexd.search.ranking import ReportWeights, Weights, rank, rank_report
from support.daemons import RawClient, RealDaemon, until
from support.moving_tree import MovingTree

RECORDER = Path(__file__).with_name("recording_daemon.py")
TIMEOUT_S = 3600.0  # the history of a large repository, on a busy machine
_CONFIG = "[workers]\nnice = 0\n"
FIRST = (1, 5, 10)

Figure = int | float | tuple[float, float, float]
"""A count, a mean, or a mean with the bounds of its interval."""


@dataclass(frozen=True)
class Answer:
    """An answer of the daemon, and what its ranking saw; ``root`` is what targets may be relative to."""

    question: judged.Question
    hits: list[judged.Hit]
    seen: tuple[str, list[Any], dict[int, Any], tuple[Any, ...]] | None
    root: str = ""


class Asked:
    """A daemon with one root at a time, whose rankings are recorded."""

    def __init__(self, daemon: RealDaemon, records: Path) -> None:
        self._client = RawClient(daemon.socket, TIMEOUT_S)
        self._records = records

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._client.call(method, **params).result

    @contextlib.contextmanager
    def root(self, path: Path) -> Iterator[str]:
        """Index ``path`` for the length of the block."""
        name = str(path.resolve())
        self.call("roots.add", path=name, wait=True)
        try:
            yield name
        finally:
            self.call("roots.remove", path=name)

    def sync(self, root: str) -> None:
        """Wait until everything is indexed, history included."""
        self.call("sync", path=root, timeout_s=TIMEOUT_S)
        until(lambda: self._is_complete(root), timeout_s=TIMEOUT_S)

    def _is_complete(self, root: str) -> bool:
        (status,) = self.call("status", path=root)["roots"]
        return status["state"] == "fresh" and status["history"]["state"] in ("complete", "unavailable")

    def answer(self, root: str, question: judged.Question, prefix: str = "") -> Answer:
        """Ask one question."""
        for old in self._records.glob("*.pickle"):
            old.unlink()
        hits = self.call("search", query=question.text, roots=[root], limit=judged.CUT)["hits"]
        seen = max(self._records.glob("*.pickle"), default=None)
        found = [judged.Hit(hit["path"], hit["start_line"], hit["end_line"]) for hit in hits]
        return Answer(question, found, pickle.loads(seen.read_bytes()) if seen else None, prefix)


@contextlib.contextmanager
def asked() -> Iterator[Asked]:
    """A recording daemon in a temporary directory."""
    home = Path(tempfile.mkdtemp(prefix="cix"))
    records = home / "records"
    records.mkdir()
    daemon = RealDaemon(home, _CONFIG)
    daemon.prefix = [sys.executable, str(RECORDER), str(records)]
    try:
        yield Asked(daemon.start(), records)
    finally:
        daemon.end()


# answers


def annotated_answers(
    daemon: Asked, annotations: Path, repositories: Path, corpus: Sequence[dict[str, str]]
) -> Iterator[Answer]:
    for entry in corpus:
        items = json.loads((annotations / f"{entry['name']}.json").read_text())
        with daemon.root(repositories / entry["name"]) as root:
            for question in judged.annotated(entry, items):
                yield daemon.answer(root, question, entry["root"])


def answers_about(
    daemon: Asked, whole: Path, questions_by_repository: Mapping[str, Sequence[judged.Question]]
) -> Iterator[Answer]:
    for repository, questions in questions_by_repository.items():
        if not (sources := whole / repository).is_dir():
            print(f"missing: {sources}", file=sys.stderr)
            continue
        with daemon.root(sources) as root:
            for question in questions:
                yield daemon.answer(root, question)


def report_answers(daemon: Asked, reports: Sequence[judged.Report], git_pattern: str, every: int) -> Iterator[Answer]:
    by_project: defaultdict[str, list[judged.Report]] = defaultdict(list)
    for report in reports:
        by_project[report.project].append(report)
    for project, of_project in sorted(by_project.items()):
        owner, _, name = project.partition("/")
        git = Path(git_pattern.format(owner=owner, name=name))
        if not git.is_dir():
            print(f"missing: {git} for {len(of_project)} reports of {project}", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as scratch:
            tree = MovingTree(git, Path(scratch))
            chosen = sorted(of_project, key=lambda one: one.name)[::every]
            chosen.sort(key=lambda one: (tree.time_of(one.commit), one.name))  # so that little changes in between
            tree.check_out(chosen[0].commit)
            with daemon.root(tree.directory) as root:
                for report in chosen:
                    tree.check_out(report.commit)
                    daemon.sync(root)
                    yield daemon.answer(root, report)


# figures


def ndcg_figures(answers: Sequence[Answer]) -> dict[str, Any]:
    """NDCG@10 by group, and without each signal on the questions reported on."""
    score = {id(one.question): judged.ndcg(one.question, one.hits, one.root) for one in answers}
    groups: dict[str, dict[str, Figure]] = {}
    for group, values in judged.by_group((one.question for one in answers), lambda one: score[id(one)]).items():
        groups[group] = {"NDCG@10": judged.mean_with_interval(values), "questions": len(values)}
    without = {}
    for signal, weights in {"nothing left out": Weights(), **variants(Weights())}.items():
        row = {}
        for half in (False, True):
            again = [
                judged.ndcg(one.question, ranked_again(one, weights, ReportWeights()), one.root)
                for one in answers
                if one.question.is_reported is half
            ]
            row["reported on" if half else "chosen on"] = sum(again) / max(1, len(again))
        without[signal] = row
    return {"groups": groups, "without": without}


def report_figures(answers: Sequence[Answer]) -> dict[str, Any]:
    """The share of reports whose file is among the first 1, 5 and 10, by group, and without each signal."""
    place = {id(one.question): judged.place_of_file(one.question, one.hits) for one in answers}
    groups: defaultdict[str, dict[str, Figure]] = defaultdict(dict)
    for first in FIRST:
        for group, values in judged.by_group(
            (one.question for one in answers), lambda one, first=first: float(place[id(one)] <= first)
        ).items():
            groups[group].pop("questions", None)  # the last column
            groups[group] |= {f"Acc@{first}": judged.mean_with_interval(values), "questions": len(values)}
    without: dict[str, dict[str, float]] = {}
    for signal, weights in {"nothing left out": ReportWeights(), **variants(ReportWeights())}.items():
        again = [
            judged.place_of_file(one.question, ranked_again(one, Weights(), weights))
            for one in answers
            if one.question.is_reported
        ]
        without[signal] = {
            f"Acc@{first}": sum(where <= first for where in again) / max(1, len(again)) for first in FIRST
        }
    return {"groups": dict(groups), "without": without}


def variants(weights: Any) -> dict[str, Any]:
    """By signal, the weights without it; factors of further chunks are no signals."""
    neutral = {"max_neighbours", "further", "further_file", "further_central", "next_place", "unwanted", "enough_bytes"}
    return {one.name: replace(weights, **{one.name: 0.0}) for one in fields(weights) if one.name not in neutral}


def ranked_again(answer: Answer, weights: Weights, report_weights: ReportWeights) -> list[judged.Hit]:
    """The first hits of what the ranking saw, by other weights; without lines, so that only paths can be met."""
    if answer.seen is None:
        return answer.hits
    name, candidates, files, rest = answer.seen
    if name == rank_report.__name__:
        ranked = rank_report(candidates, files, *rest[:1], report_weights)
    else:
        ranked = rank(candidates, files, *rest[:2], weights)
    paths = [os.fsdecode(one.candidate.path) for one in ranked[: judged.CUT]]
    return [judged.Hit(path, 1, sys.maxsize) for path in paths]


def table(rows: Mapping[str, Mapping[str, Figure]]) -> str:
    """Rows as a Markdown table."""
    names = list(next(iter(rows.values()), {}))
    lines = [f"| | {' | '.join(names)} |", "| --- |" + " ---: |" * len(names)]
    for row, values in rows.items():
        lines.append(f"| {row} | {' | '.join(shown(values[name]) for name in names)} |")
    return "\n".join(lines)


def shown(figure: Figure) -> str:
    """A count without digits, a share with three, a speed with one; a mean with its interval."""
    match figure:
        case (mean, low, high):
            return f"{shown(mean)} ({shown(low)} to {shown(high)})"
        case int():
            return str(figure)
        case float():
            return f"{figure:.3f}" if figure <= 1 else f"{figure:.1f}"
    raise TypeError(figure)
