"""Decides how many workers there are, and how many of them may work under the present load."""

from __future__ import annotations

import math
from typing import Literal

from msgspec import Struct

MAX_AUTO = 8  # a guess: beyond it, indexing waits for the only writer
WORKER_MEMORY_BYTES = 160 * 1024 * 1024  # of a busy worker, with the model and a large file's syntax tree

# Percent of the last ten seconds in which some (all) tasks had to wait. Guesses, in favour of other programs.
_CPU_SOME = 25.0
_MEMORY_SOME = 10.0
_MEMORY_FULL = 5.0
_MEMORY_LOW = 0.06  # share of memory still available, for systems without pressure figures


class Pressure(Struct, frozen=True):
    """The load of the machine; None means unknown.

    ``cpu_some``, ``memory_some`` and ``memory_full`` are the percentage of the last ten seconds in which some or all
    tasks had to wait. ``foreground`` is the number of CPUs kept busy by other processes at normal priority,
    ``memory_available`` a share of the total memory (0 to 1).
    """

    cpu_some: float | None = None
    memory_some: float | None = None
    memory_full: float | None = None
    memory_available: float | None = None
    foreground: float | None = None
    is_on_battery: bool = False


def worker_count(setting: int | Literal["auto"], cpus: int, memory_budget: int) -> int:
    """Return the number of bulk workers for a setting: the number itself, or for "auto" one by CPUs and memory.

    0 means that one worker processes everything sequentially. ``memory_budget`` is in bytes; 0 means unlimited.
    """
    if setting != "auto":
        return max(0, setting)
    affordable = memory_budget // WORKER_MEMORY_BYTES if memory_budget else MAX_AUTO
    return max(1, min(cpus, MAX_AUTO, affordable))


def allowed_workers(count: int, cpus: int, pressure: Pressure, *, is_awaited: bool = False) -> int:
    """Return how many of ``count`` bulk workers may take jobs now: at least one, so that indexing always ends.

    ``cpus`` is the number of CPUs of the whole machine. CPU pressure alone is no reason to work less, because our own
    idle-priority processes cause it too; CPUs in use by other processes are, unless somebody waits for the work.
    """
    if count <= 1 or pressure.is_on_battery:
        return min(count, 1)
    allowed = count
    if _above(pressure.cpu_some, _CPU_SOME) and pressure.foreground is not None and not is_awaited:
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
    """Return True if a file has used up its ``budget_s`` seconds, after ``wall_s`` of wall-clock time.

    At idle priority on a busy machine, a harmless file may wait longer than its budget for a CPU or the disk
    (``starved``). It then gets ten times the wall-clock time, but no more than half the budget on a CPU. ``cpu_s`` is
    its CPU time so far (None: unknown).
    """
    if wall_s < budget_s:
        return False
    if cpu_s is None or not starved or cpu_s >= budget_s / 2:
        return True
    return wall_s >= 10 * budget_s
