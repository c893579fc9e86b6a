#!/usr/bin/env python3
"""Ask questions about the history of real repositories, and see whether the wanted commit is among the first five.

python tests/benchmarks/history_questions.py NAME=DIRECTORY... [--in-other-words] [--show] [--questions FILE]

NAME is the repository of questions in ``history_questions.jsonl``, such as ``django/django``, and DIRECTORY a clone of
it with its whole history. The questions were written by reading the history. They name what changed, as a developer who
has the code in front of them would, and say in their own words what happened to it; with ``--in-other-words`` they
avoid the name, too. Several commits are wanted where the same change was made on several branches. ``--questions`` asks
those of another file, such as ``report_fixes.py`` prints. Ends with 1 if fewer than nine of ten are answered.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.daemons import RealDaemon, real_daemon

QUESTIONS = Path(__file__).with_suffix(".jsonl")
_FIRST = 5
_LISTED = 50
_WAIT_S = 3600.0


def rank_of(found: list[dict[str, Any]], wanted: list[str]) -> int | None:
    """Return the place of the first wanted commit, from 1; None if it is not among those found."""
    for place, commit in enumerate(found, 1):
        if any(commit["id"].startswith(one) for one in wanted):
            return place
    return None


def wait_for_history(daemon: RealDaemon, root: Path) -> None:
    """Wait until the whole history of a root is indexed."""
    end = time.monotonic() + _WAIT_S
    while time.monotonic() < end:
        history = daemon.call("status", path=str(root))["roots"][0]["history"]
        if history["state"] == "complete":
            return
        time.sleep(1)
    raise TimeoutError(f"the history of {root} is not complete after {_WAIT_S:g} s")


def main() -> int:
    """Ask all questions, and print the places of the wanted commits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repositories", nargs="+", metavar="NAME=DIRECTORY")
    parser.add_argument("--in-other-words", action="store_true", help="ask without the names of what changed")
    parser.add_argument("--questions", type=Path, default=QUESTIONS, help="a file with one question a line")
    parser.add_argument("--show", action="store_true", help="show what came first where the wanted commit did not")
    args = parser.parse_args()
    directories = dict(one.split("=", 1) for one in args.repositories)
    questions = [json.loads(line) for line in args.questions.read_text().splitlines()]
    answered: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    milliseconds = []
    with real_daemon() as daemon:
        for directory in directories.values():
            daemon.call("roots.add", path=str(Path(directory).resolve()), wait=True)
        for name, directory in directories.items():
            root = Path(directory).resolve()
            wait_for_history(daemon, root)
            for question in (one for one in questions if one["repository"] == name):
                text = question["in_other_words" if args.in_other_words else "question"]
                answer = daemon.call("history.log", query=text, roots=[str(root)], limit=_LISTED)
                place = rank_of(answer["commits"], question["commits"])
                milliseconds.append(answer["took_ms"])
                asked[name] += 1
                answered[name] += place is not None and place <= _FIRST
                print(f"{place or '-':>3}  {name}: {text}")
                if args.show and (place or _LISTED) > _FIRST:
                    for commit in answer["commits"][:3]:
                        print(f"         {commit['short_id']} {commit['subject']}")
    for name in directories:
        print(f"{name}: {answered[name]} of {asked[name]} among the first {_FIRST}")
    milliseconds.sort()
    print(f"all: {answered.total()} of {asked.total()}; p50 {milliseconds[len(milliseconds) // 2]:.1f} ms")
    return int(answered.total() < 0.9 * asked.total())


if __name__ == "__main__":
    sys.exit(main())
