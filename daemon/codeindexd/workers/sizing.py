"""How many workers there are, and how many of them may work now."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

MAX_AUTO = 8  # a guess: beyond it, indexing waits for the only writer
WORKER_MEMORY_BYTES = 160 * 1024 * 1024  # of a busy worker, with the model and a large file's syntax tree

# Percent of the last ten seconds in which some (all) tasks waited. Guesses, on the polite side.
_CPU_SOME = 25.0
_MEMORY_SOME = 10.0
_MEMORY_FULL = 5.0
_MEMORY_LOW = 0.06  # share of memory still available, for systems without pressure figures


@dataclass(frozen=True, slots=True)
class Pressure:
    """The load of the machine; None means unknown.

    ``cpu_some``, ``memory_some``, ``memory_full``: percent stalled over ten seconds. ``foreground``: CPUs kept busy
    by other processes at normal priority. ``memory_available``: share of all memory.
    """

    cpu_some: float | None = None
    memory_some: float | None = None
    memory_full: float | None = None
    memory_available: float | None = None
    foreground: float | None = None
    on_battery: bool = False


def worker_count(setting: int | Literal["auto"], cpus: int, memory_budget: int) -> int:
    """Return the number of bulk workers for a setting: a number as it is (0: sequential), "auto" by CPUs and memory.

    ``memory_budget`` is in bytes; 0 means none.
    """
    if setting != "auto":
        return max(0, setting)
    affordable = memory_budget // WORKER_MEMORY_BYTES if memory_budget else MAX_AUTO
    return max(1, min(cpus, MAX_AUTO, affordable))


def allowed_workers(count: int, cpus: int, pressure: Pressure, *, is_waited_for: bool = False) -> int:
    """Return how many of ``count`` bulk workers may take jobs now; at least one, so that indexing always ends.

    ``cpus`` are those of the whole machine, as ``pressure`` is. CPU pressure alone is no reason to work less, since
    our own idle-priority processes cause it too; the CPUs used by others are, unless somebody waits for the work.
    """
    if count <= 1 or pressure.on_battery:
        return min(count, 1)
    allowed = count
    if _above(pressure.cpu_some, _CPU_SOME) and pressure.foreground is not None and not is_waited_for:
        allowed = min(allowed, round(cpus - pressure.foreground))
    if _above(pressure.memory_some, _MEMORY_SOME):
        allowed = min(allowed, math.ceil(count / 2))
    if _above(pressure.memory_full, _MEMORY_FULL):
        allowed = 1
    if pressure.memory_available is not None and pressure.memory_available < _MEMORY_LOW:
        allowed = 1
    return max(1, allowed)


def _above(figure: float | None, bound: float) -> bool:
    return figure is not None and figure > bound


def is_overdue(*, wall_s: float, cpu_s: float | None, starved: bool, budget_s: float) -> bool:
    """Return True if a file has used up its time: ``wall_s`` since it began, ``cpu_s`` of it on a CPU (None: unknown).

    At idle priority on a busy machine a harmless file may wait longer than its budget for a CPU or the disk
    (``starved``). It then gets ten times the wall-clock time, but not more CPU time.
    """
    if wall_s < budget_s:
        return False
    if cpu_s is None or not starved or cpu_s >= budget_s / 2:
        return True
    return wall_s >= 10 * budget_s
