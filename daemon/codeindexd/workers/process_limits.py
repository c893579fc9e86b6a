"""Limits that a child process sets for itself: it dies with its parent, and limits its memory and priority.

A child calls these functions once, before any work.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import platform
import resource
import signal
import sys
import threading
import time
from pathlib import Path

from codeindexd.workers.wire import Channel

EXIT_OUT_OF_MEMORY = 77
EXIT_ORPHANED = 78

_PR_SET_PDEATHSIG = 1
_IOPRIO_WHO_PROCESS = 1
_IOPRIO_IDLE = 3 << 13  # class 3 (idle), no level
_IOPRIO_SET = {"x86_64": 251, "i686": 289, "armv7l": 314, "ppc64le": 273, "s390x": 282}  # 30 on other architectures
_PRIO_DARWIN_PROCESS = 4
_PRIO_DARWIN_BG = 0x1000
_PAGE = resource.getpagesize()


def adopt(parent: int) -> Channel:
    """Tie this process to ``parent`` (a pid), and return the channel on its stdin and stdout.

    Afterwards fd 0 is empty and fd 1 is stderr, so that no library can write into the stream of frames.
    """
    die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the daemon, which then stops its children
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    channel = Channel(os.dup(0), os.dup(1))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return channel


def die_with(parent: int) -> None:
    """Make this process die with ``parent`` (a pid), even inside native code that never returns."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        watch(parent=parent, memory_limit=0)
    if os.getppid() != parent:  # it had ended before prctl was called
        os._exit(EXIT_ORPHANED)


def watch(*, parent: int, memory_limit: int, interval_s: float = 1.0) -> None:
    """Start a thread that exits the process if ``parent`` ends or private memory exceeds ``memory_limit`` bytes.

    For systems without a parent-death signal or an enforced memory limit. A ``memory_limit`` of 0 means none. Native
    code that holds the GIL delays the exit.
    """

    def check_forever() -> None:
        while True:
            if os.getppid() != parent:
                os._exit(EXIT_ORPHANED)
            if memory_limit and private_memory() > memory_limit:
                os._exit(EXIT_OUT_OF_MEMORY)
            time.sleep(interval_s)

    threading.Thread(target=check_forever, name="process-limits", daemon=True).start()


def limit_memory(limit: int) -> None:
    """Limit private writable memory to ``limit`` bytes (0: no limit).

    Uses RLIMIT_DATA, not RLIMIT_AS, because mapped models, stores and indexes need no limit. macOS enforces neither, so
    a thread checks there.
    """
    if not limit:
        return
    if sys.platform == "linux":
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        soft = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    else:
        watch(parent=os.getppid(), memory_limit=limit)


def lower_priority(nice: int) -> None:
    """Lower the CPU and disk priority of this process as far as the system allows; ``nice`` 0 changes nothing.

    Errors are ignored.
    """
    if nice <= 0:
        return
    lower_cpu_priority(nice)
    if sys.platform == "linux":
        number = _IOPRIO_SET.get(platform.machine(), 30)
        ctypes.CDLL(None, use_errno=True).syscall(number, _IOPRIO_WHO_PROCESS, 0, _IOPRIO_IDLE)
    elif sys.platform == "darwin":
        with contextlib.suppress(OSError):
            os.setpriority(_PRIO_DARWIN_PROCESS, 0, _PRIO_DARWIN_BG)


def lower_cpu_priority(nice: int) -> None:
    """Set the nice value of this process to ``nice``, unless it is already higher. Errors are ignored.

    On Linux, a session leader is alone in its scheduler autogroup, so that its nice value has no effect on other
    processes; therefore the nice value of the autogroup is set too.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, max(nice, os.getpriority(os.PRIO_PROCESS, 0)))
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(nice), "ascii")


def private_memory(pid: int | None = None) -> int:
    """Return the resident memory of a process in bytes that is neither shared nor file-backed; 0 if unknown.

    ``pid`` None is this process. Without /proc, returns the peak resident size of this process, and 0 for others.
    """
    try:
        fields = Path(f"/proc/{pid or 'self'}/statm").read_bytes().split()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if pid is None else 0
    return (int(fields[1]) - int(fields[2])) * _PAGE
