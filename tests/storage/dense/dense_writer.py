"""A writer for the crash tests of the dense index, to be run by ``support.killing``.

By itself, ``python -m storage.dense.dense_writer DIRECTORY``, it forks children that work alone, each in a fresh
directory DIRECTORY/N, where the N-th kills itself at its N-th durable operation (write, sync, rename, ...); it prints
how many generations each has applied, and ends with the first child that lives.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from codeindexd.storage.dense import Dense
from codeindexd.storage.dense.maintenance import Thresholds
from storage.dense.sample_vectors import vector_of

DIMENSIONS = 16
STORE = {"store_uuid": "a-store", "identity": "a-model", "dimensions": DIMENSIONS}
SMALL = Thresholds(tail_rows=40, segment_rows=150, dead_share=0.3, slack=10, records=100)
GENERATIONS_OF_A_STEPPER = 15
_PER_GENERATION = 12


def changes(generation: int) -> tuple[list[tuple[int, bytes]], list[int]]:
    """Return what ``generation`` adds and removes: a dozen new ids, one replaced, most of those three before."""
    first = generation * _PER_GENERATION
    added = [(one, vector_of(one)) for one in range(first, first + _PER_GENERATION)]
    earlier = range(first - 3 * _PER_GENERATION, first - 2 * _PER_GENERATION)
    removed = [one for one in earlier if one % 12 and one > 0]
    if generation > 5:
        kept = first - 5 * _PER_GENERATION
        added.append((kept, vector_of(kept, version=1)))
    return added, removed


def held_after(generation: int) -> dict[int, bytes]:
    """Return the ids and vectors in the index after ``generation``."""
    held: dict[int, bytes] = {}
    for number in range(1, generation + 1):
        added, removed = changes(number)
        for one in removed:
            held.pop(one, None)
        held.update(added)
    return held


def die_at(step: int) -> None:
    """Kill this process at the ``step``-th durable operation, before it happens."""
    counter = itertools.count(1)

    def mortal(operation: Callable[..., Any]) -> Callable[..., Any]:
        def one(*arguments: Any, **more: Any) -> Any:
            if next(counter) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return operation(*arguments, **more)

        return one

    for name in ("pwrite", "fsync", "ftruncate", "unlink", "rename"):
        setattr(os, name, mortal(getattr(os, name)))
    Path.rename = mortal(Path.rename)  # type: ignore[method-assign]
    Path.unlink = mortal(Path.unlink)  # type: ignore[method-assign]
    Path.write_bytes = mortal(Path.write_bytes)  # type: ignore[method-assign]


def work_alone(directory: Path, report: Path) -> None:
    """Apply and maintain in turn up to the last generation; ``report`` gets a byte for each applied one."""
    dense = Dense.open(directory, **STORE)  # type: ignore[arg-type]
    with report.open("ab", buffering=0) as file:
        while dense.generation < GENERATIONS_OF_A_STEPPER:
            generation = dense.generation + 1
            dense.apply(generation, *changes(generation))
            file.write(b".")
            dense.maintain(lambda: False, SMALL)
    dense.close()


def every_step(base: Path) -> None:
    """Run as the module says."""
    for step in itertools.count(1):
        report = base / f"{step}.applied"
        report.touch()
        child = os.fork()
        if child == 0:
            die_at(step)
            work_alone(base / str(step), report)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status in (0, signal.SIGKILL), status
        print(report.stat().st_size, flush=True)
        if status == 0:
            return


def work(directory: Path) -> None:
    """Apply one generation after the other forever, printing each, with maintenance in a second thread."""
    dense = Dense.open(directory, **STORE)  # type: ignore[arg-type]

    def maintain() -> None:
        while True:
            dense.maintain(lambda: False, SMALL)

    threading.Thread(target=maintain, daemon=True).start()
    while True:
        generation = dense.generation + 1
        dense.apply(generation, *changes(generation))
        print(generation, flush=True)


if __name__ == "__main__":
    every_step(Path(sys.argv[1]))
