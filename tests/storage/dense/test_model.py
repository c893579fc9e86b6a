"""The dense index compared with a dictionary after any sequence of operations."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from codeindexd.storage.dense import Dense, DenseSnapshot
from codeindexd.storage.dense.maintenance import Thresholds
from storage.dense.sample_vectors import rounded, vector_of

DIMENSIONS = 8
NAMES = {"store_uuid": "store", "identity": "model", "dimensions": DIMENSIONS}
IDS = st.integers(1, 60)
SMALL = Thresholds(tail_rows=12, segment_rows=24, dead_share=0.3, slack=2, records=8)


def assert_alike(snapshot: DenseSnapshot, held: Mapping[int, bytes]) -> None:
    """Assert that the snapshot holds exactly ``held`` and ranks it as a complete scan would."""
    assert snapshot.ids().tolist() == sorted(held)
    assert len(snapshot) == len(held)
    query = rounded(vector_of(7, DIMENSIONS, 3))
    for allowed in (None, np.arange(1, 61, 3)):
        within = [one for one in sorted(held) if allowed is None or one in allowed]
        ids, scores = snapshot.search(query, 5, allowed)
        exact = {one: float(rounded(held[one]) @ query) for one in within}
        expected = sorted(within, key=lambda one: -exact[one])[:5]
        assert len(ids) == len(expected)
        np.testing.assert_allclose([exact[one] for one in ids.tolist()], [exact[one] for one in expected], atol=1e-5)
        np.testing.assert_allclose(scores, [exact[one] for one in ids.tolist()], atol=1e-5)
        assert scores.tolist() == sorted(scores.tolist(), reverse=True)


class DenseModel(RuleBasedStateMachine):
    """Applies, removals, maintenance and reopening, with snapshots kept in between."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.held: dict[int, bytes] = {}
        self.generation = 0
        self.snapshots: list[tuple[DenseSnapshot, int, dict[int, bytes]]] = []

    @initialize()
    def begin(self) -> None:
        self.dense = Dense.open(self.directory, **NAMES)  # type: ignore[arg-type]

    @rule(added=st.lists(st.tuples(IDS, st.integers(0, 3)), max_size=20), removed=st.lists(IDS, max_size=20))
    def apply(self, added: list[tuple[int, int]], removed: list[int]) -> None:
        self.generation += 1
        vectors = [(one, vector_of(one, DIMENSIONS, version)) for one, version in added]
        self.dense.apply(self.generation, vectors, removed)
        for one in removed:
            self.held.pop(one, None)
        self.held.update(vectors)

    @rule(steps=st.integers(0, 3))
    def maintain(self, steps: int) -> None:
        left = iter([False] * steps)
        self.dense.maintain(lambda: next(left, True), SMALL)

    @rule()
    def maintain_fully(self) -> None:
        self.dense.maintain(lambda: False, SMALL)
        assert not self.dense.maintain(lambda: False, SMALL), "maintenance does not terminate"

    @rule(clean=st.booleans())
    def reopen(self, clean: bool) -> None:
        if clean:
            self.dense.close()
        else:
            self.crash()
        self.dense = Dense.open(self.directory, **NAMES)  # type: ignore[arg-type]

    def crash(self) -> None:
        self.dense._state.log.close()
        os.close(self.dense._lock)

    @rule()
    def keep_a_snapshot(self) -> None:
        self.snapshots.append((self.dense.snapshot(), self.generation, dict(self.held)))

    @precondition(lambda self: self.snapshots)
    @rule()
    def look_at_the_oldest_snapshot(self) -> None:
        snapshot, generation, held = self.snapshots.pop(0)
        assert snapshot.generation == generation
        assert_alike(snapshot, held)

    @invariant()
    def alike(self) -> None:
        if not hasattr(self, "dense"):
            return
        assert self.dense.generation == self.dense.snapshot().generation == self.generation
        assert_alike(self.dense.snapshot(), self.held)

    def teardown(self) -> None:
        if hasattr(self, "dense"):
            self.dense.close()
        shutil.rmtree(self.directory)


TestDenseModel = DenseModel.TestCase
TestDenseModel.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
