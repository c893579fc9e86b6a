"""The kernel's record of what a daemon and its workers do: strace from start to end."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from support.daemons import RealDaemon, until


def why_not() -> str:
    """Return what is missing for such a record, or "" when nothing is."""
    strace = shutil.which("strace")
    if strace is None:
        return "needs strace"
    works = subprocess.run([strace, "-qq", "-o", "/dev/null", "true"], capture_output=True, check=False)
    return "" if works.returncode == 0 else "strace is not allowed here"


@contextmanager
def recorded(daemon: RealDaemon, calls: str) -> Iterator[list[str]]:
    """Run ``daemon`` inside the block; afterwards the list holds a line for each of ``calls`` that was made.

    Each line begins with a process id; descriptors are shown with their paths.
    """
    trace, lines = daemon.home / "trace", []
    wanted = ",".join(f"?{call}" for call in calls.split())  # not every machine has each
    daemon.prefix = ["strace", "-D", "-f", "-q", "-y", "-s", "512", "-e", f"trace={wanted}", "-o", str(trace)]
    daemon.start()
    yield lines
    assert daemon.process is not None
    assert daemon.stop() == 0
    last = re.compile(rf"(?m)^{daemon.process.pid} +\+\+\+ exited with 0")
    until(lambda: last.search(trace.read_text(errors="replace")), what="the end of the trace", timeout_s=60)
    lines += trace.read_text(errors="replace").splitlines()
