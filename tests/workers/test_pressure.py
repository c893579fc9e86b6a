"""Reading a machine's figures from a fake /proc and /sys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from codeindexd.workers.pressure import PressureReader, available_cpus, cpu_time, is_on_battery
from codeindexd.workers.sizing import Pressure
from support.trees import tree

PSI = "some avg10={} avg60=0.00 avg300=0.00 total=1\nfull avg10={} avg60=0.00 avg300=0.00 total=1\n"


def stat(user: float, nice: float, system: float) -> str:
    ticks = os.sysconf("SC_CLK_TCK")
    return f"cpu  {int(user * ticks)} {int(nice * ticks)} {int(system * ticks)} 99 9 0 0 0 0 0\ncpu0 1 1 1 1\n"


def machine(base: Path, **more: str) -> Path:
    files = {
        "proc/pressure/cpu": PSI.format("40.5", "0.00"),
        "proc/pressure/memory": PSI.format("3.25", "1.50"),
        "proc/meminfo": "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 250 kB\n",
        "proc/stat": stat(10_000, 0, 0),
    }
    tree(base, {**files, **more})
    return base


def test_figures(tmp_path):
    root = machine(tmp_path)
    assert PressureReader(root).read(0.0) == Pressure(40.5, 3.25, 1.5, 0.25, None, is_on_battery=False)


def test_foreground_is_the_cpu_use_of_others_at_normal_priority(tmp_path):
    root = machine(tmp_path)
    reader = PressureReader(root)
    reader.read(100.0)
    (root / "proc/stat").write_text(stat(10_012, 5_000, 3))
    assert reader.read(110.0).foreground == pytest.approx(1.5, abs=0.1)


def test_missing_figures_are_unknown(tmp_path):
    assert PressureReader(tmp_path).read() == Pressure()
    assert cpu_time(1, tmp_path) is None
    assert available_cpus(tmp_path) >= 1


def test_damaged_figures_are_unknown(tmp_path):
    root = machine(tmp_path, **{"proc/pressure/cpu": "some nonsense", "proc/stat": "cpu x", "proc/meminfo": "?"})
    pressure = PressureReader(root).read()
    assert (pressure.cpu_some, pressure.foreground, pressure.memory_available) == (None, None, None)


@pytest.mark.parametrize(
    ("supplies", "expected"),
    [
        ({"BAT0": {"type": "Battery", "status": "Discharging"}}, True),
        ({"BAT0": {"type": "Battery", "status": "Charging"}}, False),
        ({"AC": {"type": "Mains", "online": "1"}, "BAT0": {"type": "Battery", "status": "Discharging"}}, False),
        ({"AC": {"type": "Mains", "online": "0"}, "BAT0": {"type": "Battery", "status": "Discharging"}}, True),
        ({"mouse": {"type": "Battery", "scope": "Device", "status": "Discharging"}}, False),
        ({}, False),
    ],
)
def test_battery(tmp_path, supplies, expected):
    base = "sys/class/power_supply"
    tree(tmp_path, {f"{base}/{name}/{key}": f"{value}\n" for name, s in supplies.items() for key, value in s.items()})
    assert is_on_battery(tmp_path) is expected


def test_a_cgroup_quota_anywhere_above_bounds_the_cpus(tmp_path):
    groups = {
        "proc/self/cgroup": "0::/user/app\n",
        "sys/fs/cgroup/user/app/cpu.max": "max 100000\n",
        "sys/fs/cgroup/user/cpu.max": "100000 100000\n",
    }
    tree(tmp_path, groups)
    assert available_cpus(tmp_path) == 1


def test_cpu_time_of_this_process():
    before = cpu_time(os.getpid())
    assert before is not None
    while (now := cpu_time(os.getpid())) == before:
        sum(range(100_000))
    assert now is not None
    assert now[0] > before[0]
    assert now[1]  # it runs
