"""The real daemon and its workers, killed at the worst moments.

``python tests/endurance kills`` and ``worker_kills.py`` repeat this hundreds of times.
"""

from __future__ import annotations

import pytest

from endurance.crash.harness import crasher
from endurance.crash.strikes import WORKERS, striker


@pytest.mark.timeout(600)
def test_killed_daemons_lose_nothing_and_leave_nothing_behind() -> None:
    with crasher(seed=5, files=40, patience_s=60) as running:
        for step in ("catalog.commit.after", "catch_up.add_lexical.before", "dense.switch.half", "adopt.sync.before"):
            assert running.kill_at(step), f"{step} was not reached"
            running.recover(step)
        running.kill_at_random()
        running.recover("a random moment")
        assert running.tally.differences == []
        assert running.tally.found["lexical behind"] >= 1
        assert running.tally.found["dense behind"] >= 1


@pytest.mark.timeout(600)
def test_killed_workers_cost_no_file() -> None:
    with striker("[workers]\nnice = 0\ncount = 2\n", kind=WORKERS, seed=11, files=40) as running:
        running.round(8)
    assert running.differences == []
    assert running.strikes["SIGKILL"] > 0
