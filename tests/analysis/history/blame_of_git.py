"""What git itself says about the lines of a file, for comparison."""

from __future__ import annotations

import os
from collections.abc import Sequence

from codeindexd.analysis.history.blame import blame
from codeindexd.analysis.history.file_versions import FileVersions
from codeindexd.analysis.history.line_history import commits_of_lines
from codeindexd.analysis.history.line_origins import BlamedLines
from codeindexd.analysis.history.location import locate
from codeindexd.analysis.history.refs import read_heads
from codeindexd.analysis.history.repository import GitRepository
from codeindexd.analysis.history.working_file import committed_versions
from support.git_repository import TestRepository

Origin = tuple[str, int, str]
"""The commit, the line and the path from which a line comes; the commit is "" for a line that is not committed."""

_UNCOMMITTED = "0" * 40


def versions_of(repository: TestRepository) -> FileVersions:
    location = locate(repository.top)
    return FileVersions(GitRepository(location, read_heads(location)))


def blame_of_git(repository: TestRepository, path: str, *options: str) -> dict[int, Origin]:
    """Return the origin of each line, by ``git blame -w -M``."""
    found: dict[int, Origin] = {}
    paths: dict[str, str] = {}
    commit, line, final = "", 0, 0
    command = ("-c", "core.quotePath=false", "blame", "-w", "-M", "--line-porcelain", *options, "--", path)
    for row in repository.git_bytes(*command).split(b"\n"):
        words = row.split(b" ")
        if row.startswith(b"\t"):
            found[final] = ("" if commit == _UNCOMMITTED else commit, line, paths[commit])
        elif words[0] == b"filename":
            paths[commit] = os.fsdecode(row.partition(b" ")[2])
        elif len(words) in (3, 4) and len(words[0]) == 40:
            commit, line, final = words[0].decode(), int(words[1]), int(words[2])
    return found


def blame_of_ours(repository: TestRepository, path: str, **options: object) -> dict[int, Origin]:
    """Return the same from the code under test."""
    location = locate(repository.top)
    heads = read_heads(location)
    versions = FileVersions(GitRepository(location, heads))
    data = (repository.top / path).read_bytes()
    committed = committed_versions(versions, location, heads.head, os.fsencode(path), data)
    return by_line(blame(versions, os.fsencode(path), data, committed, **options))  # type: ignore[arg-type]


def by_line(blamed: Sequence[BlamedLines]) -> dict[int, Origin]:
    return {
        lines.line + place: (
            lines.commit.hex() if lines.commit is not None else "",
            lines.original_line + place,
            os.fsdecode(lines.path),
        )
        for lines in blamed
        for place in range(lines.count)
    }


def log_of_git(repository: TestRepository, path: str, first: int, last: int) -> list[str]:
    """Return the commits that changed lines, by ``git log -L``."""
    return repository.git("log", "-s", "--format=%H", "-L", f"{first},{last}:{path}").split()


def log_of_ours(repository: TestRepository, path: str, first: int, last: int) -> list[str]:
    """Return the same from the code under test."""
    versions = versions_of(repository)
    version = versions.find(bytes.fromhex(repository.head), os.fsencode(path))
    assert version is not None
    return [found.commit.hex() for found in commits_of_lines(versions, [(version, [(first - 1, last)])])]
