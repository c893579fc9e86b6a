"""Whatever people and tools do to a tree: after a sync, the index equals one built from scratch.

The long run of the same is ``python tests/endurance operations``.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endurance.tree_operations import OPERATIONS, World, directories, files
from endurance.tree_operations.operations import Operation, do
from endurance.tree_operations.trial import CONFIG, DifferenceError, Trial
from support.daemons import RealDaemon, real_daemon

_OPERATIONS = [operation for operation, weight in OPERATIONS.items() for _ in range(max(1, round(weight)))]
_START = 12  # files that every tree begins with


@pytest.fixture(scope="module")
def daemon() -> Iterator[RealDaemon]:
    """The daemon that follows every change."""
    with real_daemon(CONFIG) as running:
        yield running


@pytest.fixture(scope="module")
def reference() -> Iterator[RealDaemon]:
    """The daemon that indexes from scratch."""
    with real_daemon(CONFIG) as running:
        yield running


@contextmanager
def trial(daemon: RealDaemon, reference: RealDaemon, seed: int) -> Iterator[Trial]:
    """A tree of its own that the daemon indexes, with some files in it."""
    place = Path(tempfile.mkdtemp(prefix="operations"))
    world = World.make(place, seed)
    for _ in range(_START):
        do(world, _OPERATIONS[0])
    made = Trial(daemon, world, lambda: nullcontext(reference))
    try:
        made.add()
        yield made
    finally:
        for root in daemon.call("roots.list")["roots"]:  # nested ones, too
            daemon.call("roots.remove", path=root["path"])
        if world.mounted:
            subprocess.run(["umount", "-l", world.root], check=True)
        shutil.rmtree(place)


@pytest.mark.timeout(600)  # a failure is reduced before it is shown
@settings(max_examples=6)
@given(
    seed=st.integers(0, 1 << 32),
    bursts=st.lists(st.lists(st.sampled_from(_OPERATIONS), min_size=8, max_size=25), min_size=2, max_size=4),
)
def test_any_sequence_of_operations_leaves_the_index_equal_to_the_disk(
    daemon: RealDaemon, reference: RealDaemon, seed: int, bursts: list[list[Operation]]
) -> None:
    with trial(daemon, reference, seed) as made:
        for burst in bursts:
            made.do(burst)
            made.sync()
            made.verify()
            made.check_markers()
            made.check_grep()
            made.check_nested_root()
        made.compare()


def test_a_pause_that_outlasts_the_daemon_costs_no_change(daemon: RealDaemon, reference: RealDaemon) -> None:
    with trial(daemon, reference, 2) as made:
        made.sync()
        while not made.done["pauses over a kill"]:
            made.check_pause(20)
            made.sync()
            made.verify()
        made.check_grep()
        made.compare()


def test_the_oracles_see_what_they_are_asked_about(daemon: RealDaemon, reference: RealDaemon) -> None:
    """The oracles tell an index of another tree from this one, and notice a lost marker."""
    with trial(daemon, reference, 1) as made:
        daemon.call("pause", path=str(made.root))
        made.do([files.create, files.edit, directories.make_deep])
        with pytest.raises(DifferenceError, match="differences to a new index"):
            made.compare()
        with pytest.raises(DifferenceError, match="paused"):
            made.sync()
        daemon.call("resume", path=str(made.root))
        made.sync()
        made.compare()
