#!/usr/bin/env python3
"""Compare blame and the history of lines with git, on files of real repositories.

python tests/benchmarks/blame.py GIT_DIRECTORY... [--files 25] [--ranges 15] [--seed 1]

Every line of the files has to have the commit, the line and the path of ``git blame -w -M``, and ranges of lines the
commits of ``git log -L``. Prints a row for each repository, and its first differences.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from codeindexd.analysis.history.blame import blame
from codeindexd.analysis.history.file_versions import FileVersions
from codeindexd.analysis.history.line_history import commits_of_lines
from codeindexd.analysis.history.location import locate
from codeindexd.analysis.history.refs import read_heads
from codeindexd.analysis.history.repository import GitRepository

_SHOWN = 5
_UNKNOWN = ("", 0, b"")
Origin = tuple[str, int, bytes]


@dataclass
class Row:
    """The result for one repository."""

    files: int = 0
    lines: int = 0
    differing: int = 0
    ranges: int = 0
    equal_ranges: int = 0
    git_s: float = 0.0
    our_s: float = 0.0


def git(directory: Path, *arguments: str) -> bytes:
    """Run git in a repository."""
    command = ["git", "--git-dir", str(directory), "-c", "core.quotePath=false", *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def blame_of_git(directory: Path, path: str) -> dict[int, Origin]:
    """Return the origin of each line of a file, by ``git blame -w -M``."""
    found: dict[int, Origin] = {}
    commit, line, final, name = "", 0, 0, b""
    for row in git(directory, "blame", "-w", "-M", "--line-porcelain", "HEAD", "--", path).split(b"\n"):
        words = row.split(b" ")
        if row.startswith(b"\t"):
            found[final] = (commit, line, name)
        elif words[0] == b"filename":
            name = unquoted(row.partition(b" ")[2])
        elif len(words) in (3, 4) and len(words[0]) == 40:
            commit, line, final = words[0].decode(), int(words[1]), int(words[2])
    return found


def unquoted(name: bytes) -> bytes:
    """Return a name that git has quoted, because of quotes in it."""
    if not name.startswith(b'"'):
        return name
    return name[1:-1].decode("unicode_escape").encode("latin-1")


def text_files(directory: Path) -> list[str]:
    """Return the paths of the files of HEAD that git takes for text."""
    rows = git(directory, "grep", "-I", "--name-only", "-z", "-e", "", "HEAD").split(b"\0")
    return sorted(os.fsdecode(row.partition(b":")[2]) for row in rows if row)


def compare(directory: Path, files: int, ranges: int, chance: random.Random) -> Row:
    """Compare some files of a repository."""
    row = Row()
    location = locate(directory)
    repository = GitRepository(location, read_heads(location))
    head = repository.heads.head
    every = text_files(directory)
    chosen = chance.sample(every, min(files, len(every)))
    for number, path in enumerate(chosen):
        versions = FileVersions(repository)
        version = versions.find(head, os.fsencode(path))
        if version is None:  # a link
            continue
        data = versions.data(version.blob)
        started = time.perf_counter()
        try:
            expected = blame_of_git(directory, path)
        except subprocess.CalledProcessError:  # the repository lacks an object
            continue
        row.git_s += time.perf_counter() - started
        started = time.perf_counter()
        found = {
            run.line + place: (run.commit.hex() if run.commit else "", run.original_line + place, run.path)
            for run in blame(versions, version.path, data, [version])
            for place in range(run.count)
        }
        row.our_s += time.perf_counter() - started
        row.files += 1
        row.lines += len(expected)
        for line in sorted(expected.keys() | found.keys()):
            if expected.get(line, _UNKNOWN) != found.get(line, _UNKNOWN):
                row.differing += 1
                if row.differing <= _SHOWN:
                    print(f"  {path}:{line}: git {expected.get(line)}, we {found.get(line)}")
        if number < ranges and expected:
            first = chance.randint(1, len(expected))
            last = min(len(expected), first + chance.randrange(30))
            try:
                log = (
                    git(directory, "log", "-s", "--format=%H", "-L", f"{first},{last}:{path}", "HEAD").decode().split()
                )
            except subprocess.CalledProcessError:
                continue
            ours = [change.commit.hex() for change in commits_of_lines(versions, [(version, [(first - 1, last)])])]
            row.ranges += 1
            row.equal_ranges += sorted(log) == sorted(ours)
            if sorted(log) != sorted(ours):
                print(f"  {path}:{first}-{last}: git {len(log)} commits, we {len(ours)}")
    return row


def main() -> int:
    """Compare all repositories; return 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", nargs="+", type=Path, metavar="GIT_DIRECTORY")
    parser.add_argument("--files", type=int, default=25)
    parser.add_argument("--ranges", type=int, default=15)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    total = Row()
    print("| repository | files | lines | other origin | ranges | same commits | git | we |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for directory in args.directories:
        row = compare(directory, args.files, args.ranges, random.Random(args.seed))
        for name in vars(row):
            setattr(total, name, getattr(total, name) + getattr(row, name))
        show(directory.name if directory.name != "repo" else directory.parent.name, row)
    show("all", total)
    return int(bool(total.differing or total.equal_ranges < total.ranges))


def show(name: str, row: Row) -> None:
    """Print a row."""
    print(
        f"| {name} | {row.files} | {row.lines:,} | {row.differing} | {row.ranges} | {row.equal_ranges} | "
        f"{row.git_s:.1f} s | {row.our_s:.1f} s |",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
