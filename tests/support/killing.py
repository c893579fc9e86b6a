"""Runs a writer in a process of its own and kills it in the middle of its work, many times and cheaply.

A driver process imports the writer's module once and forks a child for every kill, so that the interpreter and the
libraries start only once: ``python -m support.killing MODULE DIRECTORY``. The module's ``work(directory)`` prints a
number after each thing done, forever.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from support.places import PYTHONPATH


def start(module: str, *arguments: str) -> subprocess.Popen[str]:
    """Start ``python -m module arguments`` with the source tree and the test helpers importable."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
    )


@contextmanager
def quick_directory() -> Iterator[Path]:
    """Yield a directory in memory where possible: a kill loses nothing of the page cache, so fsync may cost nothing."""
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else None
    # A thread of tantivy may still write a file when its index is closed.
    with tempfile.TemporaryDirectory(dir=place, ignore_cleanup_errors=True) as directory:
        yield Path(directory)


@contextmanager
def killer(module: str, directory: Path) -> Iterator[Callable[[int], int]]:
    """Yield a function that runs the writer over ``directory`` and ends it with ``kill -9``.

    It takes the number of lines the writer may print before it is killed, and returns the last number printed.
    """
    with start("support.killing", module, str(directory)) as driver:
        assert driver.stdin is not None
        assert driver.stdout is not None
        stdin, stdout = driver.stdin, driver.stdout

        def kill_after(lines: int) -> int:
            print(lines, file=stdin, flush=True)
            return int(stdout.readline())

        yield kill_after
        stdin.close()


def _run_and_kill(work: Callable[[Path], None], directory: Path, lines: int) -> int:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        work(directory)
        os._exit(1)
    os.close(writing)
    last = -1
    with os.fdopen(reading) as file:
        for count, line in enumerate(file, 1):
            if line.endswith("\n"):
                last = int(line)
            if count == lines:
                os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if status != signal.SIGKILL or last < 0:
        raise RuntimeError(f"the writer ended by itself: {status}")
    return last


if __name__ == "__main__":
    writer = importlib.import_module(sys.argv[1])
    for request in sys.stdin:
        print(_run_and_kill(writer.work, Path(sys.argv[2]), int(request)), flush=True)
