"""A short soak: a few of every action of a day, and the evaluation of the samples."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from endurance.soak import days as soak_days
from endurance.soak.clients import Clients
from endurance.soak.days import A_DAY, Days
from endurance.soak.places import lay_out
from endurance.soak.samples import EVENING, Sample, Sampler, levels, table
from support.daemons import RealDaemon, until

FLAT = Sample(
    *(0.0, 1, EVENING, 100.0, 60.0, 1, 50.0, 100, 40, 500, 50.0, 20.0, 1.0, 25.0, 60.0, 10.0, 2_000, 40_000, 9, 5),
    *(4.0, 20.0),
)


@pytest.mark.timeout(300)
def test_after_a_little_of_everything_the_index_is_right(
    daemon: RealDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soak_days, "_SUSPENDED_S", (0.1, 0.2))
    places = lay_out(tmp_path, 120, random.Random(5), library=60)
    places.packages = sorted(places.packages, key=lambda package: len(package.files))[:2]
    for root in places.roots:
        daemon.call("roots.add", path=str(root), wait=True)
    counts: Counter[str] = Counter()
    days = Days(daemon, places, random.Random(6), counts)
    clients = Clients(daemon, places.roots, 5, counts, days.suspensions)
    sampler = Sampler(daemon, clients, 30.0)
    clients.start()
    for name, count in A_DAY.items():
        for _ in range(min(count, 12)):
            days.act(name)
    clients.stop()
    days.leave_all()
    sample = sampler.take(EVENING)
    assert clients.errors == []
    assert counts["saves"] > 5
    assert counts["searches"] > 0
    assert counts["roots removed"] == counts["roots added"] > 0
    assert sample.chunks > 0
    assert sample.daemon_anonymous > 0
    until(lambda: all(root["state"] == "fresh" for root in daemon.call("status")["roots"]), timeout_s=60.0)
    assert daemon.call("verify")["ok"]


def test_what_grows_is_told_from_what_levels_off() -> None:
    noisy = [replace(FLAT, day=day, daemon_anonymous=60 + day % 3, vectors=50 + day) for day in range(1, 23)]
    assert all(level.holds for level in levels(noisy, vectors_budget=80.0))
    grown = [level.name for level in levels(noisy, vectors_budget=60.0) if not level.holds]
    assert grown == ["vectors, MB"]
    leaking = [replace(FLAT, day=day, daemon_anonymous=60 + 2 * day, open_files=100 + day) for day in range(1, 23)]
    grown = [level.name for level in levels(leaking, vectors_budget=60.0) if not level.holds]
    assert grown == ["daemon, anonymous MB", "open files"]
    assert table(noisy).count("\n") == 12
