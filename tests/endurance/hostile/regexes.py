"""A process that searches hostile texts with regexes; its system ends it when one of them takes too long."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterable

from codeindexd.errors import InvalidQueryError
from codeindexd.search.query import bounded_regex

ENOUGH_S = 3  # of CPU for one regex; it is told to stop after one second of slow lines
TEXTS = [
    "a" * 4000,
    "a" * 6000,
    "ab" * 2000,
    "a" * 3999 + "b",
    "a" * 300,
    " " * 2000,
    ("a" * 80 + "\n") * 60,
    "0123456789abcdef" * 250,
]


def endless(patterns: Iterable[str], *, bounded: bool = True) -> str:
    """The first of ``patterns`` that does not end soon; "" when all do. Those that are refused take no part.

    Without ``bounded`` nothing stands between them and ``re``.
    """
    done = subprocess.run(
        [sys.executable, "-m", "endurance.hostile.regexes", *(["--bounded"] if bounded else [])],
        input="\n".join(map(json.dumps, patterns)),
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
    )
    begun = done.stdout.splitlines()
    if done.returncode > 0:
        raise AssertionError(f"exit status {done.returncode}")
    return json.loads(begun[-1]) if done.returncode else ""


def main() -> None:
    """Reads regexes, a line of JSON each, and says each before it is tried."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    for line in sys.stdin:
        print(line.strip(), flush=True)
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + ENOUGH_S, hard))
        try:
            regex = (bounded_regex if "--bounded" in sys.argv else re.compile)(json.loads(line))
            for text in TEXTS:
                regex.search(text)
        except InvalidQueryError:
            continue


if __name__ == "__main__":
    main()
