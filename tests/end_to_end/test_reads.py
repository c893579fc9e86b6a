"""Every save is searchable at once with ``sync``, and no answer shows what is not on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from endurance.reads.trials import Trials
from support.daemons import RealDaemon, real_daemon


def _run(daemon: RealDaemon, root: Path, trials: int, **others: int) -> Trials:
    root.mkdir()
    daemon.call("roots.add", path=str(root), wait=True)
    made = Trials(daemon, root, seed=20)
    made.run(trials, **others)
    assert made.faults == []
    assert made.counts["trials"] == trials
    assert daemon.call("verify")["ok"]
    return made


@pytest.mark.timeout(300)
def test_saves_are_read_back_at_once_and_hits_are_true(daemon: RealDaemon, tmp_path: Path) -> None:
    made = _run(daemon, tmp_path / "root", 150)
    assert made.counts["sync by cookie"] > 0
    assert made.counts["other writes"] > 0
    assert made.counts["searches without sync"] > 0
    assert made.counts["other roots indexed"] > 0


@pytest.mark.timeout(300)
def test_saves_in_a_polled_root_are_read_back_by_walking(tmp_path: Path) -> None:
    with real_daemon('[watch]\nbackend = "poll"\n[workers]\nnice = 0\n') as daemon:
        made = _run(daemon, tmp_path / "root", 30, clients=2, churners=1, readers=1, bulk=0)
        assert made.counts["sync by cookie"] == 0
        assert made.counts["sync by walk"] > 0
