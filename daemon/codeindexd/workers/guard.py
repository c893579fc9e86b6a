"""The child's side of being a good process: dies with its parent, stays small, stays polite.

Everything here is called once, by a child process of ours on itself, before it does any work.
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
_IOPRIO_SET = {"x86_64": 251, "i686": 289, "armv7l": 314, "ppc64le": 273, "s390x": 282}  # elsewhere the generic 30
_PRIO_DARWIN_PROCESS = 4
_PRIO_DARWIN_BG = 0x1000
_PAGE = resource.getpagesize()


def adopt(parent: int) -> Channel:
    """Ties this process to ``parent`` and takes stdin and stdout away from everybody else.

    Afterwards fd 0 reads nothing and fd 1 is stderr, so that no library can write into the stream of frames.
    """
    die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the daemon, which then ends its children
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    channel = Channel(os.dup(0), os.dup(1))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return channel


def die_with(parent: int) -> None:
    """Sees to it that this process does not outlive ``parent``, even inside native code that never returns."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        watch(parent=parent, memory_limit=0)
    if os.getppid() != parent:  # it was gone before the request was made
        os._exit(EXIT_ORPHANED)


def watch(*, parent: int, memory_limit: int, interval_s: float = 1.0) -> None:
    """Ends this process from a thread once ``parent`` is gone or private memory passes ``memory_limit`` (0 = any).

    For systems without a parent-death signal or an enforced memory limit; native code that holds the GIL delays it.
    """

    def look() -> None:
        while True:
            if os.getppid() != parent:
                os._exit(EXIT_ORPHANED)
            if memory_limit and private_memory() > memory_limit:
                os._exit(EXIT_OUT_OF_MEMORY)
            time.sleep(interval_s)

    threading.Thread(target=look, name="guard", daemon=True).start()


def limit_memory(limit: int) -> None:
    """Bounds private writable memory to ``limit`` bytes (0 = no bound).

    RLIMIT_DATA, not RLIMIT_AS: mapped models, stores and indexes are not what must be bounded. macOS does not
    enforce either, so there a thread looks.
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
    """CPU and disk priority of bulk work: as far behind everything else as the system offers.

    Each step is best effort: a refusal only costs politeness. ``nice`` 0 changes nothing.
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
    """Gives way to what runs at a lower nice value.

    A process that leads a session is alone in its scheduler autogroup on Linux, where its nice value means nothing
    to others; the autogroup's own nice value does.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, max(nice, os.getpriority(os.PRIO_PROCESS, 0)))
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(nice), "ascii")


def private_memory(pid: int | None = None) -> int:
    """Resident bytes of a process that are not shared or file-backed; 0 when it cannot be told.

    Where there is no /proc: the peak resident size of this process, 0 for another one.
    """
    try:
        fields = Path(f"/proc/{pid or 'self'}/statm").read_bytes().split()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if pid is None else 0
    return (int(fields[1]) - int(fields[2])) * _PAGE
