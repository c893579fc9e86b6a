"""Reads the load of the machine: pressure stall information, CPU use of other processes, memory, power supply.

Linux only (/proc, /sys, cgroups); on other systems everything is unknown, and workers are not limited.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from codeindexd.workers.sizing import Pressure


def available_cpus(root: Path = Path("/")) -> int:
    """Return the number of CPUs that this process may use, by its affinity mask and its cgroup's quota (version 2)."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_quota(root)
    return max(1, cpus if quota is None else min(cpus, round(quota)))


class PressureReader:
    """Reads ``Pressure``; keeps the last sample, because CPU use is a difference of two."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._ticks = float(os.sysconf("SC_CLK_TCK"))
        self._sample: tuple[float, float] | None = None  # (time, normal-priority CPU seconds of others)

    def read(self, now: float | None = None) -> Pressure:
        """Return the pressure at ``now`` (monotonic seconds, default: now). Figures that cannot be read are None."""
        memory = _meminfo(self._root)
        total, available = memory.get("MemTotal"), memory.get("MemAvailable")
        return Pressure(
            cpu_some=_stalled(self._root / "proc/pressure/cpu", b"some"),
            memory_some=_stalled(self._root / "proc/pressure/memory", b"some"),
            memory_full=_stalled(self._root / "proc/pressure/memory", b"full"),
            memory_available=available / total if total and available is not None else None,
            foreground=self._foreground(time.monotonic() if now is None else now),
            is_on_battery=is_on_battery(self._root),
        )

    def _foreground(self, now: float) -> float | None:
        """Return how many CPUs other processes at normal priority kept busy since the last call; None if unknown."""
        try:
            fields = (self._root / "proc/stat").read_bytes().split(b"\n", 1)[0].split()
            user, system, irq, softirq = (int(fields[i]) for i in (1, 3, 6, 7))  # field 2 counts niced processes
        except (OSError, ValueError, IndexError):
            return None
        used = (user + system + irq + softirq) / self._ticks - time.process_time()
        before, self._sample = self._sample, (now, used)
        if before is None or now <= before[0]:
            return None
        return max(0.0, (used - before[1]) / (now - before[0]))


def is_on_battery(root: Path = Path("/")) -> bool:
    """Return True if a battery of the machine (not of a device such as a mouse) is discharging, without mains power."""
    discharging = False
    for supply in _directory(root / "sys/class/power_supply"):
        kind = _word(supply / "type")
        if kind in ("Mains", "USB") and _word(supply / "online") == "1":
            return False
        if kind == "Battery" and _word(supply / "scope") != "Device" and _word(supply / "status") == "Discharging":
            discharging = True
    return discharging


def cpu_time(pid: int, root: Path = Path("/")) -> tuple[float, bool] | None:
    """Return the CPU seconds of a process, and whether it is waiting for a CPU or the disk; None if unknown."""
    try:
        fields = (root / "proc" / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), fields[0] in (b"R", b"D")
    except (OSError, ValueError, IndexError):
        return None


def _stalled(path: Path, line: bytes) -> float | None:
    """Return the ten-second average (percent) of the given line of a pressure file; None if unknown."""
    try:
        for row in path.read_bytes().splitlines():
            if row.startswith(line):
                return float(row.split(b"avg10=", 1)[1].split(b" ", 1)[0])
    except (OSError, ValueError, IndexError):  # OSError also if the kernel has the file but no figures
        return None
    return None


def _meminfo(root: Path) -> dict[str, int]:
    try:
        rows = (root / "proc/meminfo").read_text("ascii").splitlines()
        return {name: int(rest.split()[0]) * 1024 for name, _, rest in (row.partition(":") for row in rows)}
    except (OSError, ValueError, IndexError):
        return {}


def _cgroup_quota(root: Path) -> float | None:
    """Return the CPU quota of this process's cgroup, the smallest one of it and its parents; None if unlimited."""
    rows = _word(root / "proc/self/cgroup").splitlines()
    path = next((row[3:] for row in rows if row.startswith("0::")), None)
    if path is None:
        return None
    base = root / "sys/fs/cgroup"
    group = base / path.lstrip("/")
    grants = []
    for directory in (group, *group.parents):
        quota, _, period = _word(directory / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit() and int(period):
            grants.append(int(quota) / int(period))
        if directory == base:
            break
    return min(grants, default=None)


def _directory(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except OSError:
        return []


def _word(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
