#!/usr/bin/env python3
"""Run every check of the project, in the order in which they fail fastest: lint, format, types, tests.

python tests/check.py [PYTEST-ARGUMENT ...]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Exit status of the first check that fails, else 0."""
    python = sys.executable
    for command in (
        [python, "-m", "ruff", "check", "."],
        [python, "-m", "ruff", "format", "--check", "."],
        [python, "-m", "mypy"],
        [python, "-m", "pytest", *sys.argv[1:]],
    ):
        print("$", *command[1:], flush=True)
        status = subprocess.run(command, cwd=PROJECT, check=False).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
