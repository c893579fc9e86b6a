"""Bug reports are asked at the commit before their fix, and nothing later may be known there."""

from __future__ import annotations

from pathlib import Path

from support.git_repository import TestRepository
from support.moving_tree import MovingTree


def test_nothing_later_than_the_commit_is_reachable(tmp_path: Path) -> None:
    repository = TestRepository(tmp_path / "origin")
    first = repository.commit({"a.py": "a = 1\n"})
    second = repository.commit({"a.py": "a = 2\n", "b.py": "b = 1\n"})
    repository.git("tag", "fixed")
    repository.git("branch", "later")
    tree = MovingTree(tmp_path / "origin/.git", tmp_path)
    tree.check_out(second)
    assert tree.commits() == [second, first]
    tree.check_out(first)
    assert tree.commits() == [first]
    assert sorted(path.name for path in tree.directory.iterdir()) == [".git", "a.py"]
    assert (tree.directory / "a.py").read_text() == "a = 1\n"
    assert tree.time_of(first) <= tree.time_of(second)
