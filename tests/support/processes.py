"""Resources of a daemon's processes, read from /proc: memory, files, threads, watches and CPU time."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path


def family(pid: int) -> list[int]:
    """Return a process and everything it started."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found.extend(int(child) for child in task.read_text().split())
            except OSError:
                continue
    return found


def is_running(pid: int) -> bool:
    """Return True if a process exists and has not ended; a zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


@dataclass(frozen=True)
class Memory:
    """Memory in bytes: proportional set size, and the anonymous part of it (not mapped files)."""

    pss: int = 0
    anonymous: int = 0

    @classmethod
    def of(cls, pid: int) -> Memory:
        """Return the memory of one process, zero when it is gone."""
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            return cls()
        values = {line.split()[0]: int(line.split()[1]) * 1024 for line in lines[1:]}
        return cls(values.get("Pss:", 0), values.get("Pss_Anon:", 0))


class Peak(threading.Thread):
    """Samples the PSS of a process family and the anonymous memory of its first process, in bytes, until stopped."""

    def __init__(self, pid: int, every_s: float = 0.5) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._every_s = every_s
        self._ended = threading.Event()
        self.pss = self.anonymous = 0

    def run(self) -> None:
        while not self._ended.wait(self._every_s):
            own = Memory.of(self._pid)
            rest = (Memory.of(pid) for pid in family(self._pid) if pid != self._pid)
            self.pss = max(self.pss, own.pss + sum(one.pss for one in rest))
            self.anonymous = max(self.anonymous, own.anonymous)

    def stop(self) -> None:
        """End the sampling, and wait for its end."""
        self._ended.set()
        self.join()


def cpu_seconds(pid: int) -> float:
    """Return user and system seconds of a process, its living children, and those it waited for."""
    ticks = 0
    for one in family(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11 : 15 if one == pid else 13])
    return ticks / os.sysconf("SC_CLK_TCK")


def open_files(pid: int) -> int:
    """Return how many descriptors a process has."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid: int) -> int:
    """Return how many threads a process has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def inotify_watches(pid: int) -> int:
    """Return how many directories or files a process watches, over all its inotify instances."""
    count = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if str(descriptor.readlink()) == "anon_inode:inotify":
                count += Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text().count("inotify wd:")
        except OSError:
            continue
    return count


def disk_bytes(place: Path) -> int:
    """Return the bytes that the files below (or at) ``place`` take on the disk."""
    total = 0
    for path in [place, *place.rglob("*")]:
        try:
            total += path.stat().st_blocks * 512
        except OSError:
            continue
    return total
