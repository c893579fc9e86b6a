"""Processes in which a text may crash, hang or use up memory, and the outcome."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

from codeindexd.workers.jobs import WorkerSettings
from codeindexd.workers.pool import RECYCLE_BYTES
from endurance.hostile.child import HEADER
from support.places import PYTHONPATH

_WALL_S = 300.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """``fate`` is "fine", "broken" (a promise), "crash" or "hang"; ``seconds`` of CPU by stage."""

    fate: str
    detail: str = ""
    chunks: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def total_s(self) -> float:
        """CPU seconds a worker would have taken, without the second chunking of the check."""
        return sum(took for stage, took in self.seconds.items() if stage != "again")


class Cage:
    """One child process, replaced when a text ends it."""

    def __init__(self, *, budget_s: float = WorkerSettings().file_budget_s) -> None:
        self._budget_s = budget_s
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Cage:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def try_(self, language: str, data: bytes) -> Outcome:
        """Try a file with this content, with ``budget_s`` of CPU as in a worker, and return the outcome."""
        child = self._child or self._start()
        assert child.stdin is not None
        name = language.encode()
        began = _cpu_s(child.pid)
        try:
            child.stdin.write(HEADER.pack(len(name), len(data)) + name + data)
            child.stdin.flush()
        except BrokenPipeError:
            return self._ended("crash")
        return self._await(child, began)

    def _await(self, child: subprocess.Popen[bytes], began: float) -> Outcome:
        assert child.stdout is not None
        wall = time.monotonic() + _WALL_S
        while not select.select([child.stdout], [], [], 0.5)[0]:
            # twice: the check chunks twice
            if _cpu_s(child.pid) - began > 2 * self._budget_s or time.monotonic() > wall:
                child.kill()
                return self._ended("hang")
        line = child.stdout.readline()
        if not line:
            return self._ended("crash")
        found = json.loads(line)
        if found["memory"] > RECYCLE_BYTES:  # as the pool does
            self._end()
        return Outcome("broken" if found["broken"] else "fine", found["broken"], found["chunks"], found["seconds"])

    def _start(self) -> subprocess.Popen[bytes]:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "endurance.hostile.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": PYTHONPATH, "OMP_NUM_THREADS": "1"},
        )
        return self._child

    def _ended(self, fate: str) -> Outcome:
        status = self._end()
        detail = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return Outcome(fate, detail if fate == "crash" else f"over {self._budget_s:g} s of CPU")

    def _end(self) -> int:
        if self._child is None:
            return 0
        child, self._child = self._child, None
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
        try:
            return child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait()


def _cpu_s(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return times.user + times.system


def shrunk(data: bytes, still: Callable[[bytes], bool], *, tries: int = 60) -> bytes:
    """Return a smaller text for which ``still`` holds, by leaving out pieces, halves first."""
    size = len(data) // 2
    while size and tries:
        at = 0
        while at < len(data) and tries:
            shorter = data[:at] + data[at + size :]
            tries -= 1
            if shorter and still(shorter):
                data = shorter
            else:
                at += size
        size //= 2
    return data
