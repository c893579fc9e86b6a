#!/usr/bin/env python3
"""Run every check of the project, in the order in which they fail fastest: lint, format, types, tests.

python tests/check.py [--fast] [PYTEST-ARGUMENT ...]

``--fast`` leaves out the tests that start processes or wait for real time (marker ``processes``). Tests that change
limits of the machine (marker ``changes_limits``) would disturb the others, so they run first and alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from longest import longest

PROJECT = Path(__file__).resolve().parent.parent
WORKERS = 4  # most tests wait for a disk or for another process: more than one per core pays
NONE_COLLECTED = 5  # by pytest, where only some tests are asked for
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
        print("$", module, *options, flush=True)
        command = [sys.executable, "-m", module, *options]
        status = subprocess.run(command, cwd=PROJECT, env=environment(), check=False).returncode
        if status not in (0, NONE_COLLECTED):
            return status
    if not fast:
        print(longest(PROJECT / "daemon"))
    return 0


def environment() -> dict[str, str]:
    """Return the environment of the checks: temporary files in memory, where fsync costs nothing, if it is enough."""
    roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES
    return {"TMPDIR": str(MEMORY), **os.environ} if roomy else dict(os.environ)


if __name__ == "__main__":
    sys.exit(main())
