"""Skipping commits that did not change a path changes no answer, and saves reading them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from pygit2.enums import ObjectType

from analysis.history.blame_of_git import blame_of_git, by_line, log_of_git
from codeindexd.analysis.history.blame import blame
from codeindexd.analysis.history.file_versions import FileVersions
from codeindexd.analysis.history.line_history import commits_of_lines
from codeindexd.analysis.history.location import locate
from codeindexd.analysis.history.refs import read_heads
from codeindexd.analysis.history.repository import GitRepository
from codeindexd.analysis.history.skipping import CommitGraph, Skips
from support.git_repository import TestRepository


@pytest.fixture
def repository(tmp_path: Path) -> TestRepository:
    return TestRepository(tmp_path / "r")


class CountingRepository(GitRepository):
    """Counts the commits that are read."""

    commits_read = 0

    def read(self, object_id: bytes) -> tuple[int, bytes]:
        kind, data = super().read(object_id)
        self.commits_read += kind == ObjectType.COMMIT
        return kind, data


def graph_of(repository: TestRepository) -> CommitGraph:
    log = repository.git("log", "--format=%H %ct %P", "HEAD").splitlines()
    rows = [row.split() for row in log]
    numbers = {row[0]: number for number, row in enumerate(rows)}

    def changing(path: bytes) -> set[int]:
        options = ("log", "--no-merges", "--full-history", "--no-renames", "--format=%H")
        return {numbers[one] for one in repository.git(*options, "--", path.decode()).split()}

    def only_parent_of(number: int) -> int:
        parents = rows[number][2:]
        return numbers[parents[0]] if len(parents) == 1 else -1

    return CommitGraph(
        number_of=lambda one: numbers.get(one.hex()),
        id_of=lambda number: bytes.fromhex(rows[number][0]),
        parents_of=lambda number: [numbers[one] for one in rows[number][2:]],
        only_parent_of=only_parent_of,
        time_of=lambda number: int(rows[number][1]),
        changing=changing,
    )


def opened(repository: TestRepository) -> tuple[CountingRepository, FileVersions]:
    location = locate(repository.top)
    found = CountingRepository(location, read_heads(location))
    return found, FileVersions(found, Skips(graph_of(repository)))


def commits_read_for_blame(repository: TestRepository) -> int:
    """Return how many commits are read to blame all lines of ``a.py``."""
    read, versions = opened(repository)
    head = versions.find(bytes.fromhex(repository.head), b"a.py")
    assert head is not None
    blame(versions, b"a.py", (repository.top / "a.py").read_bytes(), [head])
    return read.commits_read


def assert_equal_to_git(repository: TestRepository, path: str) -> None:
    _, versions = opened(repository)
    data = (repository.top / path).read_bytes()
    head = versions.find(bytes.fromhex(repository.head), path.encode())
    assert head is not None
    assert by_line(blame(versions, path.encode(), data, [head])) == blame_of_git(repository, path)
    last = data.count(b"\n")
    found = [change.commit.hex() for change in commits_of_lines(versions, [(head, [(0, last)])])]
    assert sorted(found) == sorted(log_of_git(repository, path, 1, last))


def text(number: int) -> str:
    return "".join(f"line {line} of the text\n" for line in range(number))


def test_commits_that_did_not_change_the_file_are_not_read(repository: TestRepository) -> None:
    repository.commit({"a.py": text(3)})
    for number in range(20):
        repository.commit({"b.py": text(number)})
    repository.commit({"a.py": text(4)})
    for number in range(20):
        repository.commit({"b.py": text(number + 30)})
    assert_equal_to_git(repository, "a.py")
    assert commits_read_for_blame(repository) <= 4


def test_merges_of_commits_that_did_not_change_the_file(repository: TestRepository) -> None:
    repository.commit({"a.py": text(3), "b.py": ""})
    repository.commit({"a.py": text(4)})
    for number in range(5):
        repository.git("checkout", "-q", "-B", "side")
        repository.commit({"b.py": text(number + 1)})
        repository.git("checkout", "-q", "main")
        repository.commit({"c.py": text(number + 1)})
        repository.merge("side")
    assert_equal_to_git(repository, "a.py")
    assert commits_read_for_blame(repository) <= 10


def test_merges_of_branches_that_are_older_than_the_last_change_of_the_file(repository: TestRepository) -> None:
    repository.commit({"a.py": text(3), "b.py": ""})
    for number in range(12):
        repository.git("branch", "-f", f"side{number % 4}")
        repository.commit({"c.py": text(number + 1)})
        if number % 4 == 0:
            repository.commit({"a.py": text(number + 4)})
        if number > 3:
            repository.git("checkout", "-q", f"side{(number + 1) % 4}")
            repository.commit({f"b{number}.py": "b\n"})
            repository.git("checkout", "-q", "main")
            repository.merge(f"side{(number + 1) % 4}")
    assert_equal_to_git(repository, "a.py")
    assert commits_read_for_blame(repository) <= 12


def test_a_merge_that_changed_the_file_though_no_parent_did(repository: TestRepository) -> None:
    repository.commit({"a.py": text(3), "b.py": ""})
    repository.git("checkout", "-q", "-b", "side")
    repository.commit({"b.py": "side\n"})
    repository.git("checkout", "-q", "main")
    repository.commit({"c.py": "main\n"})
    merge = repository.merge("side", files={"a.py": text(3) + "written by the merge\n"})
    repository.commit({"c.py": "later\n"})
    assert blame_of_git(repository, "a.py")[4][0] == merge
    assert_equal_to_git(repository, "a.py")


def test_a_renamed_file(repository: TestRepository) -> None:
    repository.commit({"a.py": text(10)})
    repository.commit({"c.py": "c\n"})
    repository.git("mv", "a.py", "b.py")
    repository.commit()
    repository.commit({"c.py": "d\n"})
    assert_equal_to_git(repository, "b.py")


@pytest.mark.parametrize("seed", range(8))
def test_random_graphs(repository: TestRepository, seed: int) -> None:
    chance = random.Random(seed)
    repository.commit({"a.py": text(30), "b.py": ""})
    branches = ["main"]

    def edited(content: str) -> str:
        rows = content.splitlines(keepends=True)
        rows[chance.randrange(len(rows))] = f"edit {chance.random()}\n"
        return "".join(rows)

    actions: list[Callable[[], object]] = [
        lambda: repository.commit({"b.py": f"{chance.random()}\n"}),
        lambda: repository.commit({f"c{chance.randrange(99)}.py": "c\n"}),
        lambda: repository.commit({"a.py": edited((repository.top / "a.py").read_text())}),
        lambda: repository.merge(chance.choice(branches), files={}),
    ]
    for step in range(30):
        if chance.random() < 0.2:
            branches.append(f"branch{step}")
            repository.git("checkout", "-q", "-b", branches[-1])
        elif chance.random() < 0.2:
            repository.git("checkout", "-q", chance.choice(branches))
        try:
            chance.choice(actions)()
        except AssertionError:  # a conflict: the merge is given up
            repository.git("reset", "-q", "--hard")
    content = (repository.top / "a.py").read_text()
    if "<<<<<<<" not in content:
        assert_equal_to_git(repository, "a.py")
