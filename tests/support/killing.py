"""Running a Python program in a process of its own and killing it in the middle of things."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join([str(ROOT / "daemon"), str(ROOT / "tests")])


def start(module: str, *arguments: str) -> subprocess.Popen[str]:
    """Start ``python -m module arguments`` with the source tree and the test helpers importable."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1"},
    )


def kill_after(lines: int, module: str, arguments: Sequence[str]) -> int:
    """Start the program, ``kill -9`` it once it has printed ``lines`` numbers, and return the last one printed.

    The kill hits whatever it does then. What it printed before dying is read to the end.
    """
    last = -1
    with start(module, *arguments) as process:
        assert process.stdout is not None
        for count, line in enumerate(process.stdout, 1):
            last = int(line)
            if count == lines:
                process.kill()
        process.wait()
    assert last >= 0, f"{module} died before it had done anything"
    return last
