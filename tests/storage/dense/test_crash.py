"""``kill -9`` at any moment and at every step: the generation and the vectors always match."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeindexd.storage.dense import Dense
from storage.dense.dense_writer import GENERATIONS_OF_A_STEPPER, STORE, held_after
from storage.dense.sample_vectors import rounded
from support.killing import killer, quick_directory, start

pytestmark = pytest.mark.processes

_KILLS = 42


@pytest.fixture
def quick() -> Iterator[Path]:
    with quick_directory() as directory:
        yield directory


def _assert_whole(directory: Path, *, at_least: int) -> int:
    dense = Dense.open(directory, **STORE)  # type: ignore[arg-type]
    dense.check()
    snapshot, expected = dense.snapshot(), held_after(dense.generation)
    assert snapshot.generation == dense.generation >= at_least
    assert snapshot.ids().tolist() == sorted(expected)
    assert len(snapshot) == len(expected)
    for one, vector in expected.items():
        found = snapshot.vector(one)
        assert found is not None
        assert found.tolist() == rounded(vector).tolist(), f"{one} has another vector"
    dense._state.log.close()  # end without closing, as a killed process does
    os.close(dense._lock)
    return dense.generation


def test_after_a_kill_generation_and_vectors_match(quick: Path) -> None:
    chance = random.Random(4)
    generation = 0
    with killer("storage.dense.dense_writer", quick) as kill_after:
        for _ in range(_KILLS):
            printed = kill_after(chance.randint(1, 40))
            assert printed > generation
            generation = _assert_whole(quick, at_least=printed)
    assert list(quick.glob("segment-*")), "maintenance never built a segment"


def test_a_kill_at_every_step(quick: Path) -> None:
    with start("storage.dense.dense_writer", str(quick)) as process:
        assert process.stdout is not None
        reached = [int(line) for line in process.stdout]
    assert process.returncode == 0
    assert reached[-1] == GENERATIONS_OF_A_STEPPER
    assert len(reached) > 100
    for step, generation in enumerate(reached, 1):
        assert _assert_whole(quick / str(step), at_least=generation) <= generation + 1
