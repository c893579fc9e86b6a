#!/usr/bin/env python3
"""Measure the first question of ``why`` about long files with many commits, with an indexed history.

python tests/benchmarks/first_why.py GIT_DIRECTORY --store DIRECTORY [--path PATH]... [--most-ms 150]

The history is read into the store first, unless it is there. Without paths, the files of HEAD nearest to 2,000 lines
and 500 commits are asked about. Each question is one of a worker that has answered others, but none about the file:
about every twentieth line, about the whole file, and about lines again. Prints milliseconds; ends with 1 if the p95 of
first questions about a line is above ``--most-ms`` for any file.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    TESTS = Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(TESTS), str(TESTS.parent / "daemon")]

from figures import percentile
from stored_history import ROOT, stored_history

from codeindexd.analysis.history.blame import blame
from codeindexd.analysis.history.file_versions import FileVersions, VersionsCache
from codeindexd.analysis.history.location import locate
from codeindexd.analysis.history.refs import read_heads
from codeindexd.analysis.history.repository import GitRepository
from codeindexd.analysis.history.skipping import Skips
from codeindexd.storage.history import HistoryStore
from codeindexd.storage.history.graph import StoredGraph
from codeindexd.storage.history.store import DATABASE

_LINES, _COMMITS = 2000, 500
_FILES = 4


def files_to_ask(repository: GitRepository, store: HistoryStore) -> list[bytes]:
    """Return the files of HEAD whose length and number of commits are nearest to those of the promise."""
    snapshot = store.snapshot(ROOT)
    assert snapshot is not None
    present = FileVersions(repository).files(repository.heads.head)
    counts = snapshot.counts_of_paths([file.path for file in present])
    rated = []
    for file in present:
        if counts.get(file.path, 0) * 3 >= _COMMITS:
            lines = repository.blob(file.blob).count(b"\n")
            far = abs(math.log(max(lines, 1) / _LINES)) + abs(math.log(counts[file.path] / _COMMITS))
            rated.append((far, file.path))
    return [path for _, path in sorted(rated)[:_FILES]]


class Asked:
    """One file of a repository, and the times of questions about it in milliseconds."""

    def __init__(self, repository: GitRepository, graph: StoredGraph, path: bytes) -> None:
        self._repository = repository
        self._graph = graph
        self.path = path
        self.cache = VersionsCache()
        version = FileVersions(repository).find(repository.heads.head, path)
        assert version is not None, path
        self.lines = repository.blob(version.blob).count(b"\n")

    def ask(self, first: int, last: int) -> float:
        """Ask about lines; return how long it took."""
        began = time.perf_counter()
        versions = FileVersions(self._repository, Skips(self._graph.graph()), cache=self.cache)
        version = versions.find(self._repository.heads.head, self.path)
        assert version is not None
        blame(versions, self.path, versions.data(version.blob), [version], first=first, last=last)
        return (time.perf_counter() - began) * 1000

    def ask_first(self, first: int, last: int) -> float:
        """Ask about lines of a file that nobody asked about before."""
        self.cache = VersionsCache()
        self._repository = GitRepository(self._repository.location, self._repository.heads)
        self._repository.commit(self._repository.heads.head)
        return self.ask(first, last)


def main() -> int:
    """Measure, and print a row for each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", type=Path, metavar="GIT_DIRECTORY")
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--path", action="append", default=[], type=os.fsencode)
    parser.add_argument("--most-ms", type=float, default=150.0)
    args = parser.parse_args()
    slowest = 0.0
    print("| file | lines | commits | first: a line p50 / p95 | whole file | again: a line | git blame -w -M, whole |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    with stored_history(args.repository, args.store) as store:
        location = locate(args.repository)
        repository = GitRepository(location, read_heads(location))
        graph = StoredGraph(args.store / DATABASE)
        snapshot = store.snapshot(ROOT)
        assert snapshot is not None
        for path in args.path or files_to_ask(repository, store):
            asked = Asked(repository, graph, path)
            asked.ask(1, 1)
            firsts = [asked.ask_first(line, line) for line in range(1, asked.lines + 1, 20)]
            whole = min(asked.ask_first(1, asked.lines) for _ in range(3))
            again = [asked.ask(line, line) for line in range(1, asked.lines + 1, 20)]
            began = time.perf_counter()
            git = ["git", f"--git-dir={args.repository}", "blame", "-w", "-M", "-s", "HEAD", "--", os.fsdecode(path)]
            subprocess.run(git, check=True, capture_output=True)
            git_ms = (time.perf_counter() - began) * 1000
            p95 = percentile(firsts, 0.95)
            slowest = max(slowest, p95)
            print(
                f"| {os.fsdecode(path)} | {asked.lines:,} | {len(snapshot.changed_path(path)):,} | "
                f"{percentile(firsts, 0.5):.0f} / {p95:.0f} ms | {whole:.0f} ms | {percentile(again, 0.5):.1f} ms | "
                f"{git_ms:.0f} ms |",
                flush=True,
            )
        graph.close()
    return int(slowest > args.most_ms)


if __name__ == "__main__":
    sys.exit(main())
