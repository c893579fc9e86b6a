#!/usr/bin/env python3
"""How often `impact` knows the files that really changed together with the one it is asked about.

    python tests/benchmarks/impact.py GIT_DIRECTORY... [--changes 5] [--seed 1] [--show] [--json FILE]

From each history, commits are drawn at random that change one to three source files and in all two to eight files of
code, apart from new ones. One of the source files is the question: a real daemon indexes the tree before the commit and
answers `impact`, once for the whole file, once for the definitions that the commit changes in it. The other files of
code, callers and tests, are what was wanted. An answer is the list of its files in the order of the answer.

Beside it stand two simple guesses: the files of the same directory, and the files that changed most often together with
this one in the 2,000 commits before. Files that have no part in the change can be reached all the same, so precision
says how much there is to look through, not how much of it is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "daemon"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from codeindexd.analysis.chunking.languages import detect
from codeindexd.analysis.references.rules import LANGUAGES
from codeindexd.search.file_roles import is_test
from support.daemons import RealDaemon, real_daemon

MOST_SOURCES = 3
MOST_FILES = 8
MOST_COMMITS = 2_000  # of which changes are drawn, and before a change for its co-changes
FIRST = (10, 20)
_NO_PURPOSE = re.compile(r"\b(?:cs|fixer|lint\w*|format\w*|styles?|typos?|clean-?ups?|bump|release)\b", re.IGNORECASE)
_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? ", re.MULTILINE)


@dataclass(frozen=True)
class Change:
    """A commit: the file that is asked about, the lines of it that change, and the other files that change."""

    repository: str
    commit: str
    subject: str
    path: str
    lines: tuple[int, ...]
    wanted: tuple[str, ...]


class History:
    """A git directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.name = directory.parent.name.rpartition("+")[2] if directory.name in ("repo", ".git") else directory.stem

    def git(self, *arguments: str) -> str:
        """Return what git prints."""
        command = ["git", f"--git-dir={self.directory}", *arguments]
        return subprocess.run(command, check=True, capture_output=True).stdout.decode("utf-8", "replace")

    def changes(self, count: int, seed: int) -> list[Change]:
        """Return changes drawn at random, without those that only change the style of code."""
        log = self.git("log", "--no-merges", f"-{MOST_COMMITS}", "--no-renames", "--name-status", "--format=%x00%H %s")
        candidates = [entry.strip("\n").splitlines() for entry in log.split("\0")[1:]]
        chosen: list[Change] = []
        draw = random.Random(f"{self.name} {seed}")
        draw.shuffle(candidates)
        for head, *rows in candidates:
            if _NO_PURPOSE.search(head):
                continue
            modified = [row[2:] for row in rows if row.startswith("M\t") and is_code(row[2:])]
            others = [row for row in rows if not row.startswith("M\t") and is_code(row[2:])]
            sources = [path for path in modified if not is_test(path.encode())]
            if not 1 <= len(sources) <= MOST_SOURCES or not 2 <= len(modified) <= MOST_FILES - len(others):
                continue
            commit, _, subject = head.partition(" ")
            path = draw.choice(sources)
            wanted = tuple(one for one in modified if one != path)
            chosen.append(Change(self.name, commit, subject, path, self.changed_lines(commit, path), wanted))
            if len(chosen) == count:
                break
        return chosen

    def changed_lines(self, commit: str, path: str) -> tuple[int, ...]:
        """Return the lines of a file, before the commit, at which it changes."""
        diff = self.git("diff", "-U0", "--no-renames", f"{commit}^", commit, "--", path)
        lines: list[int] = []
        for match in _HUNK.finditer(diff):
            start, size = int(match[1]), int(match[2] or 1)
            lines += range(start, start + size) if size else [start]
        return tuple(line for line in lines if line)

    def lay_out(self, commit: str, directory: Path) -> None:
        """Write the tree before a commit into a directory."""
        with tempfile.NamedTemporaryFile(prefix="cixbench") as index:  # `archive` leaves out what attributes exclude
            Path(index.name).unlink()
            environment = {**os.environ, "GIT_INDEX_FILE": index.name}
            git = ["git", f"--git-dir={self.directory}", f"--work-tree={directory}"]
            subprocess.run([*git, "read-tree", f"{commit}^"], check=True, env=environment)
            subprocess.run([*git, "checkout-index", "--all"], check=True, env=environment, cwd=directory)
            Path(index.name).touch()

    def changed_together(self, change: Change) -> list[str]:
        """Return the files that changed together with the one asked about, the most frequent first."""
        log = self.git(
            "log",
            "--no-merges",
            f"-{MOST_COMMITS}",
            "--no-renames",
            "--name-only",
            "--format=%x00",
            f"{change.commit}^",
        )
        counts: Counter[str] = Counter()
        for entry in log.split("\0")[1:]:
            paths = entry.split("\n")
            if change.path in paths:
                counts.update(path for path in paths if is_code(path))
        return [path for path, _ in counts.most_common()]


def is_code(path: str) -> bool:
    """Return True for a file in a language with references."""
    return detect(path.encode()) in LANGUAGES


def same_directory(root: Path, change: Change) -> list[str]:
    """Return the files of code in the directory of the one asked about."""
    directory = (root / change.path).parent
    return sorted(str(one.relative_to(root)) for one in directory.iterdir() if one.is_file() and is_code(one.name))


def by_file(daemon: RealDaemon, root: Path, change: Change) -> list[str]:
    """Return the files in the answer about the whole file."""
    return files_in([daemon.call("impact", path=str(root / change.path), roots=[str(root)])])


def by_definitions(daemon: RealDaemon, root: Path, change: Change) -> list[str]:
    """Return the files in the answers about the definitions that change."""
    answers, asked = [], set[tuple[str, int]]()
    client = daemon.client()
    for line in change.lines:
        reply = client.call("impact", path=str(root / change.path), line=line, roots=[str(root)])
        answer = reply.get("result")
        if answer is None:  # no definition is around the line
            continue
        changed = tuple((one["symbol"], one["line"]) for one in answer["changed"])
        if changed and changed[0] not in asked:
            asked.add(changed[0])
            answers.append(answer)
    return files_in(answers)


def files_in(answers: Sequence[dict[str, object]]) -> list[str]:
    """Return the files of answers, the nearest and surest first, and then those that import the file."""
    confidences = {"exact": 0, "import": 1, "name": 2}
    best: dict[str, tuple[int, int, int]] = {}
    importers: dict[str, None] = {}
    for answer in answers:
        for number, one in enumerate(answer["affected"]):  # type: ignore[arg-type, var-annotated]
            place = one["distance"], confidences[one["confidence"]], number
            best[one["path"]] = min(best.get(one["path"], place), place)
        importers.update(dict.fromkeys(one["path"] for one in answer["importers"]))  # type: ignore[attr-defined]
    return [*sorted(best, key=lambda path: best[path]), *(path for path in importers if path not in best)]


class Score:
    """How many of the wanted files are among the first of all answers."""

    def __init__(self) -> None:
        self.shown, self.right, self.answered = Counter[int](), Counter[int](), Counter[int]()
        self.wanted = self.asked = 0

    def add(self, answer: Sequence[str], change: Change) -> None:
        """Count one answer."""
        listed = [path for path in dict.fromkeys(answer) if path != change.path and is_code(path)]
        self.asked += 1
        self.wanted += len(change.wanted)
        for first in FIRST:
            right = len(set(listed[:first]) & set(change.wanted))
            self.shown[first] += len(listed[:first])
            self.right[first] += right
            self.answered[first] += right > 0

    def cells(self) -> list[str]:
        """Return for each cut the recall, the precision, and the share of questions with any wanted file."""
        return [
            f"{self.right[first] / max(1, self.wanted):.2f} / {self.right[first] / max(1, self.shown[first]):.2f}"
            f" / {self.answered[first] / max(1, self.asked):.2f}"
            for first in FIRST
        ]


def main() -> None:
    """Ask about all changes and print a table."""
    parser = argparse.ArgumentParser(description="Compare the answers of impact with real changes.")
    parser.add_argument("git", nargs="+", type=Path)
    parser.add_argument("--changes", type=int, default=5, help="of each repository")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", action="store_true", help="print every change and what its answers miss")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    scores: defaultdict[tuple[str, str], Score] = defaultdict(Score)
    rows: list[dict[str, object]] = []
    with real_daemon() as daemon:
        for directory in arguments.git:
            history = History(directory)
            for change in history.changes(arguments.changes, arguments.seed):
                answers = answers_to(daemon, history, change)
                rows.append({**asdict(change), "answers": {name: answer[:30] for name, answer in answers.items()}})
                for name, answer in answers.items():
                    scores[history.name, name].add(answer, change)
                    scores["all", name].add(answer, change)
                if arguments.show:
                    show(change, answers)
    print(f"| repository | answer | {' | '.join(f'first {first}' for first in FIRST)} |")
    print(f"| --- | --- |{' ---: |' * len(FIRST)}")
    for (repository, name), score in scores.items():
        print(f"| {repository} ({score.asked}, {score.wanted}) | {name} | {' | '.join(score.cells())} |")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


def answers_to(daemon: RealDaemon, history: History, change: Change) -> dict[str, list[str]]:
    """Return what each way of answering says about a change."""
    with tempfile.TemporaryDirectory(prefix="cixbench") as name:
        root = Path(name).resolve() / history.name
        root.mkdir()
        history.lay_out(change.commit, root)
        daemon.call("roots.add", path=str(root), wait=True)
        ways: dict[str, Callable[[], list[str]]] = {
            "impact of the file": lambda: by_file(daemon, root, change),
            "impact of its definitions": lambda: by_definitions(daemon, root, change),
            "same directory": lambda: same_directory(root, change),
            "changed together before": lambda: history.changed_together(change),
        }
        found = {way: ask() for way, ask in ways.items()}
        daemon.call("roots.remove", path=str(root))
    return found


def show(change: Change, answers: dict[str, list[str]]) -> None:
    """Print a change, and at which place each answer has what was wanted."""
    print(
        f"\n{change.repository} {change.commit[:10]} {change.subject}\n  asked: {change.path} {list(change.lines)[:12]}"
    )
    for path in change.wanted:
        places = [
            f"{way}: {answer.index(path) + 1 if path in answer else 'missing'}" for way, answer in answers.items()
        ]
        print(f"  wanted: {path}  ({', '.join(places)})")


if __name__ == "__main__":
    main()
