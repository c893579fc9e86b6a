#!/usr/bin/env python3
"""Measure how much memory a history as large as that of an operating system takes.

python tests/benchmarks/history_memory.py [--commits 100000] [--files 50000] [--most-mb 150] [--keep DIRECTORY]

A repository is made by ``git fast-import``; in its work tree is only a part of Python's standard library, so that all
memory beyond that of the same daemon without histories is the history's. Measured are the highest anonymous memory of
the daemon and of its workers while the history is read, and while it is asked about; without a history, while the code
is indexed and a file is saved. Prints JSON; ends with 1 if the sum is above ``--most-mb``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if __name__ == "__main__":
    TESTS = Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(TESTS), str(TESTS / "benchmarks"), str(TESTS.parent / "daemon")]

from figures import workplace
from large_history import make, path_of

from support.daemons import RealDaemon, real_daemon
from support.processes import Memory, family

_CONFIG = "[workers]\nnice = 0\n"  # memory does not depend on the priority
_HISTORY_OFF = f"{_CONFIG}[history]\nenabled = false\n"
_READ_S = 3600.0
_REST_S = 5.0


class Peak(threading.Thread):
    """Samples the anonymous memory of a daemon, and of its workers together, until it is told to stop."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._is_over = threading.Event()
        self.daemon_bytes = self.worker_bytes = self.all_bytes = 0

    def run(self) -> None:
        while not self._is_over.wait(0.1):
            daemon, *workers = [Memory.of(pid).anonymous for pid in family(self._pid)]
            self.daemon_bytes = max(self.daemon_bytes, daemon)
            self.worker_bytes = max(self.worker_bytes, sum(workers))
            self.all_bytes = max(self.all_bytes, daemon + sum(workers))

    def stop(self) -> None:
        self._is_over.set()
        self.join()


@contextmanager
def sampled(daemon: RealDaemon) -> Iterator[Peak]:
    """Sample inside the block."""
    assert daemon.process is not None
    peak = Peak(daemon.process.pid)
    peak.start()
    try:
        yield peak
    finally:
        peak.stop()


def run(commits: int, files: int, repository: Path, root: Path) -> dict[str, float]:
    """Measure one history."""
    if not repository.exists():
        make(repository, commits, files)
    git = ["git", f"--git-dir={repository}", "worktree", "add", "-q", "--detach", "--no-checkout", str(root), "main"]
    subprocess.run(git, check=True)
    for place, path in enumerate(sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))):
        shutil.copy(path, root / f"code_{place}.py")
    with real_daemon(_HISTORY_OFF) as daemon, sampled(daemon) as without:
        daemon.call("roots.add", path=str(root), wait=True)
        (root / "saved.py").write_text("x = 1\n")
        daemon.call("sync", path=str(root))
        time.sleep(_REST_S)
    with real_daemon(_CONFIG) as daemon:
        began = time.perf_counter()
        with sampled(daemon) as reading:
            daemon.call("roots.add", path=str(root), wait=True)
            while (history := daemon.call("status")["roots"][0]["history"])["state"] != "complete":
                assert time.perf_counter() - began < _READ_S, history
                time.sleep(1)
            assert history["state"] != "unavailable", history
        seconds = time.perf_counter() - began
        asked = path_of(0)
        (root / asked.decode()).parent.mkdir(parents=True)
        checkout = ["git", "checkout", "-q", "main", "--", asked.decode()]
        subprocess.run(checkout, cwd=root, check=True)
        with sampled(daemon) as asking:
            for query in ("interrupt queue timeout", "author:author12", "/probe fails/", "path:area1/**", ""):
                daemon.call("history.log", query=query, roots=[str(root)])
            daemon.call("history.of", path=str(root / asked.decode()))
            daemon.call("history.together", path=str(root / "area1"))
            daemon.call("sync", path=str(root))
            daemon.call("history.why", path=str(root / asked.decode()), line=3)
    return {
        "commits": float(history["commits"]),
        "read_s": seconds,
        "daemon_without_mb": without.daemon_bytes / 1e6,
        "reading_daemon_adds_mb": (reading.daemon_bytes - without.daemon_bytes) / 1e6,
        "without_workers_mb": without.worker_bytes / 1e6,
        "reading_workers_mb": reading.worker_bytes / 1e6,
        "asking_daemon_adds_mb": (asking.daemon_bytes - without.daemon_bytes) / 1e6,
        "asking_workers_mb": asking.worker_bytes / 1e6,
        "reading_adds_mb": (reading.all_bytes - without.all_bytes) / 1e6,
        "asking_adds_mb": (asking.all_bytes - without.all_bytes) / 1e6,
    }


def main() -> int:
    """Measure, and compare with the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", type=int, default=100_000)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--most-mb", type=float, default=150.0)
    parser.add_argument("--keep", type=Path, help="where the repository is made, or was made earlier")
    args = parser.parse_args()
    with workplace() as place:
        found = run(args.commits, args.files, args.keep or place / "repository", place / "tree")
    print(json.dumps({name: round(value, 1) for name, value in found.items()}, indent=2))
    return int(max(found["reading_adds_mb"], found["asking_adds_mb"]) > args.most_mb)


if __name__ == "__main__":
    sys.exit(main())
