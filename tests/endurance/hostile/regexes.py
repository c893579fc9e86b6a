"""A process that searches hostile texts with regexes and is killed by the kernel when one takes too long."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterable

from codeindexd.errors import InvalidQueryError
from codeindexd.search.regexes import compile_regex

MAX_CPU_S = 3  # for one regex on all texts
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


def first_endless(patterns: Iterable[str], *, with_re: bool = False) -> str:
    """Return the first of ``patterns`` that takes longer than MAX_CPU_S, "" if none does.

    Patterns that are refused count as fast. ``with_re`` uses Python's ``re`` instead of our module.
    """
    done = subprocess.run(
        [sys.executable, "-m", "endurance.hostile.regexes", *(["--re"] if with_re else [])],
        input="\n".join(map(json.dumps, patterns)),
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
    )
    tried = done.stdout.splitlines()
    if done.returncode > 0:
        raise AssertionError(f"exit status {done.returncode}")
    return json.loads(tried[-1]) if done.returncode else ""


def main() -> None:
    """Read regexes from stdin, a line of JSON each, and print each before it is tried."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard_limit = resource.getrlimit(resource.RLIMIT_CPU)[1]
    compile_pattern = re.compile if "--re" in sys.argv else compile_regex
    for line in sys.stdin:
        print(line.strip(), flush=True)
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + MAX_CPU_S, hard_limit))
        try:
            regex = compile_pattern(json.loads(line))
            for text in TEXTS:
                regex.search(text)
        except InvalidQueryError:
            continue


if __name__ == "__main__":
    main()
