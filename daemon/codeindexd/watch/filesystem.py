"""Queries the operating system: can a root be watched, its identity, the kernel's limits, jumps of the clock."""

from __future__ import annotations

import stat
import sys
import time
from pathlib import Path

from msgspec import Struct

from codeindexd.scan import mount_table
from codeindexd.watch import mounts
from codeindexd.watch.problem_reporter import WatchProblem

_INOTIFY = Path("/proc/sys/fs/inotify")
_CLOCK_JUMP_S = 5.0


def reason_to_poll(root: Path) -> str:
    """Return why ``root`` as a whole has to be polled; "" if it can be watched."""
    mount = mounts.mount_of(root, mount_table.read_mounts())
    if mount is not None and mount.is_silent:
        return f"{root} is on a file system without change events ({mount.kind})"
    try:
        str(root).encode("utf-8")
    except UnicodeEncodeError:
        return f"the path {str(root)!a} is not UTF-8 and cannot be watched"
    return ""


def identity(root: Path) -> tuple[int, int] | None:
    """Return (device, inode) of the directory at ``root``; None if there is none."""
    try:
        status = root.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None


def inotify_limit(name: str, default: int) -> int:
    """Return the kernel's inotify limit ``name`` (such as ``max_user_watches``), or ``default`` if it is unknown."""
    try:
        return int((_INOTIFY / name).read_text())
    except (OSError, ValueError):
        return default


def out_of_watches(message: str) -> WatchProblem:
    """Return the problem to report when an inotify limit is reached; ``message`` is the error's message."""
    if "os error 24" in message or "Too many open files" in message:
        now = inotify_limit("max_user_instances", 128)
        return WatchProblem(
            f"all {now} inotify instances of this user are in use",
            f"raise the limit with `sudo sysctl fs.inotify.max_user_instances={max(512, now * 2)}`",
        )
    now = inotify_limit("max_user_watches", 8192)
    return WatchProblem(
        f"all but a reserve of the {now} file watches of this user are in use",
        f"raise the limit with `sudo sysctl fs.inotify.max_user_watches={max(524_288, now * 2)}`",
    )


class Shortage:
    """The kernel's inotify limits when watches ran out, to notice when they are raised."""

    CHECK_INTERVAL_S = 2.0

    def __init__(self) -> None:
        self._limits = self._read()

    @staticmethod
    def _read() -> tuple[int, int]:
        """Return the limits of watches and of inotify instances."""
        return inotify_limit("max_user_watches", 0), inotify_limit("max_user_instances", 0)

    def have_limits_changed(self) -> bool:
        """Return True if the limits differ from those when this was created."""
        return self._read() != self._limits


class JumpDetector(Struct):
    """Detects that the machine slept or that its clock was set."""

    asleep_s: float = 0.0
    offset_s: float = 0.0

    def __post_init__(self) -> None:
        self.asleep_s, self.offset_s = self._read()

    @staticmethod
    def _read() -> tuple[float, float]:
        """Return the seconds the machine slept since it booted, and those its clock is ahead of the steady one."""
        steady = time.monotonic()
        boot = time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else steady
        return boot - steady, time.time() - steady

    def describe_jump(self) -> str:
        """Describe how the machine slept or its clock was set since the last call; "" if neither happened."""
        asleep_s, offset_s = self._read()
        slept, moved = asleep_s - self.asleep_s, offset_s - self.offset_s
        self.asleep_s, self.offset_s = asleep_s, offset_s
        if slept > 1.0:
            return f"the machine slept for {slept:.0f} s"
        return f"the clock was moved by {moved:+.0f} s" if abs(moved) > _CLOCK_JUMP_S else ""
