"""What further worktrees and clones of an indexed repository cost, beside the first root.

    python tests/benchmarks/worktrees.py GIT_DIRECTORY [--changed N] [--home DIRECTORY [--free-space]] [--verify]

Clones a repository, indexes it, then adds a worktree, a clone, and a worktree on a branch with N changed files. Prints
seconds, CPU seconds of all processes, bytes on disk (a file that roots share counts once), and files that workers
processed, each also as a share of the first root's. Histories are off. The stores are in DIRECTORY: what they share
depends on its file system. With ``--free-space``, bytes are counted as space that is no longer free there, so that
blocks that files share count once; nothing else may write there then. ``--verify`` compares all indexes with the disk.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    TESTS = Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(TESTS), str(TESTS / "benchmarks"), str(TESTS.parent / "daemon")]

from figures import workplace

from codeindexd.daemon.disk_usage import tree_bytes
from support.daemons import RawClient, RealDaemon, real_daemon
from support.processes import cpu_seconds

_CONFIG = "[workers]\nnice = 0\n[history]\nenabled = false\n"
_LONGEST_S = 3600.0
_GIT = ("git", "-c", "gc.auto=0", "-c", "core.hooksPath=")


@dataclass(frozen=True)
class Cost:
    """What it took to add a root; ``disk`` are bytes, ``processed`` and ``files`` numbers of files."""

    seconds: float
    cpu_s: float
    disk: int
    processed: int
    files: int


def git(directory: Path, *arguments: str) -> str:
    """Run git in a directory and return what it prints."""
    return subprocess.run([*_GIT, *arguments], cwd=directory, check=True, capture_output=True, text=True).stdout


def change(worktree: Path, count: int) -> int:
    """Append a line to ``count`` text files, evenly spread over those that git tracks; return how many there were."""
    tracked = [worktree / name for name in git(worktree, "grep", "-I", "--name-only", "-z", "").split("\0") if name]
    regular = [path for path in tracked if path.is_file() and not path.is_symlink()]
    chosen = regular[:: max(1, len(regular) // count)][:count]
    for number, path in enumerate(chosen):
        with path.open("ab") as file:
            file.write(b"\n# changed_on_branch_%d\n" % number)
    return len(chosen)


def call(daemon: RealDaemon, method: str, **params: Any) -> dict[str, Any]:
    """Send a request that may take long, and return its result."""
    client = RawClient(daemon.socket, timeout_s=_LONGEST_S)
    try:
        return client.call(method, **params).result
    finally:
        client.close()


def used_space(place: Path) -> int:
    """Return how many bytes of the file system at ``place`` are in use."""
    os.sync()
    status = os.statvfs(place)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


def add(daemon: RealDaemon, path: Path, measure: Callable[[Path], int]) -> Cost:
    """Add a root, wait until it is fresh, and return what that cost; ``measure`` returns the bytes on disk."""
    assert daemon.process is not None
    cache = daemon.home / "cache"
    disk, cpu, began = measure(cache), cpu_seconds(daemon.process.pid), time.perf_counter()
    (entry,) = call(daemon, "roots.add", path=str(path), wait=True)["roots"]
    seconds, cpu = time.perf_counter() - began, cpu_seconds(daemon.process.pid) - cpu
    (status,) = daemon.call("status", path=str(path))["roots"]
    processed = status["stages"].get("read", {"items": 0})["items"]
    daemon.stop()  # moves the logs of SQLite into its files
    daemon.start()
    return Cost(seconds, cpu, measure(cache) - disk, processed, entry["files"])


def run(
    repository: Path, changed: int, place: Path, measure: Callable[[Path], int], *, verify: bool
) -> dict[str, Cost]:
    """Measure one repository in ``place``."""
    root, worktree, clone, branch = (place / name for name in ("root", "worktree", "clone", "branch"))
    git(place, "clone", "-q", "--shared", str(repository), str(root))
    costs = {}
    with real_daemon(_CONFIG) as daemon:
        costs["the first root"] = add(daemon, root, measure)
        git(root, "worktree", "add", "-q", "-b", "bench-one", str(worktree))
        costs["a worktree"] = add(daemon, worktree, measure)
        git(place, "clone", "-q", "--shared", str(repository), str(clone))
        costs["a clone"] = add(daemon, clone, measure)
        git(root, "worktree", "add", "-q", "-b", "bench-two", str(branch))
        count = change(branch, changed)
        costs[f"a worktree with {count:,} changed files"] = add(daemon, branch, measure)
        if verify:
            assert call(daemon, "verify")["ok"]
    return costs


def report(costs: dict[str, Cost]) -> None:
    """Print the costs as a table."""
    first = next(iter(costs.values()))
    print(f"{'':<40}{'s':>8}{'share':>8}{'CPU s':>9}{'share':>8}{'MB':>9}{'share':>8}{'processed':>11}{'files':>8}")
    for name, cost in costs.items():
        print(
            f"{name:<40}{cost.seconds:>8.2f}{cost.seconds / first.seconds:>8.1%}"
            f"{cost.cpu_s:>9.2f}{cost.cpu_s / first.cpu_s:>8.1%}"
            f"{cost.disk / 1e6:>9.1f}{cost.disk / first.disk:>8.1%}{cost.processed:>11,}{cost.files:>8,}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", type=Path)
    parser.add_argument("--changed", type=int, default=1000)
    parser.add_argument("--home", type=Path, help="where to work, instead of the temporary directory")
    parser.add_argument("--free-space", action="store_true", help="count bytes that are no longer free there")
    parser.add_argument("--verify", action="store_true", help="compare all indexes with the disk at the end")
    arguments = parser.parse_args()
    measure = used_space if arguments.free_space else tree_bytes
    with workplace() as place:
        if arguments.home is not None:
            tempfile.tempdir = str(arguments.home)
        report(run(arguments.repository.absolute(), arguments.changed, place, measure, verify=arguments.verify))


if __name__ == "__main__":
    main()
