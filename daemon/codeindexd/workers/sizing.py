"""How many workers there are and how many of them may work now. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

MAX_AUTO = 8  # a guess: beyond it the sole writer is what indexing waits for
WORKER_MEMORY = 160 * 1024 * 1024  # what a busy worker takes, with the model and a large file's syntax tree

# Percent of the last ten seconds in which some (all) tasks waited. Guesses, on the polite side.
_CPU_SOME = 25.0
_MEMORY_SOME = 10.0
_MEMORY_FULL = 5.0
_MEMORY_LOW = 0.06  # share of memory still available, for systems without pressure figures


@dataclass(frozen=True, slots=True)
class Pressure:
    """What the machine is going through; None = not known here.

    ``cpu_some``, ``memory_some``, ``memory_full``: percent stalled over ten seconds. ``foreground``: CPUs kept busy
    by work at normal priority other than this process. ``memory_available``: share of all memory.
    """

    cpu_some: float | None = None
    memory_some: float | None = None
    memory_full: float | None = None
    memory_available: float | None = None
    foreground: float | None = None
    on_battery: bool = False


def worker_count(setting: int | Literal["auto"], cpus: int, memory_budget: int) -> int:
    """Bulk workers for a setting: a number is taken as it is (0 = sequential), "auto" fits CPUs and memory (bytes).

    ``memory_budget`` 0 = no budget.
    """
    if setting != "auto":
        return max(0, setting)
    affordable = memory_budget // WORKER_MEMORY if memory_budget else MAX_AUTO
    return max(1, min(cpus, MAX_AUTO, affordable))


def allowed_workers(count: int, cpus: int, pressure: Pressure) -> int:
    """How many of ``count`` bulk workers may take work now; never none, so indexing always ends.

    ``cpus`` are those of the whole machine, which is what ``pressure`` speaks of.
    CPU pressure alone is no reason to give way: our own idle-priority processes cause it too. What others use is.
    """
    if count <= 1 or pressure.on_battery:
        return min(count, 1)
    allowed = count
    if _above(pressure.cpu_some, _CPU_SOME) and pressure.foreground is not None:
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


def overdue(*, wall_s: float, cpu_s: float | None, starved: bool, budget_s: float) -> bool:
    """Whether a file has had its time: ``wall_s`` since it began, ``cpu_s`` of it on a CPU (None = not known).

    At idle priority on a busy machine a blameless file may wait longer than its budget for a CPU or the disk
    (``starved``); it gets ten times the wall-clock time then, but not more CPU.
    """
    if wall_s < budget_s:
        return False
    if cpu_s is None or not starved or cpu_s >= budget_s / 2:
        return True
    return wall_s >= 10 * budget_s
