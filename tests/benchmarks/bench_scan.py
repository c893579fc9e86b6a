"""How fast a root is scanned: hashing everything against looking at stats only, on a copy of the standard library.

``python tests/benchmarks/bench_scan.py [DIRECTORY]`` prints the figures as JSON. Everything comes from the page
cache; the first scan of a cold disk costs what the disk costs.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from codeindexd.scan.merkle import Tree, diff
from codeindexd.scan.scanner import Scan, Scanner
from codeindexd.types import NodeKind

_ROUNDS = 7
_LATER = 10**18


def run(source: Path | None = None) -> dict[str, object]:
    """Counts, and the best seconds of several rounds, for a copy of ``source`` (default: the standard library)."""
    with tempfile.TemporaryDirectory() as base:
        root = Path(base) / "root"
        ignored = shutil.ignore_patterns("site-packages", "__pycache__")
        shutil.copytree(source or Path(sysconfig.get_path("stdlib")), root, ignore=ignored, symlinks=True)
        return _measure(root)


def _measure(root: Path) -> dict[str, object]:
    scanner, nothing = Scanner(root), Tree({}, {})

    def scan(below: bytes, known: Tree) -> Scan:
        return scanner.scan([below], known, now_ns=time.time_ns() + _LATER)

    first = scan(b"", nothing)
    a_file = next(entry.path for entry in first.tree.leaves() if entry.kind is NodeKind.FILE)
    second = scan(b"", first.tree)
    walk_s, full_s, gated_s, one_s, diff_s = (
        _seconds(action)
        for action in (
            lambda: _bare_walk(os.fsencode(root)),
            lambda: scan(b"", nothing),
            lambda: scan(b"", first.tree),
            lambda: scan(a_file, first.tree),
            lambda: diff(nothing, first.tree),
        )
    )
    kinds = Counter(entry.reason or entry.kind.name.lower() for entry in first.tree.entries())
    return {
        "leaves": first.stats.files,
        "kinds": dict(sorted(kinds.items())),
        "hashed": first.stats.hashed,
        "hashed_again": second.stats.hashed,
        "bytes": first.stats.bytes,
        "bare_walk_s": round(walk_s, 4),
        "full_s": round(full_s, 4),
        "full_mb_per_s": round(first.stats.bytes / full_s / 1e6, 1),
        "gated_s": round(gated_s, 4),
        "gated_us_per_leaf": round(gated_s / first.stats.files * 1e6, 2),
        "full_to_gated": round(full_s / gated_s, 1),
        "gated_to_bare_walk": round(gated_s / walk_s, 2),
        "one_file_ms": round(one_s * 1e3, 3),
        "diff_from_nothing_s": round(diff_s, 4),
    }


def _seconds(action: Callable[[], object]) -> float:
    taken = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        action()
        taken.append(time.perf_counter() - started)
    return min(taken)


def _bare_walk(root: bytes) -> int:
    """The price of certainty alone: every directory listed, every file's stat taken."""
    waiting, files = [root], 0
    while waiting:
        with os.scandir(waiting.pop()) as listing:
            for item in listing:
                if item.is_dir(follow_symlinks=False):
                    waiting.append(item.path)
                else:
                    item.stat(follow_symlinks=False)
                    files += 1
    return files


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]) if len(sys.argv) > 1 else None), indent=2))
