#!/usr/bin/env python3
"""Run every check of the project, in the order in which they fail fastest: lint, format, types, tests.

python tests/check.py [--fast] [PYTEST-ARGUMENT ...]

``--fast`` leaves out the tests that start processes or wait for real time (marker ``processes``). Tests that change
limits of the machine (marker ``changes_limits``) would disturb the others, so they run first and alone.

Thousands of tests with real daemons share a few cores. If a handful fail beside the others, they are run again alone:
those that fail again fail the check, and the rest are listed, since they depend on the machine's speed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from longest import longest

PROJECT = Path(__file__).resolve().parent.parent
WORKERS = 4  # most tests wait for a disk or for another process: more than one per core pays
TESTS_FAILED = 1  # by pytest
NONE_COLLECTED = 5  # by pytest, where only some tests are asked for
MOST_RUN_AGAIN = 5  # more failures have another cause than a busy machine
LAST_FAILED = PROJECT / ".pytest_cache/v/cache/lastfailed"
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 4 << 30


def main() -> int:
    """Return the exit status of the first check that fails, else 0."""
    arguments = sys.argv[1:]
    fast = "--fast" in arguments
    chosen = [word for word in arguments if word != "--fast"]
    fast_only = " and not processes" if fast else ""
    for module, *options in (
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["pytest", "-m", f"changes_limits{fast_only}", *chosen],
        ["pytest", "-m", f"not changes_limits{fast_only}", "-n", str(WORKERS), "--dist", "worksteal", *chosen],
    ):
        LAST_FAILED.unlink(missing_ok=True)  # it also has failures of earlier runs
        status = run(module, *options)
        if status == TESTS_FAILED and "-n" in options and 0 < len(again := failed_tests()) <= MOST_RUN_AGAIN:
            status = run("pytest", *again)
            if status == 0:
                print("failed beside other tests and passed alone:", *again, sep="\n  ", flush=True)
        if status not in (0, NONE_COLLECTED):
            return status
    if not fast:
        print(longest(PROJECT / "daemon"))
    return 0


def run(module: str, *options: str) -> int:
    """Run one check, and return its exit status."""
    print("$", module, *options, flush=True)
    command = [sys.executable, "-m", module, *options]
    return subprocess.run(command, cwd=PROJECT, env=environment(), check=False).returncode


def failed_tests() -> list[str]:
    """Return the ids of the tests that failed in the last run of pytest."""
    try:
        return sorted(json.loads(LAST_FAILED.read_bytes()))
    except (OSError, ValueError):
        return []


def environment() -> dict[str, str]:
    """Return the environment of the checks: temporary files in memory, where fsync costs nothing, if it is enough."""
    roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES
    return {"TMPDIR": str(MEMORY), **os.environ} if roomy else dict(os.environ)


if __name__ == "__main__":
    sys.exit(main())
