"""The history of lines equals ``git log -L``."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path

import pytest

from analysis.history.blame_of_git import log_of_git, log_of_ours, versions_of
from codeindexd.analysis.history.line_history import commits_of_lines
from support.git_repository import TestRepository


@pytest.fixture
def repository(tmp_path: Path) -> TestRepository:
    return TestRepository(tmp_path / "r")


def numbered(count: int, **changed: str) -> str:
    return "".join(changed.get(f"at{number}", f"line number {number}") + "\n" for number in range(1, count + 1))


def test_only_commits_that_touch_the_lines(repository: TestRepository) -> None:
    first = repository.commit({"a.py": numbered(30)})
    inside = repository.commit({"a.py": numbered(30, at12="changed")})
    repository.commit({"a.py": numbered(30, at12="changed", at20="outside")})
    assert log_of_ours(repository, "a.py", 10, 15) == [inside, first]
    assert log_of_git(repository, "a.py", 10, 15) == [inside, first]


def test_lines_keep_their_history_when_others_are_inserted_above(repository: TestRepository) -> None:
    first = repository.commit({"a.py": numbered(10)})
    repository.commit({"a.py": "above\nit\n" + numbered(10)})
    assert log_of_ours(repository, "a.py", 7, 8) == [first] == log_of_git(repository, "a.py", 7, 8)


def test_white_space_counts(repository: TestRepository) -> None:
    first = repository.commit({"a.py": numbered(10)})
    second = repository.commit({"a.py": numbered(10, at4="  line number 4")})
    assert log_of_ours(repository, "a.py", 3, 5) == [second, first] == log_of_git(repository, "a.py", 3, 5)


def test_removed_lines_count(repository: TestRepository) -> None:
    first = repository.commit({"a.py": numbered(10)})
    second = repository.commit({"a.py": numbered(10).replace("line number 5\n", "")})
    assert log_of_ours(repository, "a.py", 3, 7) == [second, first] == log_of_git(repository, "a.py", 3, 7)


def test_through_a_rename(repository: TestRepository) -> None:
    first = repository.commit({"a.py": numbered(20)})
    repository.git("mv", "a.py", "b.py")
    repository.commit()
    third = repository.commit({"b.py": numbered(20, at3="changed")})
    assert log_of_ours(repository, "b.py", 2, 4) == [third, first]
    versions = versions_of(repository)
    version = versions.find(bytes.fromhex(repository.head), b"b.py")
    assert version is not None
    found = list(commits_of_lines(versions, [(version, [(1, 4)])]))
    assert [(change.path, change.ranges) for change in found] == [(b"b.py", ((1, 4),)), (b"a.py", ((1, 4),))]


def test_merges(repository: TestRepository) -> None:
    first = repository.commit({"a.py": numbered(20)})
    repository.git("checkout", "-q", "-b", "side")
    side = repository.commit({"a.py": numbered(20, at5="side")})
    repository.git("checkout", "-q", "main")
    repository.commit({"a.py": numbered(20, at15="main")})
    repository.merge("side")
    assert log_of_ours(repository, "a.py", 4, 6) == [side, first] == log_of_git(repository, "a.py", 4, 6)


def test_a_merge_with_lines_of_its_own(repository: TestRepository) -> None:
    first = repository.commit({"a.py": numbered(20)})
    repository.git("checkout", "-q", "-b", "side")
    side = repository.commit({"a.py": numbered(20, at5="side")})
    repository.git("checkout", "-q", "main")
    main = repository.commit({"a.py": numbered(20, at5="main")})
    merge = repository.merge("side", files={"a.py": numbered(20, at5="both")})
    expected = [merge, main, side, first]
    assert log_of_ours(repository, "a.py", 4, 6) == expected
    assert sorted(log_of_git(repository, "a.py", 4, 6)) == sorted(expected)  # git takes the last parent first


def test_it_can_be_abandoned(repository: TestRepository) -> None:
    ids = [repository.commit({"a.py": numbered(5, at2=f"version {number}")}) for number in range(10)]
    versions = versions_of(repository)
    version = versions.find(bytes.fromhex(repository.head), b"a.py")
    assert version is not None
    found = [change.commit.hex() for change in islice(commits_of_lines(versions, [(version, [(0, 5)])]), 3)]
    assert found == ids[:-4:-1]


@pytest.mark.parametrize("seed", range(8))
def test_random_histories(repository: TestRepository, seed: int) -> None:
    chance = random.Random(seed)
    text = [f"statement number {number} of the file" for number in range(40)]
    for step in range(30):
        start = chance.randrange(len(text))
        if chance.random() < 0.8:
            text[start : start + chance.randrange(4)] = [f"step {step} line {n}" for n in range(chance.randrange(5))]
        else:
            text.insert(start, "")
        repository.commit({"a.py": "\n".join(text) + "\n"})
    for _ in range(6):
        first = chance.randrange(1, len(text))
        last = min(len(text), first + chance.randrange(12))
        assert log_of_ours(repository, "a.py", first, last) == log_of_git(repository, "a.py", first, last)
