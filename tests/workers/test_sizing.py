"""How many workers there are, how many may work, and when a file has used up its time."""

from __future__ import annotations

import pytest

from codeindexd.workers.jobs import CentralityJob, FileJob, budget_s
from codeindexd.workers.sizing import WORKER_MEMORY_BYTES, Pressure, allowed_workers, is_overdue, worker_count


@pytest.mark.parametrize(
    ("setting", "cpus", "budget", "count"),
    [
        ("auto", 4, 0, 4),
        ("auto", 64, 0, 8),
        ("auto", 8, 2 * WORKER_MEMORY_BYTES, 2),
        ("auto", 8, 1, 1),
        (0, 8, 0, 0),
        (12, 2, 1, 12),
        (-1, 2, 0, 0),
    ],
)
def test_worker_count(setting, cpus, budget, count):
    assert worker_count(setting, cpus, budget) == count


@pytest.mark.parametrize(
    ("pressure", "allowed"),
    [
        (Pressure(), 4),
        (Pressure(is_on_battery=True), 1),
        (Pressure(cpu_some=90.0), 4),  # the cause is unknown
        (Pressure(cpu_some=90.0, foreground=0.3), 4),  # caused by us
        (Pressure(cpu_some=5.0, foreground=3.0), 4),  # others work, but nobody waits
        (Pressure(cpu_some=90.0, foreground=2.2), 2),
        (Pressure(cpu_some=90.0, foreground=9.0), 1),
        (Pressure(memory_some=20.0), 2),
        (Pressure(memory_full=20.0), 1),
        (Pressure(memory_available=0.02), 1),
    ],
)
def test_allowed_workers(pressure, allowed):
    assert allowed_workers(4, 4, pressure) == allowed


def test_one_worker_is_always_allowed():
    everything = Pressure(99.0, 99.0, 99.0, 0.0, 99.0, is_on_battery=True)
    assert [allowed_workers(count, 2, everything) for count in (0, 1, 2, 8)] == [0, 1, 1, 1]


@pytest.mark.parametrize(
    ("wall_s", "cpu_s", "starved", "gone"),
    [
        (19.0, 19.0, True, False),
        (20.0, 19.0, True, True),  # it had the CPU
        (20.0, None, False, True),
        (20.0, 0.0, False, True),  # it sleeps
        (60.0, 2.0, True, False),  # it waits for a CPU that others use
        (60.0, 10.0, True, True),
        (200.0, 2.0, True, True),
    ],
)
def test_overdue(wall_s, cpu_s, starved, gone):
    assert is_overdue(wall_s=wall_s, cpu_s=cpu_s, starved=starved, budget_s=20.0) is gone


def test_a_job_over_the_whole_catalog_may_take_longer_the_larger_it_is() -> None:
    assert budget_s(FileJob(1, b"/code", b"a.py", size=1 << 30), 20.0) == 20.0
    assert budget_s(FileJob(1, b"/code", b"a.lock", size=32 << 20, text_only=True), 20.0) == 180.0
    small, large = (budget_s(CentralityJob(1, b"catalog.db", files * 2_000), 20.0) for files in (100, 80_000))
    assert 20.0 <= small < 21.0
    assert 300 < large < 600
